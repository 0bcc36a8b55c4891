"""Two tasks of NAS-Bench-360 (Tu et al., arXiv 2110.05668) on arrays that the user has: signals and fields.

NinaPro DB5: electromyography of 52 steps by 16 sensors, 18 gestures. Darcy Flow: from a coefficient on 85 x 85 points
to the pressure there, judged by one minus the relative L2 error. A folder holds ``x_train.npy``, ``y_train.npy``,
``x_test.npy`` and ``y_test.npy``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nas_lightning.data.images import DataError
from nas_lightning.data.tensors import TensorTask
from nas_lightning.runs.arrays import read_array
from nas_lightning.runs.quality import ACCURACY, Quality


def array(folder: Path, name: str) -> np.ndarray:
    """``<name>.npy``. Raises DataError where it is not there, or no array of numbers."""
    path = folder / f"{name}.npy"
    try:
        found = read_array(path)
    except FileNotFoundError:
        raise DataError(f"{path} is missing; put x_train, y_train, x_test and y_test there as .npy") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no .npy array of numbers ({str(error)[:100]}); save it with numpy.save") from None
    with np.errstate(over="ignore"):
        usable = found.dtype.kind in "biuf" and found.ndim > 0 and len(found) > 0
        usable = usable and bool(np.isfinite(found.astype(np.float32)).all())
    if not usable:
        raise DataError(f"{path} is no array of finite numbers with a row or more")
    return found


class _Arrays(TensorTask):
    """Inputs of one channel from a folder, standardised by the mean and deviation of the training inputs.

    Args:
        root: the folder.
        split_seed: of the permutation that separates what trains from what is held out.
    """

    def __init__(self, *, root: str | Path, split_seed: int = 0) -> None:
        super().__init__()
        self.root, self.split_seed = Path(root), split_seed

    def _inputs(self) -> tuple[Tensor, Tensor]:
        train, test = (self._channel(array(self.root, name), name) for name in ("x_train", "x_test"))
        if train.shape[1:] != test.shape[1:]:
            a, b = (" x ".join(map(str, part.shape[2:])) for part in (train, test))
            raise DataError(f"x_train.npy of {self.root} holds inputs of {a} and x_test.npy of {b}; bring them to one")
        mean, deviation = train.mean(), train.std().clamp_min(1e-12)
        return (train - mean) / deviation, (test - mean) / deviation

    def _channel(self, x: np.ndarray, name: str) -> Tensor:
        """[N, H, W] or [N, 1, H, W] as float32 [N, 1, H, W]."""
        if x.ndim == 4 and x.shape[1] == 1:
            x = x[:, 0]
        if x.ndim != 3:
            raise DataError(f"{name}.npy of {self.root} has the shape {x.shape}; expected [N, H, W] or [N, 1, H, W]")
        return torch.from_numpy(x.astype(np.float32))[:, None]

    @property
    def image_size(self) -> int:
        """The side of a square with as many points, which is what costs grow with."""
        height, width = self._part("test").images.shape[-2:]
        return round((height * width) ** 0.5)


def _padded(inputs: Tensor) -> Tensor:
    """[N, 1, H, W] with the last row and column repeated until both sides are multiples of four: networks halve them
    twice."""
    right, below = -inputs.shape[-1] % 4, -inputs.shape[-2] % 4
    return F.pad(inputs, (0, right, 0, below), mode="replicate")


class NinaPro(_Arrays):
    """Classification of signals [1, 52, 16]; ``y_*.npy`` are the classes, whole numbers from 0."""

    name = "ninapro"
    quality = ACCURACY
    loss_name = "cross_entropy"
    has_classes = True
    takes_label_smoothing = True

    def read(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        train, test = (_padded(inputs) for inputs in self._inputs())
        targets, others = self._classes("y_train"), self._classes("y_test")
        if (largest := max(int(targets.max()), int(others.max()))) >= len(targets):  # one output more than that
            raise DataError(
                f"{self.root} has a class {largest} and {len(targets)} training inputs; count the classes from 0"
            )
        return (train, targets), (test, others)

    def _classes(self, name: str) -> Tensor:
        y = array(self.root, name)
        if y.ndim != 1 or (y != np.floor(y)).any() or y.min() < 0:
            raise DataError(f"{name}.npy of {self.root} holds no classes; give one whole number from 0 for each input")
        return torch.from_numpy(y.astype(np.int64))

    @property
    def num_outputs(self) -> int:
        """Classes: one more than the largest number among the targets."""
        self.setup()
        return 1 + max(int(self._part(split).labels.max()) for split in ("train", "test"))

    @staticmethod
    def loss(outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        return F.cross_entropy(outputs, targets, label_smoothing=label_smoothing)

    @staticmethod
    def sums(outputs: Tensor, targets: Tensor) -> Tensor:
        outputs = outputs.float()
        correct = (outputs.argmax(1) == targets).sum().double()
        return torch.stack([correct, -F.cross_entropy(outputs, targets, reduction="sum").double()])


class DarcyFlow(_Arrays):
    """Dense regression: from a coefficient on H x W points to the pressure there, by a network that keeps the field's
    size (``space=nasbench201_dense``).

    An input has three channels, the coefficient and the two coordinates from 0 to 1. Targets are divided by the root
    mean square of the training fields, which a relative error does not see. (NAS-Bench-360 standardises every point.)
    """

    name = "darcy_flow"
    quality = Quality("one_minus_relative_l2")
    loss_name = "relative_l2"
    inputs = "fields"

    def read(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        train, test = (_with_coordinates(inputs) for inputs in self._inputs())
        fields = [self._channel(array(self.root, name), name) for name in ("y_train", "y_test")]
        for name, inputs, targets in zip(("train", "test"), (train, test), fields, strict=True):
            if inputs.shape[2:] != targets.shape[2:]:
                a, b = (" x ".join(map(str, part.shape[2:])) for part in (inputs, targets))
                raise DataError(
                    f"x_{name}.npy of {self.root} has fields of {a} points and y_{name}.npy of {b}; give one size"
                )
        scale = fields[0].square().mean().sqrt().clamp_min(1e-12)
        return (train, fields[0] / scale), (test, fields[1] / scale)

    @property
    def num_outputs(self) -> int:
        """Numbers a point."""
        return 1

    @staticmethod
    def _relative(outputs: Tensor, targets: Tensor) -> Tensor:
        """Relative L2 error of every field, [B]; both [B, 1, H, W]."""
        difference = (outputs.float() - targets).flatten(1)
        return difference.norm(dim=1) / targets.flatten(1).norm(dim=1).clamp_min(1e-12)

    @staticmethod
    def loss(outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        return DarcyFlow._relative(outputs, targets).mean()

    @staticmethod
    def sums(outputs: Tensor, targets: Tensor) -> Tensor:
        error = DarcyFlow._relative(outputs, targets).double().sum()
        return torch.stack([len(targets) - error, -error])


def _with_coordinates(inputs: Tensor) -> Tensor:
    """[N, 1, H, W] with the coordinates of the rows and of the columns, each from 0 to 1, as further channels."""
    n, _, height, width = inputs.shape
    rows = torch.linspace(0, 1, height).view(1, 1, -1, 1).expand(n, 1, height, width)
    columns = torch.linspace(0, 1, width).view(1, 1, 1, -1).expand(n, 1, height, width)
    return torch.cat([inputs, rows, columns], dim=1)
