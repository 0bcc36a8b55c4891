"""Pickles from strangers, read with an allow-list: containers, numbers, numpy arrays and CPU tensors' shells, no code.

A pickle names functions and calls them; here every name outside the list is refused before anything is called, and
none of the names on the list runs code of the file's choice.
"""

from __future__ import annotations

import collections
import io
import pickle
from typing import IO, Any

import numpy as np

from nas_lightning.benchmarks.errors import BenchmarkError


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """What older pickles call to make bytes; only the one encoding that they use."""
    if encoding != "latin1":
        raise BenchmarkError(f"the pickle encodes text as {encoding}; official files use latin1 alone")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("__builtin__", "frozenset"): frozenset,
    ("builtins", "complex"): complex,
    ("_codecs", "encode"): _latin1,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _ALLOWED[_module, "scalar"] = np._core.multiarray.scalar  # type: ignore[attr-defined]
    _ALLOWED[_module, "_reconstruct"] = np._core.multiarray._reconstruct  # type: ignore[attr-defined]


class RestrictedUnpickler(pickle.Unpickler):
    """Refuses every global outside the allow-list, and persistent objects."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise BenchmarkError(
                f"the pickle asks for {module}.{name}, which could run code; it was not read further "
                "(official benchmark files hold containers and numbers alone)"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise BenchmarkError(
            "the pickle refers to stored tensors; use the version of the benchmark without trained weights"
        )


def load(source: bytes | IO[bytes], what: str) -> Any:
    """Unpickle with the allow-list. Raises BenchmarkError for anything refused or damaged, naming `what`."""
    try:
        return RestrictedUnpickler(io.BytesIO(source) if isinstance(source, bytes) else source).load()
    except BenchmarkError as error:
        raise BenchmarkError(f"{what}: {error}") from None
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise BenchmarkError(
            f"{what} is damaged or incomplete ({type(error).__name__}: {str(error)[:120]}); fetch it again"
        ) from None
