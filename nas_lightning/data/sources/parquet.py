"""Parquet files of encoded images and labels, as the Hugging Face Hub keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from nas_lightning.data.cache import Images, Item, decoded, fingerprint
from nas_lightning.data.decode import fitted, to_array
from nas_lightning.data.images import DataError, ImageSet
from nas_lightning.data.source import Source

IMAGES, LABELS = ("image", "img", "images"), ("label", "labels", "fine_label", "class")
TEST_NAMES = ("test", "validation", "valid", "val")
ROWS = 64
"""Read at once, so that the encoded images never lie in memory whole."""


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
        key = fingerprint([*train, *test], self.path, (self.size, self.grey, self.image, self.label))
        return decoded(key, partial(self._images, train, test))

    def _images(self, train: list[Path], test: list[Path]) -> Images:
        parts = tuple(Rows(files, self.image, self.label) for files in (train, test))
        side, channels = fitted(self.size, self.grey, ((item.name, item.content) for part in parts for item in part))
        return Images((parts[0], parts[1]), (side, side, channels), partial(to_array, side=side, channels=channels))


class Rows:
    """The rows of several files, read from the disk as they are gone through.

    Args:
        files: in the order of their rows.
        image: column of the images; None takes a usual one.
        label: column of the labels; None takes a usual one.
    """

    def __init__(self, files: list[Path], image: str | None, label: str | None) -> None:
        self.files, self.image, self.label = files, image, label
        self._length = sum(self._opened(file).metadata.num_rows for file in files)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Item]:
        for file in self.files:
            yield from self._items(file)

    def _opened(self, file: Path) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.ParquetFile(file)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(file, error) from None

    def _items(self, file: Path) -> Iterator[Item]:
        import pyarrow as pa

        opened = self._opened(file)
        names = opened.schema_arrow.names
        image = _column(file, names, self.image, IMAGES)
        label = _column(file, names, self.label, LABELS)
        batches, row = opened.iter_batches(ROWS, columns=[image, label], use_threads=False), 0
        while True:
            try:
                batch = next(batches, None)
                if batch is None:
                    return
                cells, labels = batch[image].to_pylist(), batch[label].to_pylist()
            except (pa.ArrowException, OSError) as error:
                raise _unreadable(file, error) from None
            for cell, number in zip(cells, labels, strict=True):
                yield _item(file, row, image, cell=cell, number=number)
                row += 1


def _item(file: Path, row: int, column: str, cell: Any, number: Any) -> Item:
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(content, bytes):
        raise DataError(f"{file}: row {row} holds no bytes of an image in column {column}")
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**63:
        raise DataError(f"{file}: row {row} has label {str(number)[:40]!r}; give whole numbers from 0")
    return Item(f"{file}, row {row}", content, number)


def _unreadable(file: Path, error: Exception) -> DataError:
    return DataError(f"{file} is no Parquet file that can be read ({type(error).__name__})")


def _column(file: Path, names: list[str], given: str | None, known: tuple[str, ...]) -> str:
    wanted = known if given is None else (given,)
    found = next((n for n in wanted if n in names), None)
    if found is None:
        raise DataError(f"{file} has no column {' or '.join(wanted)}; it has {', '.join(names)[:150]}")
    return found
