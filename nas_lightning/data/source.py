"""Where images with classes come from: `Source`, of which one's own is one class."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from nas_lightning.data.images import DataError, ImageSet, parts


class Source(ABC):
    """Images with classes. A user's own derives from it and is named by ``data._target_``.

    Settings are the keyword-only arguments of the constructor: ``data.key=…`` sets one, and a misspelt one is refused.
    One named ``root``, ``download`` or ``name`` is given what the configuration says under that name. What is left at
    None is measured on the training images.
    """

    name: str
    """Of the data set: what tables of stand-alone accuracies call it."""
    num_classes: int | None = None
    mean: tuple[float, ...] | None = None
    """Per channel, of pixels in [0, 1]."""
    std: tuple[float, ...] | None = None
    padding: int | None = None
    """Pixels by which a random crop shifts; None takes an eighth of the side, as 4 of CIFAR's 32."""
    flip: bool = True
    """Whether an image mirrored left to right is still of its class."""
    known_by_name: ClassVar[bool] = False
    """Whether the name says what the content is, as of official files whose sums are checked."""

    @classmethod
    def named(cls, given: str, settings: Mapping[str, Any]) -> str:
        """The data set's name for a configuration, before anything is built: what results and folders call it.

        Args:
            given: the configuration's ``data.name``.
            settings: the class's own settings there.

        Returns:
            What an instance of them has as its `name`.
        """
        return given

    @abstractmethod
    def read(self) -> tuple[ImageSet, ImageSet]:
        """Training and test images: uint8 [N, H, W, C], labels int64 [N] from 0.

        Returns:
            (training, test).

        Raises:
            DataError: the images are not there, or cannot be read.
        """

    def content_sha256(self) -> str:
        """Hash of all images and labels: what a run's name depends on. Reads them.

        Returns:
            64 hexadecimal digits.
        """
        train, test = self.read()
        return content_sha256((train.images, train.labels, test.images, test.labels))


def content_sha256(tensors: Iterable[Tensor]) -> str:
    """SHA-256 over types, shapes and contents, in parts, the same on every device.

    Args:
        tensors: in an order that counts.

    Returns:
        64 hexadecimal digits.
    """
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
        for part in parts(tensor) if tensor.ndim else (tensor,):
            found.update(part.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def measured(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of pixels in [0, 1], of uint8 images [N, H, W, C]; four decimals.

    Integer sums, so that neither the order nor the parts make a difference. A constant channel gets deviation 1.

    Args:
        images: uint8 [N, H, W, C].

    Returns:
        (means, standard deviations), C numbers each.
    """
    channels, n = images.shape[-1], images.shape[0] * images.shape[1] * images.shape[2]
    total, squares = torch.zeros(channels, dtype=torch.int64), torch.zeros(channels, dtype=torch.int64)
    for part in parts(images):
        flat = part.reshape(-1, channels).to(torch.int64)
        total += flat.sum(0)
        squares += (flat * flat).sum(0)
    mean = total.double() / n
    std = (squares.double() / n - mean**2).clamp(min=0).sqrt()
    means, stds = (mean / 255).tolist(), (std / 255).tolist()
    return tuple(round(m, 4) for m in means), tuple(round(s, 4) or 1.0 for s in stds)


def checked(source: Source, train: ImageSet, test: ImageSet) -> tuple[ImageSet, ImageSet]:
    """What `source` has read.

    Args:
        source: where the images come from.
        train: training images and labels.
        test: test images and labels.

    Returns:
        The same two sets.

    Raises:
        DataError: no network could be trained on it, in one sentence.
    """
    for part, data in (("training", train), ("test", test)):
        images, labels = data.images, data.labels
        if images.dtype != torch.uint8 or images.ndim != 4:
            kind = f"{images.dtype} {tuple(images.shape)}"
            raise DataError(f"data {source.name}: {part} images are {kind}; give uint8 [N, H, W, C]")
        if labels.shape != images.shape[:1] or labels.dtype != torch.int64:
            raise DataError(
                f"data {source.name}: {len(images)} {part} images but labels are {labels.dtype} {tuple(labels.shape)}; "
                "give one int64 class an image"
            )
        if not len(data):
            raise DataError(f"data {source.name}: there is no {part} image")
    if train.images.shape[1:] != test.images.shape[1:]:
        a, b = tuple(train.images.shape[1:]), tuple(test.images.shape[1:])
        raise DataError(f"data {source.name}: training images are {a} and test images {b}; bring them to one size")
    if train.images.shape[1] != train.images.shape[2]:
        h, w = train.images.shape[1:3]
        raise DataError(f"data {source.name}: images of {h} x {w} pixels are not square; bring them to one side")
    low, high = (int(f(torch.cat([train.labels, test.labels]))) for f in (torch.min, torch.max))
    classes = high + 1 if source.num_classes is None else source.num_classes
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        raise DataError(f"data {source.name}: label {wrong} is none of the {classes} classes, which count from 0")
    there = train.labels.unique()  # sorted; never a list of all classes, of which a label may claim 2^63
    if len(there) < classes:
        gap = (there != torch.arange(len(there))).nonzero()
        missing = int(gap[0]) if len(gap) else len(there)
        raise DataError(f"data {source.name}: class {missing} of {classes} has no training image")
    if classes < 2:
        raise DataError(f"data {source.name}: all images are of one class; give at least two")
    return train, test


def facts(source: Source, train: ImageSet, test: ImageSet) -> dict[str, Any]:
    """Everything of a source that training depends on beside the images, measured where it says nothing.

    Args:
        source: where the images come from.
        train: training images and labels.
        test: test images and labels.

    Returns:
        Mean, standard deviation, classes and the like, by name.
    """
    mean, std = source.mean, source.std
    if mean is None or std is None:
        found = measured(train.images)
        mean, std = mean or found[0], std or found[1]
    side = int(train.images.shape[1])
    return {
        "classes": source.num_classes or int(torch.cat([train.labels, test.labels]).max()) + 1,
        "mean": tuple(mean),
        "std": tuple(std),
        "padding": max(1, round(side / 8)) if source.padding is None else source.padding,
        "flip": source.flip,
    }
