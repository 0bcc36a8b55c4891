"""What the names of a stranger's pickle may stand for: inert tokens, and the few functions that a call of one runs.

Each checks its arguments; arrays are rebuilt from checked bytes, and keys are flat (`nas_lightning.benchmarks.convert.
restricted` says why).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nas_lightning.benchmarks.errors import BenchmarkError

_NUMBERS = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "f16", "c8", "c16", "c32"}
SCALARS = frozenset((str, int, float, bytes, bool, complex, type(None)))


class Name:
    """A global that the pickle names: nothing but its name."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Unbuilt:
    """A numpy array or dtype before its state is known; `place` is where the memo holds it."""

    __slots__ = ("dtype", "place")

    def __init__(self, dtype: str | None) -> None:
        self.dtype, self.place = dtype, -1


def refused(what: str) -> BenchmarkError:
    return BenchmarkError(f"the pickle {what}; official benchmark files hold containers and numbers alone")


def flat_key(key: Any) -> Any:
    """A value that may be hashed: flat, so that hashing takes no stack and no time."""
    kind = type(key)
    if kind in SCALARS:
        return key
    if kind is tuple and len(key) <= 64 and all(type(part) in SCALARS for part in key):
        return key
    if isinstance(key, np.generic):
        return key
    raise refused(f"has a key or an element of a set that is no number, text or flat tuple ({kind.__name__})")


def _plain_dtype(text: Any) -> str:
    text = text.decode("latin1") if type(text) is bytes else text
    if type(text) is not str or text not in _NUMBERS:
        raise refused(f"holds an array of type {str(text)[:20]!r}, which is no plain number")
    return text


def _array(raw: Any, dtype: Any, shape: Any, fortran: bool) -> np.ndarray:
    """An array of plain numbers from its bytes, all of them checked against one another."""
    raw = raw.encode("latin1") if type(raw) is str else raw
    if isinstance(dtype, Unbuilt) and dtype.dtype is not None:
        dtype = np.dtype(dtype.dtype)  # its state was never set: native order
    if not isinstance(dtype, np.dtype) or not isinstance(raw, bytes | bytearray):
        raise refused("holds an array that is no buffer of plain numbers")
    if type(shape) is not tuple or len(shape) > 8 or any(type(size) is not int or size < 0 for size in shape):
        raise refused("holds an array without a plain shape")
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise refused("holds an array whose bytes do not fill its shape")
    return np.frombuffer(bytearray(raw), dtype).reshape(shape, order="F" if fortran else "C")


def pairs_as_dict(pairs: Any) -> dict[Any, Any]:
    if type(pairs) not in (list, tuple) or any(type(pair) not in (list, tuple) or len(pair) != 2 for pair in pairs):
        raise refused("builds a dictionary from something else than pairs")
    return {flat_key(key): value for key, value in pairs}


def _elements(kind: type, values: Any = ()) -> Any:
    if type(values) not in (list, tuple, set, frozenset):
        raise refused("builds a set from something else than a list")
    return kind(flat_key(value) for value in values)


def _text_to_bytes(text: Any, encoding: Any = "latin1") -> bytes:
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise refused("encodes something else than latin1 text")
    return text.encode("latin1")


def _complex(real: Any, imaginary: Any) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise refused("holds a complex number without two parts")
    return complex(real, imaginary)


def _unbuilt_dtype(text: Any, align: Any = 0, copy: Any = 1) -> Unbuilt:
    return Unbuilt(_plain_dtype(text))


def _unbuilt_array(kind: Any, shape: Any, code: Any) -> Unbuilt:
    if type(kind) is not Name or kind.name != "ndarray" or kind.module != "numpy":
        raise refused("rebuilds an array of a class of its own")
    return Unbuilt(None)


def _scalar(dtype: Any, raw: Any) -> Any:
    return _array(raw, dtype, (1,), False)[0]


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    return _array(raw, dtype, shape, order == "F")


CALLS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): lambda pairs=(): pairs_as_dict(pairs),
    ("_codecs", "encode"): _text_to_bytes,
    ("numpy", "dtype"): _unbuilt_dtype,
}
for _module in ("builtins", "__builtin__"):
    CALLS[_module, "set"] = lambda values=(): _elements(set, values)
    CALLS[_module, "frozenset"] = lambda values=(): _elements(frozenset, values)
    CALLS[_module, "complex"] = _complex
    CALLS[_module, "bytes"] = lambda: b""  # how old protocols write no bytes
for _module in ("numpy.core", "numpy._core"):
    CALLS[f"{_module}.multiarray", "scalar"] = _scalar
    CALLS[f"{_module}.multiarray", "_reconstruct"] = _unbuilt_array
    CALLS[f"{_module}.numeric", "_frombuffer"] = _from_buffer
NAMES = {*CALLS, ("numpy", "ndarray")}


def built(target: Any, state: Any) -> Any:
    """What BUILD makes of an array or dtype of ours and the state in the file."""
    if type(target) is not Unbuilt or type(state) is not tuple:
        raise refused(f"sets the state of a {type(target).__name__}, which could run code")
    if target.dtype is None:
        if len(state) != 5 or state[0] != 1:
            raise refused("holds an array in a form that is not known")
        return _array(state[4], state[2], state[1], state[3] is True or state[3] == 1)
    order: Any = state[1] if len(state) > 1 else None
    order = order.decode("latin1") if type(order) is bytes else order
    rest = state[2:]
    if (
        len(state) not in (8, 9)
        or state[0] not in (3, 4)
        or order not in ("<", ">", "|", "=")
        or any(part is not None and (type(part) is not int or part not in (-1, 0)) for part in rest)
    ):
        raise refused("holds a number type that is more than a plain number")
    return np.dtype(target.dtype).newbyteorder(order)
