"""Images as one tensor: normalisation, and augmentation in batches with an own draw per image."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from nas_lightning.errors import UserError, did_you_mean

CHUNK_BYTES = 1 << 20
"""Of images looked at, copied or averaged at once: no copy of a whole set lies beside it, whatever an image's side."""


def parts(items: Tensor) -> Iterator[Tensor]:
    """Slices of whole rows in their order, of about `CHUNK_BYTES` each."""
    row = max(1, items[:1].numel() * items.element_size())
    yield from items.split(max(1, CHUNK_BYTES // row))


class DataError(UserError):
    """Data that is missing, damaged, or cannot be split as asked; the message says what to put where."""


@dataclass(frozen=True)
class ImageSet:
    """Labelled images: uint8 [N, H, W, C] in memory (so that a gathered batch is channels-last), labels int64 [N].

    `mapped` is the file that lies under `images`, where they are mapped and not loaded.
    """

    images: Tensor
    labels: Tensor
    mapped: mmap.mmap | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, index: Tensor) -> ImageSet:
        """Copies of the rows `index`, in that order. Of a mapped file they are read from front to back, and what was
        read is given back to the system, so that file and copy never lie in memory together."""
        if self.mapped is None:
            return ImageSet(self.images[index], self.labels[index])
        chosen, place = index.sort()
        images = self.images.new_empty((len(index), *self.images.shape[1:]))
        rows = max(1, CHUNK_BYTES // max(1, self.images[:1].numel()))
        for at in range(0, len(index), rows):
            images[place[at : at + rows]] = self.images[chosen[at : at + rows]]
            self.release()
        return ImageSet(images, self.labels[index])

    def release(self) -> None:
        """Pages of the mapped file that were read leave this process's memory; they are read again when asked for."""
        if self.mapped is not None and hasattr(self.mapped, "madvise"):  # not on Windows
            self.mapped.madvise(mmap.MADV_DONTNEED)

    def to(self, device: torch.device | str) -> ImageSet:
        return ImageSet(self.images.to(device), self.labels.to(device))

    def resized(self, size: int) -> ImageSet:
        """Square images averaged down to `size` x `size`. Raises DataError where `size` does not divide their side."""
        side = self.images.shape[1]
        if size == side:
            return self
        if size < 1 or side % size:
            raise DataError(
                f"data.image_size={size} does not divide the images' side of {side}; choose one of "
                f"{', '.join(str(d) for d in range(1, side + 1) if side % d == 0)}"
            )
        small = [
            torch.nn.functional.avg_pool2d(part.permute(0, 3, 1, 2).float(), side // size).round().to(torch.uint8)
            for part in parts(self.images)
        ]
        return ImageSet(torch.cat(small).permute(0, 2, 3, 1).contiguous(), self.labels)


@dataclass(frozen=True)
class Normalize:
    """(x / 255 − mean) / std per channel, to float32 [B, C, H, W] in channels-last memory."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 [B, H, W, C] -> float32 [B, C, H, W]."""
        scale, shift = scale_and_shift(self, images.device)
        return torch.addcmul(shift, images.float(), scale).permute(0, 3, 1, 2)


@lru_cache(maxsize=32)
def scale_and_shift(normalize: Normalize, device: torch.device) -> tuple[Tensor, Tensor]:
    """What `normalize` multiplies by and adds, [C] each, brought to the device once: every copy there is a wait."""
    with torch.inference_mode(False):  # or what was first asked for while scoring could not be used in training
        scale = torch.tensor([1 / (255 * s) for s in normalize.std], device=device)
        shift = torch.tensor([-m / s for m, s in zip(normalize.mean, normalize.std, strict=True)], device=device)
    return scale, shift


AUGMENTATIONS = ("none", "crop", "crop+flip", "randaugment", "autoaugment")
"""What ``data.augment`` takes beside true (crop+flip, flipped where the images allow it) and false (none)."""
GROUP = 8
"""Images of a batch that share a draw of RandAugment or AutoAugment: torchvision draws one per call."""


def settled_augment(given: bool | str) -> bool | str:
    """One form of each augmentation: true and false where they say the same. Raises DataError for an unknown one.

    >>> settled_augment("crop+flip"), settled_augment("none"), settled_augment("crop")
    (True, False, 'crop')
    """
    name = str(given).lower()
    same: dict[str, bool] = {"none": False, "false": False, "crop+flip": True, "true": True}
    if name not in same and name not in AUGMENTATIONS:
        raise DataError(
            f"data.augment={given} is unknown; {did_you_mean(str(given), AUGMENTATIONS)}"
            f"choose one of {', '.join(AUGMENTATIONS)}"
        )
    return same.get(name, name)


@dataclass(frozen=True)
class Policy:
    """RandAugment (Cubuk et al., arXiv 1909.13719) or AutoAugment's CIFAR-10 policy (arXiv 1805.09501) after a crop and
    flip, by torchvision's own transforms; `GROUP` images share a draw.

    Their draws are of torch's global generator, which is seeded from the batch's own and put back: a batch is a
    function of (seed, step) alone.
    """

    name: str
    crop: Augment

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """uint8 [B, H, W, C] -> uint8 [B, H, W, C]."""
        from torchvision.transforms import v2

        transform = v2.RandAugment() if self.name == "randaugment" else v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)
        cropped = self.crop(images, generator)
        seed = int(torch.randint(2**31, (1,), generator=generator, device=images.device))
        with torch.random.fork_rng(devices=[images.device] if images.device.type == "cuda" else []):
            torch.manual_seed(seed)
            groups = [transform(part.permute(0, 3, 1, 2)) for part in cropped.split(GROUP)]
        return torch.cat(groups).permute(0, 2, 3, 1).contiguous()


@dataclass(frozen=True)
class Augment:
    """Random crop from a zero-padded image and horizontal flip, both drawn per image."""

    padding: int
    flip: bool

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """uint8 [B, H, W, C] -> uint8 [B, H, W, C]; `generator` on the images' device."""
        batch, height, width, channels = images.shape
        device, pad = images.device, self.padding
        rows = torch.arange(height, device=device).expand(batch, height)
        columns = torch.arange(width, device=device).expand(batch, width)
        if self.flip:
            flipped = torch.rand(batch, 1, generator=generator, device=device) < 0.5
            columns = torch.where(flipped, width - 1 - columns, columns)
        if pad:
            shift = torch.randint(0, 2 * pad + 1, (2, batch, 1), generator=generator, device=device)
            rows, columns = rows + shift[0], columns + shift[1]
            images = torch.nn.functional.pad(images, (0, 0, pad, pad, pad, pad))
        padded_height, padded_width = height + 2 * pad, width + 2 * pad
        start = torch.arange(batch, device=device)[:, None] * padded_height + rows  # [B, H]
        index = start[:, :, None] * padded_width + columns[:, None, :]  # [B, H, W], pixel number in the flat batch
        return images.reshape(-1, channels).index_select(0, index.flatten()).view(batch, height, width, channels)
