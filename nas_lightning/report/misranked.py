"""Which architectures are mis-ranked: the rank error by operations, depth and structure, from ranking.parquet alone.

Rank error of an architecture = its percentile among the scores − its percentile among the true accuracies (0 worst, 100
best), in percentile points: above zero it is over-rated. A property explains the share η² of the errors' variance,
between its groups / in all: with random errors about (groups − 1) / (n − 1).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from nas_lightning.report.figure import Figure, Panel
from nas_lightning.report.look import ROW, SERIES, cut, readings
from nas_lightning.report.study import Condition
from nas_lightning.runs.reading import COMPLETE, Run
from nas_lightning.spaces import ArchitectureError, SpaceError, space_in_file

SMALLEST = 5
"""Architectures that a group needs to be shown."""
_LARGEST_COUNT = 4  # more of one operation are one group


@dataclass
class Property:
    """One property of architectures: a group label per architecture, in the order in which groups are shown."""

    name: str
    labels: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)


def percentiles(values: np.ndarray) -> np.ndarray:
    """Ranks of n values as 0 (lowest) … 100 (highest), float64 [n]; ties at their average rank.

    >>> percentiles(np.array([3.0, 1.0, 2.0, 2.0])).tolist()
    [100.0, 0.0, 50.0, 50.0]
    """
    from scipy.stats import rankdata

    return 100 * (rankdata(values) - 1) / max(1, len(values) - 1)


def rank_errors(predictions: Sequence[np.ndarray], truth: np.ndarray) -> np.ndarray:
    """Rank error per architecture, float64 [n]; the scores of several seeds are averaged by percentile."""
    return np.mean([percentiles(p) for p in predictions], axis=0) - percentiles(truth)


def explained(errors: np.ndarray, labels: Sequence[str]) -> float:
    """η²: the share of the errors' variance that lies between the groups.

    >>> explained(np.array([1.0, 1.0, -1.0, -1.0]), ["a", "a", "b", "b"])
    1.0
    """
    names = np.asarray(labels)
    total = float(((errors - errors.mean()) ** 2).sum())
    between = sum(
        float((names == g).sum() * (errors[names == g].mean() - errors.mean()) ** 2) for g in np.unique(names)
    )
    return between / total if total else 0.0


def properties(space_name: str, names: Sequence[str]) -> list[Property]:
    """Every property of the architectures `names`: a count per operation, depth, structure.

    Raises ArchitectureError where a name is no architecture of the space.
    """
    space = space_in_file(space_name)
    archs = [space.parse(name) for name in names]
    counts = np.array([space.operation_counts(a) for a in archs])
    found = [Property(name, *_binned(counts[:, i], "× ")) for i, name in enumerate(space.operation_columns())]
    found.append(Property("depth", *_binned(np.array([space.depth(a) for a in archs]), "")))
    groups = [space.structure_groups(a) for a in archs]
    for name in dict.fromkeys(name for group in groups for name in group):
        labels = [group[name] for group in groups]
        found.append(Property(name, labels, [label for label, _ in Counter(sorted(labels)).most_common()]))
    return [p for p in found if len(p.order) > 1]


def _binned(values: np.ndarray, sign: str) -> tuple[list[str], list[str]]:
    """Labels of whole numbers, rare ones at either end joined with their neighbours; and the labels in order."""
    low, high = int(values.min()), min(int(values.max()), _LARGEST_COUNT)
    while high > low and (values >= high).sum() < SMALLEST:
        high -= 1
    while low < high and (values <= low).sum() < SMALLEST:
        low += 1

    def label(value: int) -> str:
        if value >= high and values.max() > high:
            return f"{sign}{high} or more"
        if value <= low and values.min() < low:
            return f"{sign}{low} or fewer"
        return f"{sign}{value}"

    labels = [label(int(v)) for v in values]
    return labels, list(dict.fromkeys(label(v) for v in range(low, high + 1)))


def panel(space: str, names: Sequence[str], errors: np.ndarray, title: str, group: str = "") -> Panel:
    """One panel: a row per group, the most telling property first. Raises ArchitectureError as `properties` does."""
    by_share = sorted(
        ((explained(errors, p.labels), p) for p in properties(space, names)), key=lambda pair: (-pair[0], pair[1].name)
    )
    columns: dict[str, list[Any]] = {name: [] for name in ("row", "property", "tone", "n", "share", *_NUMBERS)}
    for k, (share, found) in enumerate(by_share):
        if len(columns["row"]) >= _ROWS:
            break
        labels = np.asarray(found.labels)
        for label in found.order:
            inside = errors[labels == label]
            if len(inside) < SMALLEST:
                continue
            mean, half = float(inside.mean()), 1.96 * float(inside.std(ddof=1)) / len(inside) ** 0.5
            quartiles = np.percentile(inside, [25, 75]).tolist()
            name = found.name + (" " if label.startswith("×") else ": ") + label
            values = (
                cut(f"{name} ({len(inside)})", 50),
                found.name,
                SERIES[k % len(SERIES)],
                len(inside),
                round(share, 4),
            )
            numbers = (round(v, 2) for v in (mean, mean - half, mean + half, *quartiles))
            for column, value in zip(columns.values(), (*values, *numbers), strict=True):
                column.append(value)
    size = f"mean absolute rank error {np.abs(errors).mean():.1f} points, n = {len(errors)}"
    shares = ", ".join(f"{p.name} {100 * share:.0f} %" for share, p in by_share[:5])
    note = f"Share of the errors' variance that a property explains: {shares}."
    return Panel(
        f"{title}: {size}", _chart(), {"rows": columns, "zero": {"x": [0]}}, group=group, choice=title, note=note
    )


_ROWS = 36
"""Groups of one panel; properties that explain less than those are left out."""
_NUMBERS = ("mean", "low", "high", "q25", "q75")


@cache
def _chart() -> Any:
    import altair as alt

    shown = [
        alt.Tooltip("row:N", title="group (architectures)"),
        *readings(3, mean="mean", low="95 % interval from", high="to", q25="middle half from", q75="to "),
        alt.Tooltip("share:Q", title="property explains", format=".1%"),
    ]
    base = alt.Chart(alt.NamedData("rows")).encode(
        y=alt.Y("row:N", sort=None, title=None),
        color=alt.Color("tone:N", scale=None),
        tooltip=shown,
    )
    x = "Rank error, percentile points (left under-rated, right over-rated)"
    zero = alt.Chart(alt.NamedData("zero")).mark_rule(color="#7b8794").encode(x="x:Q")
    half = base.mark_bar(opacity=0.22, size=10).encode(x=alt.X("q25:Q", title=x), x2="q75:Q")
    interval = base.mark_rule(strokeWidth=2.2).encode(x="low:Q", x2="high:Q")
    mean = base.mark_circle(size=46, opacity=1).encode(x="mean:Q")
    return (zero + half + interval + mean).properties(width=310, height=alt.Step(ROW))


def misranked(conditions: Sequence[Condition], runs: Sequence[Run] = ()) -> tuple[Figure, list[str]]:
    """The figure, one panel per setting (its seeds averaged) and per predictor of every mode=evaluate run, to choose
    from; and remarks about runs that it leaves out."""
    panels: list[Panel] = []
    remarks: list[str] = []

    def add(group: str, title: str, space: str, found: Mapping[str, Any], where: str) -> None:
        if len(found["names"]) < 2 * SMALLEST:
            return
        errors = rank_errors(found["predictions"], found["truth"])
        try:
            panels.append(panel(space, found["names"], errors, title=title, group=group))
        except (ArchitectureError, SpaceError) as error:  # a space that this version does not know
            remarks.append(
                f"{where} takes no part in the diagnosis of mis-ranked architectures: {cut(str(error), 200)}"
            )

    for condition in conditions:
        for setting in condition.settings:
            seeds = f"{len(setting.runs)} seeds averaged" if len(setting.runs) > 1 else f"seed {setting.runs[0].seed}"
            found = common([run.ranking for run in setting.runs])
            add(condition.label, f"{setting.name}, {seeds}", condition.space, found=found, where=setting.runs[0].shown)
    for run in runs:
        if run.status == COMPLETE and run.kind == "evaluation":
            group = f"mode=evaluate, {run.shown.rsplit('/', 1)[-1]}"
            for name, table in run.predictions.items():
                add(group, name, str(run.result["space"]), found=common([table]), where=run.shown)
    figure = Figure(
        "misranked",
        "Which architectures are mis-ranked",
        "Rank by the score minus true rank, per group of architectures (their number in brackets). Mark: mean and its "
        "95 % interval; bar: the middle half of the architectures. Properties that explain most of the error come "
        "first.",
        panels,
        choose=True,
        columns=2,
    )
    return figure, remarks


def common(tables: Sequence[Mapping[str, np.ndarray]]) -> dict[str, Any]:
    """Names, predictions of every table and truth on the architectures that all of them ranked and the truth knows."""
    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for table in tables:
        if table:
            keep = ~(np.isnan(table["prediction"]) | np.isnan(table["truth"]))
            columns = (table[name][keep].tolist() for name in ("architecture", "prediction", "truth"))
            for name, x, y in zip(*columns, strict=True):
                rows[name].append((x, y))
    names = sorted(name for name, found in rows.items() if len(found) == len(tables))
    values = np.array([rows[name] for name in names]).reshape(len(names), len(tables), 2)
    return {
        "names": names,
        "predictions": list(values[:, :, 0].T),
        "truth": values[:, 0, 1] if len(names) else np.empty(0),
    }
