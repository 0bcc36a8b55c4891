"""From runs to statements: which settings were run under equal conditions, and what changed against the reference.

A *condition* is what must be equal for two runs to be compared: space, data set, recipe, benchmark, evaluated set,
split, image size, augmentation, batch size, score, a fixed initialization, and the starting point, which is the plan
before any heuristic (other epochs by ``plan.…``, say). The *reference* of a condition is its run labelled
``baseline`` or, where none is, the setting that each factor has most often: in an isolated study every factor stays
there but one. A run that differs from it in one factor is a row of the ablation; in several, a combination.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nas_lightning.ranking.comparison import (
    Difference,
    Effect,
    factorial_effects,
    hierarchical_bootstrap,
    holm,
    verdict,
)
from nas_lightning.ranking.uncertainty import affordable_replicates
from nas_lightning.runs.labels import COMBINATION, combined, short
from nas_lightning.runs.reading import COMPLETE, Run

REFERENCE = "reference"
MEASURES = {
    "supernet_accuracy": "super-net accuracy",
    "kendall_tau": "Kendall tau",
    "sparse_kendall_tau": "s-KdT",
    "final_search_performance": "final search performance",
    "probability_beats_random": "P > R",
}


def measure(run: Run, name: str) -> float:
    """One number of `MEASURES` from the run's result, NaN where it is not defined. Accuracies are fractions."""
    metrics = run.result.get("metrics") or {}
    if name == "supernet_accuracy":
        value = (metrics.get("accuracy") or {}).get(name)
        return float(value) if isinstance(value, int | float) else math.nan
    return value_of(run.record, name)


def value_of(record: Mapping[str, Any], name: str) -> float:
    """One number of `MEASURES` from a predictor's record, NaN where it is not defined."""
    value = record.get(name)
    inner = {"final_search_performance": "mean", "probability_beats_random": "probability"}.get(name)
    if inner and isinstance(value, dict):
        value = value.get(inner)
    return float(value) if isinstance(value, int | float) else math.nan


@dataclass
class Setting:
    """All runs of one setting under one condition; `difference` is to the condition's reference, seed by seed."""

    factor: str
    setting: str
    runs: list[Run]
    changes: dict[str, str] = field(default_factory=dict)  # factor -> setting, where it differs from the reference
    level: Difference | None = None  # mean tau over seeds, with its interval
    difference: Difference | None = None
    p_holm: float = math.nan
    verdict: str = ""
    note: str = ""

    @property
    def seeds(self) -> list[int]:
        return sorted(run.seed for run in self.runs)

    @property
    def n(self) -> str:
        """Runs × architectures that the tau of each was taken on, such as ``5 × 200``."""
        sizes = sorted({int(run.record["n"]) for run in self.runs if "n" in run.record})
        return f"{len(self.runs)} × {' or '.join(map(str, sizes)) or '0'}"

    def values(self, name: str) -> np.ndarray:
        """The measure of every run, float64 [runs], NaN where it is not defined."""
        return np.array([measure(run, name) for run in self.runs])


@dataclass
class Condition:
    """Runs that may be compared: `about` says under which conditions, settings[0] is the reference."""

    space: str
    dataset: str
    label: str
    about: dict[str, Any]
    settings: list[Setting]
    factors: dict[str, str]  # factor -> setting of the reference
    effects: list[Effect] = field(default_factory=list)

    @property
    def reference(self) -> Setting:
        return self.settings[0]


def conditions_of(runs: Sequence[Run], replicates: int = 2000) -> tuple[list[Condition], list[str]]:
    """The comparable groups of all complete super-net runs, compared; and remarks about runs that stood in two folders.

    Raises ValueError where a ranking.parquet cannot be read.
    """
    remarks: list[str] = []
    distinct: dict[str, Run] = {}
    for run in runs:
        if run.status == COMPLETE and run.kind == "train":
            name = str(run.result["run_hash"])
            if name in distinct:
                remarks.append(f"{run.path} repeats {distinct[name].path} (run hash {name}) and is counted once")
            distinct.setdefault(name, run)
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in distinct.values():
        groups[json.dumps(_conditions(run), sort_keys=True)].append(run)
    found = [c for key in sorted(groups) for c in _split(json.loads(key), groups[key])]
    found.sort(key=lambda c: (c.space, c.dataset))
    for condition in found:
        _compare(condition, replicates)
    _adjust(found)
    _name(found)
    return found, remarks


def _conditions(run: Run) -> dict[str, Any]:
    evaluation = dict(run.result.get("evaluation") or {})
    # These follow from heuristics (batch norm, train portion, dynamic channel off): part of what is compared.
    for name in ("batch_norm", "n_images", "n_architectures", "architectures_sha256"):
        evaluation.pop(name, None)
    # Results from before these were recorded.
    evaluation.setdefault("precision", "32-true")
    evaluation.setdefault("architecture_set_version", 1)
    benchmark = run.result.get("benchmark") or {}
    data = run.result.get("data") or {}
    return {
        "space": run.result["space"],
        "dataset": run.result["dataset"],
        "recipe": run.result.get("recipe"),
        "init_seed": run.result.get("init_seed"),
        "image_size": data.get("image_size"),
        "augment": data.get("augment", True),  # the default of the runs from before it was recorded
        "benchmark": benchmark.get("name"),
        "benchmark_sha256": benchmark.get("sha256"),
        **evaluation,
    }


def _signature(run: Run) -> dict[str, str]:
    return {f: json.dumps(s, sort_keys=True) for f, s in (run.result.get("heuristics") or {}).items()}


def _label(run: Run) -> str:
    ablation = run.result.get("ablation") or {}
    return f"{ablation.get('factor')}/{ablation.get('setting')}"


def _reference_signature(runs: Sequence[Run]) -> dict[str, str]:
    for run in runs:
        if "baseline" in _label(run).split("/"):
            return _signature(run)
    # A factor that a run does not mention stands at its default, which is a setting like any other.
    distinct = [json.loads(text) for text in sorted({json.dumps(_signature(run), sort_keys=True) for run in runs})]
    factors = sorted({f for signature in distinct for f in signature})
    modal = {f: Counter(signature.get(f) for signature in distinct).most_common(1)[0][0] for f in factors}
    # Only a signature that was really run can be a reference: the one that shares most settings with the mode.
    return max(distinct, key=lambda signature: sum(signature.get(f) == v for f, v in modal.items()))


def _starting_point(run: Run) -> dict[str, Any]:
    """The plan before any heuristic, by field."""
    plan = run.result.get("plan") or {}
    flat = {f"{part}.{name}": value for part, fields in plan.items() for name, value in fields.items()}
    return flat | {name: before for name, (before, _) in (run.result.get("changed") or {}).items()}


def _split(about: dict[str, Any], runs: list[Run]) -> list[Condition]:
    """One condition a starting point; of several, each is told apart by the fields that differ."""
    points = [_starting_point(run) for run in runs]
    # Runs from before a field existed had one value of it: they are compared by the fields that all of them have.
    known = sorted(set.intersection(*(set(point) for point in points)))
    varying = [name for name in known if len({json.dumps(point[name]) for point in points}) > 1]
    members: dict[str, list[Run]] = defaultdict(list)
    for run, point in zip(runs, points, strict=True):
        members[json.dumps({name: point[name] for name in varying})].append(run)
    whole = _reference_signature(runs)
    found = []
    for key in sorted(members):
        own = members[key]
        # The reference of all, where this starting point was run with it too.
        reference = whole if any(_signature(run) == whole for run in own) else _reference_signature(own)
        found.append(_condition(about | ({"plan": json.loads(key)} if varying else {}), own, reference))
    return found


def _condition(about: dict[str, Any], runs: list[Run], reference: dict[str, str]) -> Condition:
    names: dict[tuple[str, str], str] = {}
    for run in runs:
        ablation, signature = run.result.get("ablation") or {}, _signature(run)
        factor = str(ablation.get("factor"))
        # The label is the setting's name only if this run changes nothing else that the file could mean.
        if factor in signature:
            names.setdefault((factor, signature[factor]), str(ablation.get("setting")))

    def named(factor: str, signature: dict[str, str]) -> str:
        text = signature.get(factor)
        return "default" if text is None else names.get((factor, text)) or short(json.loads(text), factor)

    grouped: dict[str, Setting] = {}
    for run in runs:
        signature = _signature(run)
        changes = {
            f: named(f, signature)
            for f in sorted(set(signature) | set(reference))
            if signature.get(f) != reference.get(f)
        }
        if not changes:
            factor, name = REFERENCE, "baseline"
        elif len(changes) == 1:
            ((factor, name),) = changes.items()
        else:
            factor, name = COMBINATION, combined(changes)
        key = json.dumps({f: signature.get(f) for f in changes}, sort_keys=True)
        grouped.setdefault(key, Setting(factor, name, [], changes)).runs.append(run)
    rank = {REFERENCE: 0, COMBINATION: 2}
    settings = sorted(grouped.values(), key=lambda s: (rank.get(s.factor, 1), s.factor, _natural(s.setting)))
    for setting in settings:
        setting.runs.sort(key=lambda run: (run.seed, str(run.path)))
    factors = {f: named(f, reference) for f in reference}
    return Condition(about["space"], about["dataset"], "", about, settings, factors)


def _natural(name: str) -> list[tuple[float, str]]:
    """Sorts b64 before b128."""
    parts = re.split(r"(\d+(?:\.\d+)?)", name)
    return [(float(part), "") if i % 2 else (-1.0, part) for i, part in enumerate(parts)]


def _paired(runs: Sequence[Run]) -> tuple[list[np.ndarray], np.ndarray]:
    """Predictions of every run and the truth on the architectures that all of them ranked, in one order."""
    tables = [run.ranking for run in runs]
    common: set[str] | None = None
    for table in tables:
        if not table:
            return [], np.empty(0)
        usable = ~(np.isnan(table["truth"]) | np.isnan(table["prediction"]))
        names = set(table["architecture"][usable].tolist())
        common = names if common is None else common & names
    order = sorted(common or ())
    rows = []
    for table in tables:
        index = {name: i for i, name in enumerate(table["architecture"].tolist())}
        rows.append(np.array([index[name] for name in order], np.int64))
    predictions = [table["prediction"][row] for table, row in zip(tables, rows, strict=True)]
    return predictions, tables[0]["truth"][rows[0]] if tables else np.empty(0)


def _by_seed(setting: Setting) -> dict[int, Run]:
    found: dict[int, Run] = {}
    for run in setting.runs:
        found.setdefault(run.seed, run)
    return found


def _compare(condition: Condition, replicates: int) -> None:
    reference = _by_seed(condition.reference)
    for setting in condition.settings:
        mine = _by_seed(setting)
        if len(mine) < len(setting.runs):
            setting.note = f"{len(setting.runs) - len(mine)} runs repeat a seed and count in the means alone"
        predictions, truth = _paired(list(mine.values()))
        if len(truth) >= 2:
            affordable = affordable_replicates(len(truth), replicates)
            setting.level = hierarchical_bootstrap(np.array(predictions), truth, replicates=affordable)
        if setting is condition.reference:
            continue
        shared = sorted(set(mine) & set(reference))
        if not shared:
            setting.note = "shares no seed with the reference"
            setting.verdict = "not decided (0 seeds)"
            continue
        both, truth = _paired([mine[s] for s in shared] + [reference[s] for s in shared])
        if len(truth) < 2:
            setting.note = "shares no ranked architectures with the reference"
            setting.verdict = "not decided (no common architectures)"
            continue
        half = len(shared)
        images = [
            sorted({str((r.result.get("evaluation") or {}).get("n_images")) for r in s.runs})
            for s in (setting, condition.reference)
        ]
        if images[0] != images[1]:
            setting.note = f"scored on {' or '.join(images[0])} images, the reference on {' or '.join(images[1])}"
        setting.difference = hierarchical_bootstrap(
            np.array(both[:half]),
            truth,
            np.array(both[half:]),
            replicates=affordable_replicates(len(truth), replicates),
        )
    if any(s.factor == COMBINATION for s in condition.settings):
        condition.effects = _effects(condition)


def _effects(condition: Condition) -> list[Effect]:
    varied = sorted({f for s in condition.settings if s.factor == COMBINATION for f in s.changes})
    rows, values, seeds = [], [], []
    for setting in condition.settings:
        if set(setting.changes) <= set(varied):
            for seed, run in _by_seed(setting).items():
                tau = measure(run, "kendall_tau")
                if not math.isnan(tau):
                    rows.append({f: setting.changes.get(f, condition.factors.get(f, "default")) for f in varied})
                    values.append(tau)
                    seeds.append(seed)
    return factorial_effects(rows, values, seeds, {f: condition.factors.get(f, "default") for f in varied})


def _adjust(conditions: Sequence[Condition]) -> None:
    """Holm's correction within a factor, over its settings and conditions; then the verdicts."""
    families: dict[str, list[Setting]] = defaultdict(list)
    for condition in conditions:
        for setting in condition.settings:
            if setting.difference is not None:
                families[setting.factor].append(setting)
    for members in families.values():
        for setting, p in zip(members, holm([s.difference.p for s in members if s.difference]), strict=True):
            assert setting.difference is not None
            setting.p_holm = float(p)
            setting.verdict = verdict(setting.difference, setting.p_holm)


def _told_apart(name: str, value: Any) -> str:
    """``epochs=12`` of a plan, else the value, which says what it is (a recipe, a set) unless it is a number."""
    if name == "plan":  # only where there are several
        return ", ".join(f"{field.split('.')[-1]}={short(v)}" for field, v in (value or {}).items())
    if value is None:
        return f"no {name.replace('_', ' ')}"
    return f"{name.replace('_', ' ')} {short(value)}" if isinstance(value, bool | int | float) else short(value)


def _name(conditions: Sequence[Condition]) -> None:
    """Labels: space and data set, and what else tells conditions of one space and data set apart."""
    for condition in conditions:
        twins = [c for c in conditions if (c.space, c.dataset) == (condition.space, condition.dataset)]
        differing = [
            k
            for k in sorted({k for c in twins for k in c.about} - {"benchmark_sha256"})
            if len({json.dumps(c.about.get(k), sort_keys=True) for c in twins}) > 1
        ]
        extra = [text for k in differing if (text := _told_apart(k, condition.about.get(k)))]
        condition.label = ", ".join([f"{condition.space} on {condition.dataset}", *extra])
