"""Reading numbers and literals that other people wrote: exactly, and without filling the memory."""

from __future__ import annotations

import ast
import numbers
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas_lightning.spaces.errors import ArchitectureError

LONGEST = 100_000
"""Characters of the longest architecture that is read; the field's longest string form has some 500."""


def shortened(value: object, length: int = 80) -> str:
    """`repr` of a value in at most so many characters, for messages.

    Args:
        value: anything.
        length: characters at most.

    Returns:
        The text, with … where something is left out.
    """
    text = repr(value[: 2 * length]) if isinstance(value, str) else repr(value)
    return text if len(text) <= length else text[: length - 1] + "…"


def whole(value: Any, what: str) -> int:
    """A whole number: an integer, or a float or numpy number of whole value.

    Args:
        value: what was read.
        what: it is, for the message.

    Returns:
        The number.

    Raises:
        ArchitectureError: it is none.

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
    """A Python literal, or JSON: numbers, strings, lists, tuples, dictionaries; ``array(…)`` and ``range(…)`` are read
    as lists. A name in front (``DARTS_V2 = …``) is dropped. Nothing is evaluated.

    Args:
        text: what was typed or read.

    Returns:
        Values of Python's own types.

    Raises:
        ArchitectureError: it is none, or longer than any architecture.

    >>> literal("{'matrix': array([[0, 1]], dtype=int8)}")
    {'matrix': [[0, 1]]}
    """
    try:
        if len(text) > LONGEST:
            raise ValueError
        return _value(ast.parse(_ASSIGNED.sub("", text.strip()), mode="eval").body, top=True)
    except ArchitectureError:
        raise
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, OverflowError):
        raise ArchitectureError(f"{shortened(text)} is no architecture: it cannot be read") from None


@dataclass(frozen=True)
class Called:
    """``Name(arguments, keyword=…)`` in a text, as plain values."""

    name: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


_ASSIGNED = re.compile(r"^[A-Za-z_]\w*\s*=\s*(?!=)")
_WORDS = {"null": None, "true": True, "false": False}
_MOST = 9  # numbers that are read of a range: a text must not fill the memory


def _value(node: ast.expr, top: bool = False) -> Any:
    if isinstance(node, (ast.List, ast.Tuple)):
        values = [_value(element) for element in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    if isinstance(node, ast.Dict):
        if any(key is None for key in node.keys):
            raise ValueError
        return {_value(key): _value(value) for key, value in zip(node.keys, node.values, strict=True)}  # type: ignore[arg-type]
    if isinstance(node, ast.Name) and node.id in _WORDS:
        return _WORDS[node.id]
    if not isinstance(node, ast.Call):
        return ast.literal_eval(node)
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
    if not isinstance(name, str) or any(keyword.arg is None for keyword in node.keywords):
        raise ValueError
    if name == "array" and node.args:  # the rest says the type
        return _value(node.args[0])
    arguments = tuple(_value(argument) for argument in node.args)
    if name == "range" and not node.keywords:
        return list(range(*(whole(argument, "a bound of range") for argument in arguments))[:_MOST])
    if not top:
        raise ValueError
    return Called(name, arguments, {str(keyword.arg): _value(keyword.value) for keyword in node.keywords})


def listed(value: Any) -> list[Any] | None:
    """A list, tuple, array or range as a list; None for anything else.

    Args:
        value: anything.

    Returns:
        A list, or None.
    """
    if isinstance(value, np.ndarray):
        return list(value.tolist())
    if isinstance(value, range):
        return list(value[:_MOST])
    return list(value) if isinstance(value, (list, tuple)) else None
