"""Weak labels by a trained super-net: its scores of the architectures that a search may choose from."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.config.search_schema import SearchConfig, SupernetObjectiveSchema, as_dict
from nas_lightning.objectives.supernet import SupernetObjective, supernet_objective
from nas_lightning.runs.files import write_atomically
from nas_lightning.scoring.score import score
from nas_lightning.search.trial import SearchError
from nas_lightning.search.weak_labels import WeakLabels, WeakLabelSource
from nas_lightning.spaces.base import Space

FILE = "weak_labels.parquet"


class SupernetWeakLabels(WeakLabelSource):
    """All scores that one pass over the held-out images gives, of every candidate that the super-net holds.

    They are kept in the run folder as they come, so that a search that was ended goes on where it was.
    """

    chunk = 64
    save_seconds = 10.0

    def __init__(self, objective: SupernetObjective, progress: bool = True):
        self.objective, self.progress = objective, progress

    def identity(self) -> dict[str, Any]:
        made_of = self.objective.identity()
        keep = ("checkpoint_sha256", "data", "images", "batch_size", "batch_norm", "probe_images", "precision")
        return {name: made_of[name] for name in keep if name in made_of}

    def labels(self, space: Space[Any], wanted: Callable[[], list[Any]], folder: Path) -> WeakLabels:
        from rich.console import Console
        from rich.progress import Progress

        held = [arch for arch in wanted() if self.objective.holds(arch)]
        if not held:
            raise SearchError("the super-net of checkpoint=… holds none of the candidates: choose another one")
        path = folder / FILE
        known = _read(path, space)
        todo = [arch for arch in held if space.format(arch) not in known]
        saved = time.monotonic()
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not (self.progress and console.is_terminal)) as bar:
            task = bar.add_task("weak labels", total=len(held), completed=len(held) - len(todo))
            for start in range(0, len(todo), self.chunk):
                part = todo[start : start + self.chunk]
                for arch, row in zip(part, self._score(part), strict=True):
                    known[space.format(arch)] = row
                bar.advance(task, len(part))
                if time.monotonic() - saved > self.save_seconds:
                    _write(path, known)
                    saved = time.monotonic()
        if todo:
            _write(path, known)
        names = list(known[space.format(held[0])])
        columns = {name: np.array([known[space.format(arch)][name] for arch in held]) for name in names}
        return WeakLabels(held, columns)

    def _score(self, architectures: Sequence[Any]) -> list[dict[str, float]]:
        objective = self.objective
        found = score(
            objective.network,
            architectures,
            objective.batches,
            statistics=objective.plan.protocol.bn_evaluation,
            calibration=objective.calibration,
            precision=objective.precision,
            probe=objective.probe,
            task=type(objective.data),
        )
        return [{name: float(values[i]) for name, values in found.items()} for i in range(len(architectures))]


def _read(path: Path, space: Space[Any]) -> dict[str, dict[str, float]]:
    """What an earlier process has scored, by architecture; nothing where there is no readable file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        return {}
    try:
        rows = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError):
        return {}  # written atomically, so that only a damaged disk leaves one: its scores are computed again
    return {row.pop("architecture"): row for row in rows}


def _write(path: Path, known: dict[str, dict[str, float]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([{"architecture": text, **row} for text, row in known.items()]), buffer)
    write_atomically(path, buffer.getvalue())


def supernet_weak_labels(config: SearchConfig) -> SupernetWeakLabels:
    """The weak labels of ``checkpoint=…`` beside ``objective=training`` or ``objective=benchmark``.

    Raises SearchError where the checkpoint is that of another space, or other images than its own are named.
    """
    settings = SupernetObjectiveSchema(
        probe_images=config.weak_probe_images,
        images=config.weak_images,
        batch_size=as_dict(config.objective).get("batch_size", SupernetObjectiveSchema.batch_size),
    )
    return SupernetWeakLabels(supernet_objective(config, settings, "evaluations", None), config.progress_bar)
