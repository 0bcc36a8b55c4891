"""Whether a value read from JSON is what a type says: TypedDicts, lists, dictionaries, unions, numbers, texts."""

from __future__ import annotations

import types
from collections.abc import Mapping
from functools import cache
from typing import Any, NotRequired, Required, Union, get_args, get_origin, get_type_hints, is_typeddict


@cache
def _entries(shape: type) -> dict[str, Any]:
    return get_type_hints(shape)


def misfit(value: Any, shape: Any, path: str = "") -> str:
    """The first entry of `value` that is not as `shape` says, in words; empty where all are right.

    Args:
        value: what `json.loads` gives.
        shape: a type; a TypedDict's entries may be missing, and others may stand beside them.
        path: where the value stands, for the message.
    """
    alternatives = _alternatives(shape)
    fitting = [one for one in alternatives if _is(value, one)]
    if not fitting:
        return f"{path} is of type {type(value).__name__}" if path else f"the whole is of type {type(value).__name__}"
    one = fitting[0]
    if is_typeddict(one):
        inner = [(name, value[name], kind) for name, kind in _entries(one).items() if name in value]
    elif get_origin(one) is dict:
        inner = [(name, found, get_args(one)[1]) for name, found in value.items()]
    elif get_origin(one) is list:
        inner = [(str(i), found, get_args(one)[0]) for i, found in enumerate(value)]
    else:
        return ""
    texts = (misfit(found, kind, f"{path}.{name:.60}" if path else f"{name:.60}") for name, found, kind in inner)
    return next((text for text in texts if text), "")


def _alternatives(shape: Any) -> tuple[Any, ...]:
    if get_origin(shape) in (Required, NotRequired):
        return _alternatives(get_args(shape)[0])
    return get_args(shape) if get_origin(shape) in (Union, types.UnionType) else (shape,)


def _is(value: Any, shape: Any) -> bool:
    """Whether the outermost part fits; a truth value is no number, a whole number is one."""
    if shape is Any:
        return True
    if is_typeddict(shape) or shape is dict or get_origin(shape) is dict:
        return isinstance(value, Mapping)
    if shape is list or get_origin(shape) is list:
        return isinstance(value, list | tuple)
    if shape in (int, float):
        return isinstance(value, (int, float) if shape is float else int) and not isinstance(value, bool)
    return isinstance(value, shape)
