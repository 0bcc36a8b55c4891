"""Images by classes: splits that are recorded with the run, and batches keyed by (seed, step)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nas_lightning.data.images import Augment, DataError, ImageSet, Normalize, Policy, settled_augment
from nas_lightning.data.loader import StepLoader
from nas_lightning.data.source import Source, checked, facts
from nas_lightning.data.task import Task
from nas_lightning.runs.quality import ACCURACY

ORDER_STREAM, AUGMENT_STREAM = 1, 2
"""Draws of the epoch's order and of a step's augmentation never share a key."""
SELECTION_STREAMS = (3, 4)
"""The same two of the images that train a learned distribution."""


class KeyedLoader(StepLoader):
    """Training batches as a function of the global step alone, so that a resumed run sees the same ones.

    Batch s holds the images at position s mod steps of epoch ⌊s / steps⌋'s permutation, augmented by draws keyed by
    (seed, s). The batch size is global: of W ranks, rank r takes rows r, r + W, … of the same augmented batch. Batches
    are full; the remainder of an epoch's permutation is left out of that epoch.
    """

    def __init__(
        self,
        data: ImageSet,
        batch_size: int,
        seed: int,
        augment: Callable[[Tensor, torch.Generator], Tensor],
        normalize: Callable[[Tensor], Tensor],
        start: Callable[[], int],
        rank: int = 0,
        world_size: int = 1,
        streams: tuple[int, int] = (ORDER_STREAM, AUGMENT_STREAM),
    ) -> None:
        if len(data) < batch_size:
            part, instead = "training", "raise protocol.train_portion"
            if streams == SELECTION_STREAMS:
                part, instead = "selection", "raise protocol.selection_portion"
            raise DataError(
                f"the {part} part has {len(data)} images, fewer than one batch of {batch_size}; lower "
                f"protocol.batch_size or {instead}"
            )
        super().__init__(batch_size, start, world_size)
        self.data, self.seed = data, seed
        self.augment, self.normalize = augment, normalize
        self.rank, self.streams = rank, streams
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))
        self.order_source: Callable[[int], Tensor | None] | None = None
        """What decides an epoch's images in place of a permutation (None: not this epoch); a callback may set it."""

    def __len__(self) -> int:
        return len(self.data) // self.batch_size

    def order(self, epoch: int) -> Tensor:
        """The training images in the order of epoch `epoch`, on their device.

        Args:
            epoch: from 0.

        Returns:
            Indices of the items, int64 [N]: a permutation, but where an `order_source` says otherwise.
        """
        if self._order[0] != epoch:
            order = None if self.order_source is None else self.order_source(epoch)
            if order is None:
                permutation = np.random.default_rng((self.seed, epoch, self.streams[0])).permutation(len(self.data))
                order = torch.from_numpy(permutation)
            self._order = epoch, order.to(self.data.labels.device)
        return self._order[1]

    def indices(self, step: int) -> Tensor:
        """Which training images make up the batch of global step `step`, over all ranks.

        Args:
            step: of the training, from 0.

        Returns:
            Indices of the items, int64 [B].
        """
        epoch, position = divmod(step, len(self))
        return self.order(epoch)[position * self.batch_size : (position + 1) * self.batch_size]

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Images float32 [B / world, C, H, W] and labels int64 [B / world] of global step `step`."""
        index = self.indices(step)
        generator = torch.Generator(index.device)
        generator.manual_seed((self.seed * 1_000_003 + step) * 16 + self.streams[1])
        images = self.augment(self.data.images[index], generator)
        shard = slice(self.rank, None, self.world_size)
        return self.normalize(images[shard]), self.data.labels[index][shard]


def full_batches(items: int, batch_size: int, n: int | None = None, skip: int = 0) -> list[slice]:
    """Where the full batches of a fixed order lie; a remainder is left out.

    Args:
        items: there are so many.
        batch_size: items a batch.
        n: items used at most; None takes all that fill whole batches.
        skip: items that are passed over first.

    Returns:
        One slice a batch.

    Raises:
        DataError: not one batch can be filled, or `skip` is negative.
    """
    if skip < 0:
        raise DataError(f"evaluation.skip={skip} is negative; give a number of images to pass over, or 0")
    left = max(0, items - skip)
    available = left if n is None else min(n, left)
    if not (count := available // batch_size):
        raise DataError(
            f"{available} held-out images{f' after {skip} skipped ones' if skip else ''} do not fill one evaluation "
            f"batch of {batch_size}; lower evaluation.batch_size or hold out more images"
        )
    return [slice(skip + i * batch_size, skip + (i + 1) * batch_size) for i in range(count)]


class ImageClassification(Task):
    """One data set in memory, split into a training part, held-out validation images, and the official test images.

    A permutation drawn from `split_seed` alone orders the official training images (the first `max_train_images` of it,
    where given); the first ⌊train_portion · N⌋ train, the rest is held out. Scores for ranking come from the held-out
    part, never from the test images. The last ⌊selection_portion · n⌋ of the n images that train are kept from the
    weights: they train a learned distribution over paths (`selection_loader`). `image_size` averages all images down to
    a smaller side, a cheaper proxy (Zhou et al., EcoNAS, arXiv 2001.01233, section 3).
    """

    quality = ACCURACY
    loss_name = "cross_entropy"
    has_classes = True
    takes_label_smoothing = True
    selection_portion: float = 0.0
    """Share of the training items that `selection_loader` gives, and the weights never see; set before `setup`."""

    def __init__(
        self,
        name: str,
        root: str | Path,
        batch_size: int,
        train_portion: float,
        seed: int,
        split_seed: int = 0,
        max_train_images: int | None = None,
        augment: bool | str = True,
        download: bool = False,
        image_size: int | None = None,
        *,
        source: Source | None = None,
    ) -> None:
        super().__init__()
        if source is None:
            from nas_lightning.data.find import get_source, settings_of  # which knows this class

            places: dict[str, Any] = {"root": root, "download": download}
            known = settings_of(type(get_source(name)))
            source = get_source(name, **{k: v for k, v in places.items() if k in known})
        self.source = source
        self.name = source.name
        self.root, self.batch_size, self.train_portion = Path(root), batch_size, train_portion
        self.seed, self.split_seed, self.max_train_images = seed, split_seed, max_train_images
        self.wanted_size, self.augmented = image_size, settled_augment(augment)
        self._content = ""
        self.train_set: ImageSet | None = None

    @property
    def num_outputs(self) -> int:
        return self.source.num_classes or int(self.facts["classes"])

    @property
    def in_channels(self) -> int:
        return len(self.source.mean or self.facts["mean"])

    @property
    def image_size(self) -> int:
        self.setup()
        return int(self.test_set.images.shape[1])

    @property
    def facts(self) -> dict[str, Any]:
        """Classes, mean, standard deviation, padding and flip; reads the images where they are measured."""
        self.setup()
        return self._facts

    def size(self, split: str) -> int:
        return len(self._part(split))

    def content(self) -> Iterable[Tensor]:
        train, test = self.source.read()
        return (train.images, train.labels, test.images, test.labels)

    def content_sha256(self) -> str:
        self._content = self._content or self.source.content_sha256()
        return self._content

    def identity(self) -> dict[str, Any] | None:
        if self.source.known_by_name:
            return None
        return {"content_sha256": self.content_sha256(), **self.facts}

    @staticmethod
    def loss(outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Cross-entropy in nats, mean over the batch: logits [B, K], labels int64 [B] or probabilities [B, K]."""
        return F.cross_entropy(outputs, targets, label_smoothing=label_smoothing)

    @staticmethod
    def sums(outputs: Tensor, targets: Tensor) -> Tensor:
        """(correct predictions, −cross-entropy in nats) summed over the batch, float64 [2]."""
        outputs = outputs.float()
        correct = (outputs.argmax(1) == targets).sum().double()
        return torch.stack([correct, -F.cross_entropy(outputs, targets, reduction="sum").double()])

    @staticmethod
    def teach(outputs: Tensor) -> Tensor:
        return outputs.detach().float().softmax(1)

    @staticmethod
    def guess_loss(num_outputs: int) -> float:
        """ln K nats: of a uniform guess."""
        return math.log(max(2, num_outputs))

    def setup(self, stage: str | None = None) -> None:
        """Read and split once."""
        if self.train_set is not None:
            return
        official, self.test_set = self.source.read()
        if not self.source.known_by_name:
            checked(self.source, official, self.test_set)
        self._facts = facts(self.source, official, self.test_set)
        self.normalize = Normalize(self._facts["mean"], self._facts["std"])
        side = official.images.shape[1]
        if self.wanted_size is not None:
            official, self.test_set = official.resized(self.wanted_size), self.test_set.resized(self.wanted_size)
        # The crop shifts by the same share of the image at every size.
        padding = round(self._facts["padding"] * official.images.shape[1] / side)
        flip = self._facts["flip"] and self.augmented != "crop"
        crop = Augment(padding, flip) if self.augmented else Augment(0, False)
        self.augment = Policy(self.augmented, crop) if self.augmented in ("randaugment", "autoaugment") else crop
        order = np.random.default_rng((self.split_seed, len(official))).permutation(len(official))
        if self.max_train_images is not None:
            if not 0 < self.max_train_images <= len(official):
                raise DataError(
                    f"data.max_train_images={self.max_train_images} is out of range; {self.source.name} has "
                    f"{len(official)} training images"
                )
            order = order[: self.max_train_images]
        n_train = int(self.train_portion * len(order) + 1e-9)
        if n_train == 0:
            raise DataError(f"protocol.train_portion={self.train_portion} leaves no image to train on; raise it")
        self.split_sha256 = hashlib.sha256(order.astype("<i8").tobytes() + bytes(str(n_train), "ascii")).hexdigest()
        index = torch.from_numpy(order)
        kept = int(self.selection_portion * n_train + 1e-9)
        self.train_set = official.subset(index[: n_train - kept])
        self.selection_set = official.subset(index[n_train - kept : n_train])
        self.validation_set = official.subset(index[n_train:])

    def record(self) -> dict[str, Any]:
        """What a result file says of the split."""
        assert self.train_set is not None, "setup() first"
        return {
            "dataset": self.source.name,
            "image_size": int(self.train_set.images.shape[1]),
            "augment": self.augmented,
            "split_seed": self.split_seed,
            "train_images": len(self.train_set),
            **({"selection_images": len(self.selection_set)} if self.selection_portion else {}),
            "validation_images": len(self.validation_set),
            "test_images": len(self.test_set),
            "split_sha256": self.split_sha256,
            **(self.identity() or {}),
        }

    def loader(
        self,
        device: torch.device | str = "cpu",
        start: Callable[[], int] = lambda: 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> KeyedLoader:
        """Training batches from tensors that live on `device`."""
        self.setup()
        assert self.train_set is not None
        self.train_set = self.train_set.to(device)
        return KeyedLoader(
            self.train_set,
            self.batch_size,
            self.seed,
            augment=self.augment,
            normalize=self.normalize,
            start=start,
            rank=rank,
            world_size=world_size,
        )

    def _part(self, split: str) -> ImageSet:
        self.setup()
        assert self.train_set is not None
        return {"train": self.train_set, "validation": self.validation_set, "test": self.test_set}[split]

    def selection_loader(
        self, device: torch.device | str = "cpu", rank: int = 0, world_size: int = 1, batch_size: int | None = None
    ) -> KeyedLoader:
        """Batches of the images that are kept from the weights, augmented as those of `loader` by draws of their own.

        Batch s is at position s mod steps of this part's own permutations, for any step s of the training.

        Args:
            device: where the tensors are to live.
            rank: of this process.
            world_size: how many processes share a batch.
            batch_size: images a batch over all ranks; None takes the training's.

        Returns:
            Batches keyed by a stream of their own.

        Raises:
            DataError: there is not one batch.
        """
        self.setup()
        self.selection_set = self.selection_set.to(device)
        size = self.batch_size if batch_size is None else batch_size
        return KeyedLoader(
            self.selection_set,
            size,
            self.seed,
            augment=self.augment,
            normalize=self.normalize,
            start=lambda: 0,
            rank=rank,
            world_size=world_size,
            streams=SELECTION_STREAMS,
        )

    def held_out(self, split: str = "validation") -> ImageSet:
        """The ``validation`` or ``test`` images.

        Args:
            split: ``train``, ``validation`` or ``test``.

        Returns:
            Images and labels, as they are.

        Raises:
            DataError: the validation part is empty.
        """
        images = self._part(split)
        if len(images) == 0:
            raise DataError(
                f"protocol.train_portion={self.train_portion} leaves no image for validation, and scores never "
                "come from the test images; lower it below 1"
            )
        return images

    def evaluation_batches(
        self,
        batch_size: int,
        n: int | None = None,
        device: torch.device | str = "cpu",
        skip: int = 0,
        split: str = "validation",
    ) -> list[tuple[Tensor, Tensor]]:
        """The first `n` images of `split` after `skip` others, normalised, as full batches in a fixed order.

        With batch statistics an accuracy depends on the batch's company, so that every batch has the same size: a
        remainder is left out.
        """
        images = self._part(split) if split == "train" else self.held_out(split)
        cuts = full_batches(len(images), batch_size, n, skip)
        images = images.to(device)
        return [(self.normalize(images.images[cut]), images.labels[cut]) for cut in cuts]
