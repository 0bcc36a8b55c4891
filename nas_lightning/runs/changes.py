"""What a training of a run folder changes of its starting point, and how it is called by that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas_lightning.runs.labels import short
from nas_lightning.runs.reading import Run


def starting_point(run: Run) -> dict[str, Any]:
    """The plan before any heuristic.

    Args:
        run: a training.

    Returns:
        Values by the field's name, ``protocol.learning_rate``.
    """
    plan = run.trained.get("plan") or {}
    flat = {f"{part}.{name}": value for part, fields in plan.items() for name, value in fields.items()}
    return flat | {name: before for name, (before, _) in (run.trained.get("changed") or {}).items()}


def changes_of(run: Run) -> dict[str, dict[str, Any]]:
    """What every heuristic sets to another value than the plan has anyway.

    Args:
        run: a training.

    Returns:
        By factor: values by the field's or the option's name.
    """
    before = starting_point(run)
    found = {}
    for factor, settings in (run.trained.get("heuristics") or {}).items():
        values = settings if isinstance(settings, dict) else {"value": settings}
        if kept := {name: value for name, value in values.items() if name not in before or before[name] != value}:
            found[factor] = kept
    return found


def called(run: Run) -> dict[str, str]:
    """The setting of every factor that the run changes, in words; empty for the unchanged plan.

    Args:
        run: a training. One from before results said it is called by all that its heuristics set.

    Returns:
        Words by factor, as its folder's name has them.
    """
    said: Mapping[str, str] | None = run.trained.get("called")
    if said is not None:
        return dict(said)
    return {factor: short(values, factor) for factor, values in changes_of(run).items()}
