"""Arrays in .npy and .npz files: plain numbers or a ValueError, whatever numpy, zipfile and zlib raise."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np


def read_array(path: Path) -> np.ndarray:
    """The array of an .npy file; objects are not read.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it holds something else, in the words of what failed.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # a damaged header alone raises five kinds, a huge shape MemoryError
        raise ValueError(_words(error)) from None
    if not isinstance(found, np.ndarray):
        raise ValueError("it is an archive of several arrays")
    return found


def read_arrays(path: Path, wanted: Iterable[Iterable[str]]) -> list[np.ndarray]:
    """Arrays of an .npz file, each under the first of its names that is there; objects are not read.

    Raises:
        OSError: the file cannot be opened.
        LookupError: none of the names of one is there.
        ValueError: it holds something else, in the words of what failed.
    """
    names = [list(known) for known in wanted]
    try:
        with np.load(path, allow_pickle=False) as file:
            chosen = [next((k for k in known if k in file.files), "") for known in names]
            if all(chosen):
                return [file[name] for name in chosen]
            has = ", ".join(file.files) or "nothing"
    except OSError:
        raise
    except Exception as error:  # a damaged member raises zipfile's, zlib's, numpy's and struct's own kinds
        raise ValueError(_words(error)) from None
    known = names[chosen.index("")]
    raise LookupError(f"lacks {' or '.join(known[:2])}; it has {has[:120]}")


def _words(error: Exception) -> str:
    if "pickle" in str(error):  # numpy goes on with how to load it unsafely
        return "ValueError: it holds objects, or is a file of another kind"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"
