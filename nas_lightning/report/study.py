"""From runs to statements: which settings were run under equal conditions, and what changed against the reference.

A *condition* is what must be equal for two runs to be compared: space, data set, recipe, benchmark, evaluated set,
split, image size, augmentation, batch size, score, a fixed initialization, and the starting point, which is the plan
before any heuristic (other epochs by ``plan.…``, say).

A run is called by what it changes: what a heuristic sets to the value that the plan has anyway is no change. The
*baseline* of a condition are its runs of the unchanged plan; where there are none, nothing is compared. A run that
changes one factor is a row of the ablation; one that changes several, a combination.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
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
from nas_lightning.runs.changes import called, changes_of, starting_point
from nas_lightning.runs.labels import COMBINATION, combined, short
from nas_lightning.runs.quality import Quality, items_of
from nas_lightning.runs.reading import COMPLETE, Run
from nas_lightning.runs.result import shared_quality

BASELINE = "baseline"
"""Factor and setting of the unchanged plan, and of nothing else."""
MEASURES = {
    "supernet_quality": "quality with shared weights",
    "kendall_tau": "Kendall tau",
    "sparse_kendall_tau": "s-KdT",
    "final_search_performance": "final search performance",
    "probability_beats_random": "P > R",
}
IN_QUALITY = ("supernet_quality", "final_search_performance")
"""Those in the unit of the task's quality."""


def measure(run: Run, name: str) -> float:
    """One number of `MEASURES` of a run.

    Args:
        run: a training of a super-net.
        name: a key of `MEASURES`.

    Returns:
        The number as the result has it (an accuracy is a fraction), NaN where it is not defined.
    """
    if name == "supernet_quality":
        value = shared_quality(run.own_record, run.quality.name)
        return math.nan if value is None else value
    return value_of(run.record, name)


def value_of(record: Mapping[str, Any], name: str) -> float:
    """One number of `MEASURES` from a predictor's record, NaN where it is not defined."""
    value = record.get(name)
    inner = {"final_search_performance": "mean", "probability_beats_random": "probability"}.get(name)
    if inner and isinstance(value, dict):
        value = value.get(inner)
    return float(value) if isinstance(value, int | float) else math.nan


def one_quality(qualities: Iterable[Quality]) -> Quality | None:
    """The quality that all share; None where there are none or several."""
    found = set(qualities)
    return found.pop() if len(found) == 1 else None


@dataclass
class Setting:
    """All runs of one setting under one condition; `difference` is to the condition's baseline, seed by seed."""

    factor: str
    setting: str
    runs: list[Run]
    changes: dict[str, str] = field(default_factory=dict)  # factor -> setting, where it differs from the plan
    level: Difference | None = None  # mean tau over seeds, with its interval
    difference: Difference | None = None
    p_holm: float = math.nan
    verdict: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        """What it changes: ``sampling: fairnas``, ``channels: half + sampling: fairnas``, or ``baseline``."""
        return combined(self.changes) if self.changes else BASELINE

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
    """Runs that may be compared: `about` says under which conditions. The baseline, where there is one, is first."""

    space: str
    dataset: str
    label: str
    about: dict[str, Any]
    settings: list[Setting]
    effects: list[Effect] = field(default_factory=list)

    @property
    def baseline(self) -> Setting | None:
        """The runs of the unchanged plan; None where there are none."""
        return self.settings[0] if not self.settings[0].changes else None

    @property
    def quality(self) -> Quality:
        """What its networks are judged by; runs of several qualities are of several conditions."""
        return self.settings[0].runs[0].quality

    @property
    def beside(self) -> Setting:
        """The setting whose architectures the free baselines and ceilings are quoted on."""
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
                remarks.append(f"{run.shown} repeats {distinct[name].shown} (run hash {name}) and is counted once")
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
    evaluation: dict[str, Any] = dict(run.ranked.get("evaluation") or {})
    # These follow from heuristics (batch norm, train portion, dynamic channel off): part of what is compared.
    for name in ("batch_norm", "n_images", "n_architectures", "architectures_sha256"):
        evaluation.pop(name, None)
    for name in ("headline", "predictors"):  # said by the score
        evaluation.pop(name, None)
    evaluation["score"] = run.score
    # Results from before these were recorded.
    evaluation.setdefault("precision", "32-true")
    evaluation.setdefault("architecture_set_version", 1)
    benchmark = run.ranked.get("benchmark") or {}
    data = run.trained.get("data") or {}
    return {
        "space": run.result["space"],
        "dataset": run.result["dataset"],
        "quality": asdict(run.quality),
        "recipe": run.trained.get("recipe"),
        "init_seed": run.trained.get("init_seed"),
        "image_size": data.get("image_size"),
        "augment": data.get("augment", True),  # the default of the runs from before it was recorded
        "benchmark": benchmark.get("name"),
        "benchmark_sha256": benchmark.get("sha256"),
        **evaluation,
    }


def _signature(run: Run) -> dict[str, str]:
    return {factor: json.dumps(values, sort_keys=True) for factor, values in changes_of(run).items()}


def _names_a_default(run: Run) -> bool:
    return set(run.trained.get("heuristics") or {}) > set(changes_of(run))


def _split(about: dict[str, Any], runs: list[Run]) -> list[Condition]:
    """One condition a starting point; of several, each is told apart by the fields that differ."""
    points = [starting_point(run) for run in runs]
    # Runs from before a field existed had one value of it: they are compared by the fields that all of them have.
    known = sorted(set.intersection(*(set(point) for point in points)))
    varying = [name for name in known if len({json.dumps(point[name]) for point in points}) > 1]
    members: dict[str, list[Run]] = defaultdict(list)
    for run, point in zip(runs, points, strict=True):
        members[json.dumps({name: point[name] for name in varying})].append(run)
    return [_condition(about | ({"plan": json.loads(key)} if varying else {}), members[key]) for key in sorted(members)]


def _condition(about: dict[str, Any], runs: list[Run]) -> Condition:
    names: dict[str, dict[str, str]] = defaultdict(dict)  # factor -> signature -> name
    for run in runs:
        ablation, signature = run.trained.get("ablation") or {}, _signature(run)
        factor, name = str(ablation.get("factor")), str(ablation.get("setting"))
        # An ablation's name is the setting's only where it means one thing.
        if factor in signature and name not in names[factor].values():
            names[factor].setdefault(signature[factor], name)

    every: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        for factor, text in _signature(run).items():
            every[factor].add(text)

    words: dict[str, dict[str, str]] = defaultdict(dict)  # of options, whose usual values the run alone knows
    for run in runs:
        signature, said = _signature(run), called(run) if "called" in run.trained else {}
        for factor, text in signature.items():
            if factor in said and any("." not in name for name in json.loads(text)):
                words[factor].setdefault(text, said[factor])

    def named(factor: str, text: str) -> str:
        own = words[factor].get(text)
        if own is not None and list(words[factor].values()).count(own) > 1:
            own = None
        return names[factor].get(text) or own or short(_telling(factor, text, every[factor]), factor)

    grouped: dict[str, Setting] = {}
    for run in runs:
        signature = _signature(run)
        changes = {factor: named(factor, signature[factor]) for factor in sorted(signature)}
        if not changes:
            factor, name = BASELINE, BASELINE
        elif len(changes) == 1:
            ((factor, name),) = changes.items()
        else:
            factor, name = COMBINATION, combined(changes)
        key = json.dumps(signature, sort_keys=True)
        grouped.setdefault(key, Setting(factor, name, [], changes)).runs.append(run)
    rank = {BASELINE: 0, COMBINATION: 2}
    settings = sorted(grouped.values(), key=lambda s: (rank.get(s.factor, 1), s.factor, natural(s.setting)))
    for setting in settings:
        setting.runs.sort(key=lambda run: (run.seed, str(run.path)))
        _once(setting)
    return Condition(about["space"], about["dataset"], "", about=about, settings=settings)


def _telling(factor: str, text: str, every: Iterable[str]) -> dict[str, Any]:
    """Of a setting's values the factor's own (``sampling``) and those in which others of the same own value differ.

    >>> _telling("sampling", '{"sampling": "fairnas", "paths": 5}', ['{"sampling": "fairnas", "paths": 5}'])
    {'sampling': 'fairnas'}
    """
    values: dict[str, Any] = json.loads(text)
    own = next((name for name in values if name.rpartition(".")[2] == factor), None)
    if own is None:
        return values
    alike = [other for other in map(json.loads, every) if other.get(own) == values[own]]
    kept = {name for name in values if any(other.get(name) != values[name] for other in alike)}
    return {name: value for name, value in values.items() if name == own or name in kept}


def _once(setting: Setting) -> None:
    """Runs that only name a default repeat the run that leaves it unsaid: bit for bit, so that they count once."""
    kept: dict[int, list[Run]] = defaultdict(list)
    repeated = []
    for run in sorted(setting.runs, key=_names_a_default):
        if kept[run.seed] and _names_a_default(run):
            repeated.append(run)
        else:
            kept[run.seed].append(run)
    if repeated:
        setting.runs = [run for run in setting.runs if run not in repeated]
        named = sorted({f for run in repeated for f in set(run.trained.get("heuristics") or {}) - set(changes_of(run))})
        setting.note = (
            f"{len(repeated)} runs that set {', '.join(named)} to the default repeat its seeds and count once"
        )


def natural(name: str) -> list[tuple[float, str]]:
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
    baseline = condition.baseline
    for setting in condition.settings:
        mine = _by_seed(setting)
        if len(mine) < len(setting.runs):
            _remark(setting, f"{len(setting.runs) - len(mine)} runs repeat a seed and count in the means alone")
        predictions, truth = _paired(list(mine.values()))
        if len(truth) >= 2:
            affordable = affordable_replicates(len(truth), replicates)
            setting.level = hierarchical_bootstrap(np.array(predictions), truth, replicates=affordable)
        if baseline is not None and setting is not baseline:
            _difference(setting, baseline, replicates)
    if any(s.factor == COMBINATION for s in condition.settings):
        condition.effects = _effects(condition)


def _difference(setting: Setting, baseline: Setting, replicates: int) -> None:
    mine, reference = _by_seed(setting), _by_seed(baseline)
    shared = sorted(set(mine) & set(reference))
    if not shared:
        _remark(setting, "shares no seed with the baseline")
        setting.verdict = "not decided (0 seeds)"
        return
    both, truth = _paired([mine[s] for s in shared] + [reference[s] for s in shared])
    if len(truth) < 2:
        _remark(setting, "shares no ranked architectures with the baseline")
        setting.verdict = "not decided (no common architectures)"
        return
    half = len(shared)
    images = [sorted({str((r.ranked.get("evaluation") or {}).get("n_images")) for r in s.runs})
              for s in (setting, baseline)]  # fmt: skip
    if images[0] != images[1]:
        what = items_of(baseline.runs[0].result) if baseline.runs else "images"
        _remark(setting, f"scored on {' or '.join(images[0])} {what}, the baseline on {' or '.join(images[1])}")
    setting.difference = hierarchical_bootstrap(
        np.array(both[:half]), truth, np.array(both[half:]), replicates=affordable_replicates(len(truth), replicates)
    )


def _remark(setting: Setting, text: str) -> None:
    setting.note = f"{setting.note}; {text}" if setting.note else text


def _effects(condition: Condition) -> list[Effect]:
    varied = sorted({f for s in condition.settings if s.factor == COMBINATION for f in s.changes})
    rows, values, seeds = [], [], []
    for setting in condition.settings:
        if set(setting.changes) <= set(varied):
            for seed, run in _by_seed(setting).items():
                tau = measure(run, "kendall_tau")
                if not math.isnan(tau):
                    rows.append({f: setting.changes.get(f, "default") for f in varied})
                    values.append(tau)
                    seeds.append(seed)
    return factorial_effects(rows, values, seeds, dict.fromkeys(varied, "default"))


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
    if name == "quality":
        return str(value["name"]).replace("_", " ")
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
        if "quality" in differing and condition.about.get("score") == condition.quality.name:
            differing = [k for k in differing if k != "score"]  # the quality says it
        extra = [text for k in differing if (text := _told_apart(k, condition.about.get(k)))]
        condition.label = ", ".join([f"{condition.space} on {condition.dataset}", *extra])
