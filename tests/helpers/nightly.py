"""Which cases of a product are tried at every change, and which with ``pytest -m nightly``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def rest_nightly(cases: Iterable[Any], at_once: Callable[..., bool]) -> list[Any]:
    """All cases; those for which `at_once` is false bear the marker `nightly`.

    Args:
        cases: tuples of arguments, or `pytest.param` of them.
        at_once: of the arguments of a case.

    Returns:
        The cases as `pytest.mark.parametrize` takes them.
    """
    found = []
    for case in cases:
        param = case if hasattr(case, "values") else pytest.param(*case)
        marks = () if at_once(*param.values) else (pytest.mark.nightly,)
        found.append(pytest.param(*param.values, id=param.id, marks=(*param.marks, *marks)))
    return found
