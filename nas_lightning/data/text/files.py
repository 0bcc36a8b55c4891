"""A text of the user's own: one file that is cut into three, or a file each."""

from __future__ import annotations

from pathlib import Path

from nas_lightning.data.images import DataError
from nas_lightning.data.text.task import Texts, TextTask
from nas_lightning.data.text.vocabulary import numbered, units_of, vocabulary_of

SHARES = (0.8, 0.9)
"""Where a text without further files is cut: so much trains, up to the second validates, the rest tests."""


def read_text(path: Path) -> str:
    """A file's text. Raises DataError where it is missing, empty, or no UTF-8."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no UTF-8 text (byte {error.start}); convert it") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); give the path of a text file") from None
    if not text.strip():
        raise DataError(f"{path} holds no text; give another file")
    return text


def texts_of(parts: list[list[str]], size: int | None) -> Texts:
    """The units of three texts as numbers; see `vocabulary_of`."""
    vocabulary = vocabulary_of(parts, size)
    train, validation, test = (numbered(part, vocabulary) for part in parts)
    return Texts(train, validation, test, words=len(vocabulary))


class TextFiles(TextTask):
    """One's own text, by words, tokens or characters.

    Args:
        path: UTF-8 text to train with. Without `validation` its last fifth is held out, one half of which tests.
        validation: file to validate with; then `test` is needed too.
        test: file to test with.
        unit: ``words``, ``tokens`` (split at white space as they stand) or ``characters``.
        vocabulary: so many different units, the most frequent ones; null keeps all.
        name: what tables call it.
    """

    places = ("path", "validation", "test")

    def __init__(
        self,
        *,
        path: str,
        validation: str | None = None,
        test: str | None = None,
        unit: str = "words",
        vocabulary: int | None = None,
        name: str = "text",
        chunk: int = 35,
        short_chunks: float = 0.05,
    ) -> None:
        super().__init__(chunk=chunk, short_chunks=short_chunks)
        if (validation is None) != (test is None):
            raise DataError("data.validation and data.test go together; give both files, or neither")
        self.name, self.unit, self.vocabulary = name, unit, vocabulary
        self.files = [Path(p) for p in (path, validation, test) if p is not None]

    def read(self) -> Texts:
        parts = [units_of(read_text(file), self.unit) for file in self.files]
        if len(parts) == 1:
            first, second = (int(share * len(parts[0])) for share in SHARES)
            parts = [parts[0][:first], parts[0][first:second], parts[0][second:]]
        return texts_of(parts, self.vocabulary)
