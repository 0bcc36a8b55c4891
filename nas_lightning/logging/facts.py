"""What a logger is told about a run, as plain values that panels can group and filter by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas_lightning.runs.labels import change, folder_part, with_typed
from nas_lightning.runs.quality import quality_of


@dataclass(frozen=True)
class RunFacts:
    """Identity and settings of one run."""

    folder: Path
    run_hash: str
    kind: str
    """train, standalone, search or eval: the W&B job type."""
    space: str
    dataset: str
    seed: int
    plan: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """``{"mapping": {…}, "protocol": {…}}`` as resolved."""
    heuristics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings of the heuristics that are not at their default, by factor."""
    changes: Mapping[str, str] = field(default_factory=dict)
    """What these change of the starting point, in words, by factor."""
    starting_point: Mapping[str, str] = field(default_factory=dict)
    """Fields of the plan that were typed beside them, in words: another starting point than the recipe's."""
    study: str | None = None
    recipe: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else belongs into the config, such as the evaluation's conditions."""

    @property
    def name(self) -> str:
        """For people: what was varied, the space and the seed."""
        if self.kind == "search":
            return f"{self.space} {self.algorithm} seed{self.seed}"
        varied = folder_part(with_typed(self.changes, self.starting_point))
        return f"{self.space} {varied or 'baseline'} seed{self.seed}"

    @property
    def tags(self) -> list[str]:
        """Space, data set, every factor that is changed, and the algorithm of a search."""
        return [self.space, self.dataset, *sorted(self.changes), *filter(None, [self.algorithm])]

    @property
    def algorithm(self) -> str:
        """Name of the search algorithm, empty for other runs."""
        return str((self.extra.get("algorithm") or {}).get("name", ""))

    def config(self) -> dict[str, Any]:
        """The resolved config as nested plain numbers, booleans and strings.

        Nested, not flat: W&B's panels read a dotted name such as ``protocol.learning_rate`` as a path.
        """
        factor, setting = change(self.changes)
        if self.starting_point:  # never grouped with the runs of the plan as it is
            from_there = ", ".join(f"{name}={value}" for name, value in sorted(self.starting_point.items()))
            factor, setting = (factor, f"{setting} ({from_there})") if self.changes else ("starting_point", from_there)
        known = {
            "space": self.space,
            "dataset": self.dataset,
            "seed": self.seed,
            "kind": self.kind,
            "run_hash": self.run_hash,
            "study": self.study,
            "recipe": self.recipe,
            "ablation": {"factor": factor, "setting": setting},
            **self.plan,
            "heuristics": self.heuristics,
            "changed": dict.fromkeys(self.changes, True),
            **self.extra,
        }
        return {key: plain(value) for key, value in known.items()}


def plain(value: Any) -> Any:
    """The same of dicts, lists, numbers, booleans, strings and None; NaN and infinities become None, others strings.

    >>> plain({"rate": float("nan"), "sizes": (1, 2), "track": False})
    {'rate': None, 'sizes': [1, 2], 'track': False}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if value is None or isinstance(value, bool | str):
        return value
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Sequence):
        return [plain(v) for v in value]
    return str(value)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one level, names joined by a slash (a dot would be read as a path by W&B's panels).

    >>> flatten({"baselines": {"parameters": {"kendall_tau": 0.5}}, "n": 1})
    {'baselines/parameters/kendall_tau': 0.5, 'n': 1}
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found.update(flatten(value, f"{prefix}{key}/"))
        else:
            found[f"{prefix}{key}"] = plain(value)
    return found


def final_numbers(result: Mapping[str, Any]) -> dict[str, float | bool]:
    """The numbers of a result.json for a run's summary: those of the score that counts bear their own names.

    ``kendall_tau``, ``supernet_accuracy`` (``supernet_<quality>``) …, then the rest by path:
    ``by_negative_cross_entropy/kendall_tau``, ``baselines/parameters/kendall_tau``, ``ceiling/noise/tau``,
    ``cost/passes``. A quality that people read as another number stands there as that one, too:
    ``supernet_perplexity``.
    """
    quality = quality_of(result)
    metrics, evaluation = dict(result.get("metrics") or {}), result.get("evaluation") or {}
    score = str(evaluation.get("headline") or evaluation.get("score", quality.name))
    main = metrics.pop(score, None)
    nested: dict[str, Any] = {}
    if isinstance(main, Mapping):
        nested |= main
        nested |= {f"by_{name}": record for name, record in metrics.items() if isinstance(record, Mapping)}
        own, shared = metrics.get(quality.name), f"supernet_{quality.name}"
        if shared not in main and isinstance(own, Mapping):
            nested[shared] = own.get(shared)
    else:
        nested |= metrics
    nested |= {name: result[name] for name in ("baselines", "ceiling", "cost") if isinstance(result.get(name), Mapping)}
    flat = flatten(nested)
    found = {k: v for k, v in flat.items() if isinstance(v, bool | int | float)}
    if quality.shown_name:
        shown = [k for k in found if k.endswith(quality.name) and not isinstance(found[k], bool)]
        found |= {k.removesuffix(quality.name) + quality.shown_name: quality.show(found[k]) for k in shown}
    return found
