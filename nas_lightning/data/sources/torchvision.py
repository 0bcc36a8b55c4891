"""Any classification set of torchvision."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from nas_lightning.data.cache import Images, Item, decoded, key_of
from nas_lightning.data.decode import fitted, to_array
from nas_lightning.data.images import DataError, ImageSet
from nas_lightning.data.source import Source
from nas_lightning.errors import nearest

GROUP = "torchvision"
"""What ``data=torchvision`` says as a name, where the user says none."""


class Torchvision(Source):
    """``data=torchvision data.dataset=FashionMNIST``: a set of `torchvision.datasets` with a training and test part.

    Args:
        dataset: name of the class there.
        root: folder that holds its files, or that they are downloaded to.
        download: let torchvision fetch what is missing.
        name: what tables call the data set; None takes the class's in lower case.
        size: side in pixels, as of ``data=folder``.
        grey: whether images become grey, as of ``data=folder``.
        flip: whether a mirrored image is still of its class, for augmentation.
    """

    def __init__(
        self,
        *,
        dataset: str,
        root: str | Path = "data",
        download: bool = False,
        name: str | None = None,
        size: int | None = None,
        grey: bool | None = None,
        flip: bool = True,
    ) -> None:
        from torchvision import datasets

        known = sorted(n for n, kind in vars(datasets).items() if _parts_of(kind) is not None)
        if dataset not in known:
            close = nearest(dataset, known) or known[:8]
            raise DataError(
                f"data.dataset={dataset} is no classification set of torchvision; choose {', '.join(close)} …"
            )
        self.kind: Any = getattr(datasets, dataset)
        self.name = self.named(name or GROUP, {"dataset": dataset})
        self.root, self.download, self.size, self.grey, self.flip = root, download, size, grey, flip
        self._key: str | None = None

    @classmethod
    def named(cls, given: str, settings: Mapping[str, Any]) -> str:
        return str(settings.get("dataset", given)).lower() if given == GROUP else given

    def read(self) -> tuple[ImageSet, ImageSet]:
        return self._read()[0]

    def content_sha256(self) -> str:
        return self._read()[1]

    def _read(self) -> tuple[tuple[ImageSet, ImageSet], str]:
        # No key: torchvision does not say which files a set is read from, so that a change of them would not be seen.
        images, content = decoded(self._key, self._images)
        self._key = key_of(content)
        return images, content

    def _images(self) -> Images:
        train, test = (Pictures(self.name, partial(self._opened, part)) for part in _parts_of(self.kind) or ())
        side, channels = fitted(
            self.size, self.grey, ((item.name, item.content) for part in (train, test) for item in part)
        )
        return Images((train, test), (side, side, channels), partial(to_array, side=side, channels=channels))

    def _opened(self, part: dict[str, Any]) -> Any:
        try:
            return self.kind(str(self.root), **part, download=self.download)
        except (RuntimeError, OSError, ValueError, EOFError, ImportError) as error:
            said = str(error).split("\n")[0][:90]
            raise DataError(
                f"{self.kind.__name__} cannot be read below {self.root} ({said}); set data.download=true to fetch it, "
                "or point data.root elsewhere"
            ) from None


class Pictures:
    """One part of a set, opened when it is gone through, so that not both lie in memory at once.

    Args:
        name: what the set is called.
        opened: gives the part.
    """

    def __init__(self, name: str, opened: Callable[[], Any]) -> None:
        self.name, self.opened = name, opened
        self._length: int | None = None

    def __len__(self) -> int:
        if self._length is None:
            self._length = len(self.opened())
        return self._length

    def __iter__(self) -> Iterator[Item]:
        part = self.opened()
        self._length = len(part)
        for i in range(self._length):
            try:
                picture, label = part[i]
            except Exception as error:  # of the set's own code: every kind that Pillow, scipy and pickle raise
                raise DataError(f"{self.name}, image {i} cannot be read ({type(error).__name__})") from None
            if not isinstance(label, int):
                raise DataError(f"{type(part).__name__} has no classes (its targets are {type(label).__name__})")
            yield Item(f"{self.name}, image {i}", picture, label)


def _parts_of(kind: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Arguments of the training and the test part; None for what has no such parts, or cannot be downloaded."""
    from torchvision.datasets.vision import VisionDataset

    if not (isinstance(kind, type) and issubclass(kind, VisionDataset)):
        return None
    known = inspect.signature(kind).parameters
    if "download" not in known:
        return None
    if "train" in known:
        return {"train": True}, {"train": False}
    return ({"split": "train"}, {"split": "test"}) if "split" in known else None
