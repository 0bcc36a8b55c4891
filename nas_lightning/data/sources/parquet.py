"""Parquet files of encoded images and labels, as the Hugging Face Hub keeps them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from nas_lightning.data.cache import Item, decoded, fingerprint
from nas_lightning.data.decode import fitted, to_array
from nas_lightning.data.images import DataError, ImageSet
from nas_lightning.data.source import Source

IMAGES, LABELS = ("image", "img", "images"), ("label", "labels", "fine_label", "class")
TEST_NAMES = ("test", "validation", "valid", "val")


class Parquet(Source):
    """A folder of ``train-*.parquet`` and ``test-*.parquet`` (or ``validation-*``), below it or in ``data/``.

    Images are bytes of any format that Pillow reads, or ``{bytes, path}``, as the library `datasets` writes them;
    labels are whole numbers. Sizes, colours and the cache are those of ``data=folder``.

    Args:
        path: the folder.
        name: what tables call the data set.
        size: side in pixels, as of ``data=folder``.
        grey: whether images become grey, as of ``data=folder``.
        image: column of the images; None takes image or img.
        label: column of the labels; None takes label, labels, fine_label or class.
        flip: whether a mirrored image is still of its class, for augmentation.
    """

    def __init__(
        self,
        *,
        path: str,
        name: str = "parquet",
        size: int | None = None,
        grey: bool | None = None,
        image: str | None = None,
        label: str | None = None,
        flip: bool = True,
    ) -> None:
        self.path, self.name, self.flip = Path(path).expanduser(), name, flip
        self.size, self.grey, self.image, self.label = size, grey, image, label

    def read(self) -> tuple[ImageSet, ImageSet]:
        return self._read()[0]

    def content_sha256(self) -> str:
        return self._read()[1]

    def _read(self) -> tuple[tuple[ImageSet, ImageSet], str]:
        if not self.path.is_dir():
            raise DataError(f"data.path={self.path} is no folder; give one with train-*.parquet and test-*.parquet")
        files = sorted(self.path.rglob("*.parquet"))
        train = [f for f in files if f.name.startswith("train")]
        test = next((found for n in TEST_NAMES if (found := [f for f in files if f.name.startswith(n)])), [])
        if not train or not test:
            lacks = "train-*.parquet" if not train else "test-*.parquet or validation-*.parquet"
            raise DataError(f"{self.path} lacks {lacks}")
        parts = [[item for file in part for item in self._items(file)] for part in (train, test)]
        side, channels = fitted(self.size, self.grey, ((item.name, item.content) for part in parts for item in part))
        key = fingerprint([*train, *test], self.path, (side, channels, self.image, self.label))
        return decoded(key, parts, (side, side, channels), partial(to_array, side=side, channels=channels))

    def _items(self, file: Path) -> list[Item]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            names = pq.read_schema(file).names
            image = self._column(file, names, self.image, IMAGES)
            label = self._column(file, names, self.label, LABELS)
            table = pq.read_table(file, columns=[image, label])
            labels: list[Any] = table[label].to_pylist()
            cells: list[Any] = table[image].to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{file} is no Parquet file that can be read ({type(error).__name__})") from None
        found = []
        for row, (cell, number) in enumerate(zip(cells, labels, strict=True)):
            content = cell.get("bytes") if isinstance(cell, dict) else cell
            if not isinstance(content, bytes):
                raise DataError(f"{file}: row {row} holds no bytes of an image in column {image}")
            if isinstance(number, bool) or not isinstance(number, int):
                raise DataError(f"{file}: row {row} has label {str(number)[:40]!r}; give whole numbers from 0")
            found.append(Item(f"{file}, row {row}", content, number))
        return found

    def _column(self, file: Path, names: list[str], given: str | None, known: tuple[str, ...]) -> str:
        wanted = known if given is None else (given,)
        found = next((n for n in wanted if n in names), None)
        if found is None:
            raise DataError(f"{file} has no column {' or '.join(wanted)}; it has {', '.join(names)[:150]}")
        return found
