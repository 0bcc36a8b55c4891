"""The preprocessed Penn Treebank and WikiText-2, from the files that the user has; nothing is fetched.

The Penn Treebank's text is the LDC's and may not be passed on; WikiText-2 is CC BY-SA. What is checked is what the
field publishes of them: MD5 sums (torchtext) or numbers of tokens and words (pytorch/examples; Merity et al.,
arXiv 1609.07843).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar

from nas_lightning.data.images import DataError
from nas_lightning.data.text.files import read_text, texts_of
from nas_lightning.data.text.task import Texts, TextTask
from nas_lightning.data.text.vocabulary import units_of

PARTS = ("training", "validation", "test")


class Corpus(TextTask):
    """Three official files below `root`, split into tokens already.

    Args:
        root: folder that holds them, or a folder of `folders` that does.
    """

    folders: ClassVar[tuple[str, ...]]
    files: ClassVar[tuple[tuple[str, ...], ...]]
    """Names of the training, validation and test file, as they are passed around."""
    published: ClassVar[str]
    tokens: ClassVar[tuple[int, int, int]]
    """Of the three files, ends of lines included."""
    words: ClassVar[int]
    md5: ClassVar[tuple[str, str, str] | None] = None

    def __init__(self, root: str, *, chunk: int = 35, short_chunks: float = 0.05) -> None:
        super().__init__(chunk=chunk, short_chunks=short_chunks)
        self.root = Path(root)

    def read(self) -> Texts:
        parts = []
        for i, part in enumerate(PARTS):
            path = self._found(i)
            if self.md5 is not None and hashlib.md5(path.read_bytes()).hexdigest() != self.md5[i]:
                raise DataError(
                    f"{path} ({path.stat().st_size} bytes) is not the official {part} text of data={self.name} (its "
                    f"MD5 sum is another one); take it from {self.published}, or say data=text data.path={path}"
                )
            units = units_of(read_text(path), "tokens")
            if len(units) != self.tokens[i]:
                raise DataError(
                    f"{path} has {len(units)} tokens, and the {part} text of data={self.name} {self.tokens[i]}; take "
                    f"it from {self.published}, or say data=text data.path={path}"
                )
            parts.append(units)
        found = texts_of(parts, None)
        if found.words != self.words:
            raise DataError(
                f"the files of data={self.name} below {self.root} have {found.words} different tokens, not {self.words}"
                f"; take them from {self.published}"
            )
        return found

    def _found(self, part: int) -> Path:
        places = [self.root / folder / name for folder in ("", *self.folders) for name in self.files[part]]
        for path in places:
            if path.is_file():
                return path
        raise DataError(
            f"data={self.name} needs {' or '.join(self.files[part])} in {self.root} (data.root=…, or NAS_LIGHTNING_DATA"
            f"): take it from {self.published}; nothing is downloaded"
        )


class PennTreebank(Corpus):
    """Mikolov's preprocessed Penn Treebank: 10,000 words, the others ``<unk>``."""

    name = "ptb"
    folders = ("ptb", "penn", "simple-examples/data")
    files = (("ptb.train.txt",), ("ptb.valid.txt",), ("ptb.test.txt",))
    published = "your copy of the LDC's Treebank-3 as Mikolov's simple-examples.tgz has it"
    tokens = (929_589, 73_760, 82_430)
    words = 10_000
    md5 = (
        "f26c4b92c5fdc7b3f8c7cdcb991d8420",
        "aa0affc06ff7c36e977d7cd49e3839bf",
        "8b80168b89c18661a38ef683c0dc3721",
    )


class WikiText2(Corpus):
    """WikiText-2 (Merity et al., arXiv 1609.07843): 33,278 words."""

    name = "wikitext2"
    folders = ("wikitext2", "wikitext-2")
    files = (
        ("wiki.train.tokens", "train.txt"),
        ("wiki.valid.tokens", "valid.txt"),
        ("wiki.test.tokens", "test.txt"),
    )
    published = "the archive wikitext-2-v1.zip, or word_language_model/data of pytorch/examples"
    tokens = (2_088_628, 217_646, 245_569)
    words = 33_278
