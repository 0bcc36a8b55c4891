"""How a change of heuristics is called: in folder names, results and reports, and by loggers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

COMBINATION = "combination"
"""The factor of a run that changes several."""


def short(settings: Any, factor: str = "") -> str:
    """A heuristic's settings in a few words; what the factor already says is not repeated.

    >>> short({"value": 0.05}), short({"track": True, "affine": False})
    ('0.05', 'track=true, affine=false')
    >>> short({"protocol.paths_per_step": 5, "protocol.sampling": "fairnas"}, "sampling")
    'fairnas, paths_per_step=5'
    """

    def text(value: Any) -> str:
        return json.dumps(value) if isinstance(value, bool) or value is None else str(value)

    if not isinstance(settings, Mapping):
        return text(settings)
    values = {k.removeprefix("protocol.").removeprefix("mapping."): v for k, v in settings.items() if k[:1] != "_"}
    if len(values) == 1:
        return text(next(iter(values.values())))
    own = [text(values.pop(factor))] if factor in values else []
    return ", ".join([*own, *(f"{k}={text(v)}" for k, v in values.items())]) or "on"


def combined(changes: Mapping[str, str]) -> str:
    """The setting of a run that changes several factors.

    >>> combined({"batch_norm": "tracked", "sampling": "fairnas"})
    'batch_norm: tracked + sampling: fairnas'
    """
    return " + ".join(f"{factor}: {setting}" for factor, setting in changes.items())


LONGEST = 100
"""Characters of the part of a folder's name that says what was changed."""


def file_name(text: str) -> str:
    """A text in the characters that every file system and shell takes: letters, digits and ``._-``.

    >>> file_name("../a b/c")
    'a-b-c'
    """
    return re.sub(r"[^\w.]+", "-", text, flags=re.ASCII).strip("-.")


def folder_part(changes: Mapping[str, str]) -> str:
    """What a run changes as a part of its folder's name; empty for the unchanged plan.

    Args:
        changes: the setting of every factor that is changed, in words.

    Returns:
        Letters, digits and ``.+-_`` alone, at most `LONGEST`.

    >>> folder_part({"sampling": "fairnas, paths_per_step=5", "channels": "16"})
    'channels-16+sampling-fairnas-paths_per_step-5'
    """
    text = "+".join(sorted(file_name(f"{factor}-{setting}") for factor, setting in changes.items()))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4].rstrip('-.+')}-etc"


def with_typed(changes: Mapping[str, str], typed: Mapping[str, str]) -> dict[str, str]:
    """What a run is named by: typed fields of the plan by their last part, and what the heuristics change.

    Args:
        changes: the setting of every factor that is changed, in words; where both have a name, this counts.
        typed: values by the field's name.

    >>> with_typed({"sampling": "fairnas"}, {"protocol.epochs": "3"})
    {'epochs': '3', 'sampling': 'fairnas'}
    """
    return {name.rpartition(".")[2]: value for name, value in typed.items()} | dict(changes)


def change(changes: Mapping[str, str]) -> tuple[str, str]:
    """Factor and setting of a run.

    Args:
        changes: the setting of every factor that is changed, in words.

    >>> change({}), change({"channels": "16"})
    (('baseline', 'baseline'), ('channels', '16'))
    >>> change({"epochs": "5", "channels": "16"})
    ('combination', 'channels: 16 + epochs: 5')
    """
    if len(changes) > 1:
        return COMBINATION, combined(dict(sorted(changes.items())))
    return next(iter(changes.items()), ("baseline", "baseline"))
