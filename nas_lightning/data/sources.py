"""The data sets: where the images come from and their facts. torchvision and scikit-learn do the reading."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nas_lightning.data.images import DataError, ImageSet

DIGITS_TEST = 797


@dataclass(frozen=True)
class Source:
    """One data set: `read(root)` returns the official training and test images."""

    name: str
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    padding: int
    flip: bool
    read: Callable[[Path], tuple[ImageSet, ImageSet]]

    @property
    def in_channels(self) -> int:
        return len(self.mean)


def read_digits(root: Path) -> tuple[ImageSet, ImageSet]:
    """The 1,797 handwritten digits that scikit-learn ships, 8 x 8, one channel: 1,000 to train, 797 to test.

    Optical Recognition of Handwritten Digits, E. Alpaydin, C. Kaynak, UCI Machine Learning Repository, 1998. The split
    is a fixed permutation, since the file is ordered by writer.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    images = torch.from_numpy(np.round(data.images * (255 / 16)).astype(np.uint8)[..., None])
    labels = torch.from_numpy(data.target.astype(np.int64))
    order = torch.from_numpy(np.random.default_rng(1797).permutation(len(labels)))
    everything = ImageSet(images, labels)
    return everything.subset(order[DIGITS_TEST:]), everything.subset(order[:DIGITS_TEST])


def read_cifar(root: Path, classes: int, download: bool = False) -> tuple[ImageSet, ImageSet]:
    """CIFAR-10 or CIFAR-100 through torchvision's own classes, which check the files' MD5 sums."""
    from torchvision.datasets import CIFAR10, CIFAR100

    kind: type[CIFAR10] = CIFAR10 if classes == 10 else CIFAR100
    parts = []
    for train in (True, False):
        try:
            part = kind(str(root), train=train, download=download)
        except (RuntimeError, OSError, pickle.UnpicklingError, EOFError) as error:
            raise DataError(
                f"CIFAR-{classes} is missing or damaged below {root}: put the official folder "
                f"{kind.base_folder} there (or set data.download=true, or point data.root or "
                f"NAS_LIGHTNING_DATA elsewhere)"
            ) from error
        parts.append(ImageSet(torch.from_numpy(part.data), torch.tensor(part.targets)))
    return parts[0], parts[1]


IMAGENET16_MD5 = {
    "train_data_batch_1": "27846dcaa50de8e21a7d1a35f30f0e91",
    "train_data_batch_2": "c7254a054e0e795c69120a5727050e3f",
    "train_data_batch_3": "4333d3df2e5ffb114b05d2ffc19b1e87",
    "train_data_batch_4": "1620cdf193304f4a92677b695d70d10f",
    "train_data_batch_5": "348b3c2fdbb3940c4e9e834affd3b18d",
    "train_data_batch_6": "6e765307c242a1b3d7d5ef9139b48945",
    "train_data_batch_7": "564926d8cbf8fc4818ba23d2faac7564",
    "train_data_batch_8": "f4755871f718ccb653440b9dd0ebac66",
    "train_data_batch_9": "bb6dd660c38c58552125b1a92f86b5d4",
    "train_data_batch_10": "8f03f34ac4b42271a294f91bf480f29b",
    "val_data": "3410e3017fdaefba8d5073aaa65e4bd6",
}


def read_imagenet16(root: Path) -> tuple[ImageSet, ImageSet]:
    """ImageNet16-120: the first 120 classes of the official 16 x 16 ImageNet batches (Chrabaszcz et al., 2017; NB201).

    The batch files are pickles of plain arrays; they are read only when their MD5 sums are the official ones, since a
    pickle can carry code.
    """
    folder = root / "ImageNet16"
    parts = []
    for names in ([n for n in IMAGENET16_MD5 if n.startswith("train")], ["val_data"]):
        images, labels = [], []
        for name in names:
            path = folder / name
            if not path.is_file():
                raise DataError(
                    f"ImageNet16-120 is missing: put the official batch file {name} into {folder} (or point "
                    "data.root or NAS_LIGHTNING_DATA elsewhere)"
                )
            content = path.read_bytes()
            if hashlib.md5(content).hexdigest() != IMAGENET16_MD5[name]:
                raise DataError(f"{path} is damaged or not the official file (its MD5 sum differs); fetch it again")
            batch = pickle.loads(content)
            keep = np.asarray(batch["labels"]) <= 120
            images.append(np.asarray(batch["data"])[keep].reshape(-1, 3, 16, 16).transpose(0, 2, 3, 1))
            labels.append(np.asarray(batch["labels"], np.int64)[keep] - 1)
        parts.append(
            ImageSet(torch.from_numpy(np.concatenate(images).copy()), torch.from_numpy(np.concatenate(labels)))
        )
    return parts[0], parts[1]


CIFAR10_FACTS = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
CIFAR100_FACTS = ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))
IMAGENET16_FACTS = ((0.4811, 0.4575, 0.4079), (0.2479, 0.2402, 0.2553))


def get_source(name: str, download: bool = False) -> Source:
    """The data set of that name. Raises DataError listing the names."""
    sources = {
        "digits": Source("digits", 10, (0.3053,), (0.3761,), 1, False, read_digits),
        "cifar10": Source("cifar10", 10, *CIFAR10_FACTS, 4, True, lambda root: read_cifar(root, 10, download)),
        "cifar100": Source("cifar100", 100, *CIFAR100_FACTS, 4, True, lambda root: read_cifar(root, 100, download)),
        "imagenet16_120": Source("imagenet16_120", 120, *IMAGENET16_FACTS, 2, True, read_imagenet16),
    }
    if name not in sources:
        raise DataError(f"data set {name!r} is unknown; choose one of {', '.join(sources)}")
    return sources[name]
