"""Reading numbers and literals that other people wrote: exactly, and without filling the memory."""

from __future__ import annotations

import ast
import numbers
from typing import Any

import numpy as np

from nas_lightning.spaces.errors import ArchitectureError

LONGEST = 100_000
"""Characters of the longest architecture that is read; the field's longest string form has some 500."""


def shortened(value: object, length: int = 80) -> str:
    """`repr` of a value in at most so many characters, for messages."""
    text = repr(value[: 2 * length]) if isinstance(value, str) else repr(value)
    return text if len(text) <= length else text[: length - 1] + "…"


def whole(value: Any, what: str) -> int:
    """A whole number: an integer, or a float or numpy number of whole value. Raises ArchitectureError.

    >>> whole(2.0, "an input")
    2
    """
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real) and abs(float(value)) < 2**53 and float(value).is_integer():
        return int(float(value))
    raise ArchitectureError(f"{what} is {shortened(value)}, which is no whole number")


def literal(text: str) -> Any:
    """A Python literal. Raises ArchitectureError where the text is none."""
    try:
        if len(text) > LONGEST:
            raise ValueError
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise ArchitectureError(f"{shortened(text)} is no architecture: it cannot be read") from None
