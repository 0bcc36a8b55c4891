"""JSON of any origin, read so that nothing in it surprises a reader, a page or a terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, TypeGuard

from nas_lightning.runs.files import parse_json

_LARGEST = 1 << 28  # bytes of a result.json; ours have some thousand


def load_json(file: Path, unique: bool = False, any_number: bool = False) -> Any:
    """The content of a JSON file, its texts fit to be shown; `unique` as of `parse_json`; with `any_number` also what
    Python writes beyond JSON, ``-Infinity`` and ``NaN``.

    Raises ValueError: what is wrong, in a few words.
    """
    try:
        if file.stat().st_size > _LARGEST:
            raise ValueError("is too large")
        return _plain(parse_json(file.read_bytes(), unique), any_number)
    except json.JSONDecodeError:
        raise ValueError("is no JSON") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ValueError(str(error).removeprefix("it ")) from None


def _plain(value: Any, any_number: bool = False) -> Any:
    """The same with clean texts. Raises ValueError for numbers that JSON has no place for."""
    if isinstance(value, dict):
        return {clean(key): _plain(inner, any_number) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, any_number) for inner in value]
    if isinstance(value, str):
        return clean(value)
    if any_number or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and not is_number(value):
        raise ValueError("holds a number that is infinite, not defined or beyond 64 bits")
    return value


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether a value of a JSON file is a finite number of usual size."""
    return not isinstance(value, bool) and isinstance(value, int | float) and abs(value) < 2**64


def clean(text: str) -> str:
    """Text without what no page, picture or terminal can show: lone surrogates and control characters.

    >>> clean("a\\ud800b\\x1bc")
    'a\ufffdb\ufffdc'
    """
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]", "\ufffd", text)
