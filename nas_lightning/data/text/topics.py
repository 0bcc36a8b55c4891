"""The text that needs no download: the topics of Python's own help, a frozen copy that ships with the package.

Source: module ``pydoc_data.topics`` of CPython 3.11.7, 79 topics in the order of their names. Licence: PSF License
Version 2 (``LICENSE.txt`` beside the file, with the summary of changes that it asks for).
"""

from __future__ import annotations

import hashlib
import lzma
from importlib import resources

from nas_lightning.data.images import DataError
from nas_lightning.data.text.files import texts_of
from nas_lightning.data.text.task import Texts, TextTask
from nas_lightning.data.text.vocabulary import units_of

FILE = "python_topics_3_11_7.txt.xz"
SHA256 = "1279e37a3d2df1003afe2f42560e97c5f8983517b17fe54978b74bd7b420f629"
"""Of the text."""
BLOCKS = 200
"""The text is cut into so many blocks of lines; of ten that follow one another the fifth validates and the last tests,
so that the three parts speak of the same things."""


def topics_text() -> str:
    """The frozen text. Raises DataError where the file is not the one that was packed."""
    packed = resources.files("nas_lightning.data.text").joinpath(FILE).read_bytes()
    text = lzma.decompress(packed)
    if hashlib.sha256(text).hexdigest() != SHA256:
        raise DataError(f"{FILE} of the installed package is damaged; install it anew")
    return text.decode()


class PythonTopics(TextTask):
    """Words of Python's help: the most frequent `vocabulary` of them, the others ``<unk>``.

    Args:
        vocabulary: different words; null keeps all.
    """

    name = "topics"

    def __init__(self, *, vocabulary: int | None = 500, chunk: int = 35, short_chunks: float = 0.05) -> None:
        super().__init__(chunk=chunk, short_chunks=short_chunks)
        self.vocabulary = vocabulary

    def read(self) -> Texts:
        lines = topics_text().splitlines(keepends=True)
        parts: list[list[str]] = [[], [], []]
        for block in range(BLOCKS):
            here = lines[block * len(lines) // BLOCKS : (block + 1) * len(lines) // BLOCKS]
            parts[{4: 1, 9: 2}.get(block % 10, 0)] += units_of("".join(here), "words")
        return texts_of(parts, self.vocabulary)
