"""From a text to numbers: what its units are, and which number each has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

import torch
from torch import Tensor

from nas_lightning.data.images import DataError
from nas_lightning.errors import did_you_mean

UNITS = ("words", "tokens", "characters")
END, UNKNOWN = "<eos>", "<unk>"
"""The end of a line, and a word that the vocabulary lacks, as the Penn Treebank's preprocessed text writes them."""
_WORD = re.compile(r"\w+|[^\w\s]")


def units_of(text: str, unit: str) -> list[str]:
    """The units of a text, in order.

    Args:
        text: as it stands in a file.
        unit: ``words`` (runs of letters, digits and underscores in lower case; every other mark by itself), ``tokens``
            (what white space separates, as in corpora that are split already) or ``characters``. Words and tokens have
            an `END` behind every line.

    Raises:
        DataError: another unit.

    >>> units_of("No, it was.", "words")
    ['no', ',', 'it', 'was', '.', '<eos>']
    """
    if unit == "characters":
        return list(text)
    if unit not in UNITS:
        raise DataError(f"data.unit={unit} is unknown; {did_you_mean(unit, UNITS)}choose one of {', '.join(UNITS)}")
    split = str.split if unit == "tokens" else _words
    return list(chain.from_iterable((*split(line), END) for line in text.splitlines()))


def _words(line: str) -> list[str]:
    return _WORD.findall(line.lower())


def vocabulary_of(parts: Sequence[Sequence[str]], size: int | None = None) -> dict[str, int]:
    """The number of every unit.

    Args:
        parts: units to train with first, then the others.
        size: so many numbers: the most frequent units to train with, and `UNKNOWN` for all others. None gives every
            unit of all parts a number, in the order of their first occurrence.

    Raises:
        DataError: fewer than two numbers.
    """
    if size is None:
        names: Iterable[str] = dict.fromkeys(chain(*parts))
    else:
        counted = Counter(parts[0])
        counted.pop(UNKNOWN, None)
        names = [UNKNOWN, *(name for name, _ in counted.most_common(max(0, size - 1)))]
    found = {name: i for i, name in enumerate(names)}
    if len(found) < 2:
        raise DataError(f"a vocabulary of {len(found)} has nothing to predict; raise data.vocabulary or give more text")
    return found


def numbered(units: Sequence[str], vocabulary: dict[str, int]) -> Tensor:
    """Units as numbers, int64 [N]; one that the vocabulary lacks is its `UNKNOWN`."""
    unknown = vocabulary.get(UNKNOWN, -1)
    return torch.tensor([vocabulary.get(unit, unknown) for unit in units], dtype=torch.int64)
