"""What stands where in a result.json: enough of its shape that no reader meets another type than it expects.

A shape is a type, a tuple of alternatives, a mapping of entries (each may be missing, others may stand beside them),
``[shape]`` for a list of such, or ``Each(shape)`` for a mapping whose entries are all of one shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Each:
    """A mapping with entries of one shape under any name."""

    inner: Any


NUMBER = (int, float)
_MAYBE = (int, float, type(None))
_TEXT = (str, type(None))

RECORD: dict[str, Any] = {
    "n": int,
    **dict.fromkeys(("kendall_tau", "sparse_kendall_tau", "spearman", "kendall_tau_top10pct"), _MAYBE),
    **dict.fromkeys(("supernet_accuracy", "optimization_gap"), _MAYBE),
    "kendall_tau_interval": {"low": _MAYBE, "high": _MAYBE},
    "final_search_performance": {"mean": _MAYBE, "std": _MAYBE, "best": _MAYBE},
    "probability_beats_random": ({"probability": _MAYBE}, type(None)),
    "note": _TEXT,
}
"""Of one predictor, as `nas_lightning.ranking.summary` writes it."""

_NEEDED = ("n", "kendall_tau", "kendall_tau_interval", "kendall_tau_top10pct", "final_search_performance")

RESULT: dict[str, Any] = {
    **dict.fromkeys(("kind", "status", "space", "dataset", "run_hash"), str),
    **dict.fromkeys(("study", "recipe", "reason"), _TEXT),
    "seed": int,
    "init_seed": (int, type(None)),
    "plan": Each(dict),
    "heuristics": dict,
    "changed": Each([object]),
    "ablation": ({"factor": _TEXT, "setting": (str, int, float, type(None))}, type(None)),
    "evaluation": (
        {
            **dict.fromkeys(("score", "headline", "architecture_set", "split", "batch_norm", "precision"), str),
            "n_images": int,
            "batch_size": int,
            "predictors": (Each(str), type(None)),
        },
        type(None),
    ),
    "benchmark": ({"name": _TEXT, "best": _MAYBE}, type(None)),
    "data": (dict, type(None)),
    "evaluated": ({"top_k": int, "sparse_threshold": NUMBER}, type(None)),
    "ceiling": (Each({"tau": _MAYBE, "n": int}), type(None)),
    "cost": ({"passes": _MAYBE, "unit": str}, type(None)),
    "algorithm": ({"name": str}, str, type(None)),
    "objective": ({"name": _TEXT}, type(None)),
}
_OF_KIND: dict[str, dict[str, Any]] = {
    **{key: {"metrics": Each(RECORD), "baselines": (Each(RECORD), type(None))} for key in ("train", "evaluation")},
    "search": {
        "metrics": (
            {
                "pareto": (
                    {"measures": [str], "front": [dict], "reference": (dict, type(None)), "hypervolume": _MAYBE},
                    type(None),
                )
            },
            type(None),
        )
    },
}


def wrong_shape(result: Mapping[str, Any]) -> str:
    """The first entry that no run of ours has written, in words; empty where all are right."""
    kind = result.get("kind")
    of_kind = _OF_KIND.get(kind, {"metrics": (dict, type(None))}) if isinstance(kind, str) else {}
    if wrong := _wrong(result, RESULT | of_kind, ""):
        return wrong
    ranked = kind in ("train", "evaluation") and result.get("benchmark", {}) is not None  # benchmark=none ranks nothing
    for part in ("metrics", "baselines") if ranked else ():
        for name, record in (result.get(part) or {}).items():
            if missing := [key for key in _NEEDED if key not in record]:
                return f"{part}.{name:.60} lacks {', '.join(missing)}"
            if None in (record["kendall_tau_interval"], record["final_search_performance"]):
                return f"{part}.{name:.60} lacks its interval or its final search performance"
    for name, values in (result.get("changed") or {}).items():
        if len(values) != 2:
            return f"changed.{name:.60} holds {len(values)} values in place of before and after"
    if kind == "evaluation" and not isinstance(result.get("evaluation"), dict):
        return "evaluation is missing"
    return ""


def _wrong(value: Any, shape: Any, path: str) -> str:
    alternatives = shape if isinstance(shape, tuple) else (shape,)
    if any(_is(value, one) for one in alternatives):
        whole = next(one for one in alternatives if _is(value, one))
        if isinstance(whole, Mapping):
            inner = [(name, whole[name], value[name]) for name in value if name in whole]
        elif isinstance(whole, Each):
            inner = [(name, whole.inner, found) for name, found in value.items()]
        elif isinstance(whole, list):
            inner = [(str(i), whole[0], found) for i, found in enumerate(value)]
        else:
            return ""
        found = (_wrong(v, s, f"{path}.{name:.60}" if path else f"{name:.60}") for name, s, v in inner)
        return next((text for text in found if text), "")
    return f"{path} is of type {type(value).__name__}"


def _is(value: Any, shape: Any) -> bool:
    if isinstance(shape, Mapping | Each):
        return isinstance(value, dict)
    if isinstance(shape, list):
        return isinstance(value, list)
    return isinstance(value, shape) and not (isinstance(value, bool) and shape in (int, float))
