"""Searches on a table, judged by the champions that they leave in nested niches; a file keeps what is done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.analysis.hyperparameters_command import named
from nas_lightning.analysis.niches import Niches
from nas_lightning.search.algorithm import algorithm_class, make_algorithm, settings_of
from nas_lightning.search.benchmark_objective import benchmark_objective
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search


@dataclass
class NicheSearches:
    """Searches for the champions of `niches` within `evaluations` full evaluations.

    settings, space, measure, measures_from: of the table, see `benchmark_objective`. Algorithms of several fidelities
    use those of the table, where it has them; the others evaluate in full. Only full evaluations make champions.
    """

    settings: dict[str, Any]
    space: str
    measure: str
    measures_from: str | None
    niches: Niches
    evaluations: int

    def __post_init__(self) -> None:
        self.full, self.several = (
            benchmark_objective(
                self.settings,
                self.space,
                "evaluations",
                (self.measure,),
                fidelity=fidelity,
                measures_from=self.measures_from,
            )
            for fidelity in ("none", "epochs")
        )

    @property
    def guide(self) -> str:
        """The metric that guides."""
        return str(self.full.identity()["value"])

    def errors(self, algorithm: str, seed: int) -> np.ndarray:
        """Error in percent of every niche's champion after one search, float64 [niches]."""
        name, settings = named(algorithm)
        known = settings_of(name)
        if "minimise" in known:
            settings["minimise"] = [self.measure]
        if "bounds" in known:
            settings["bounds"] = [repr(bound) for bound in self.niches.bounds[:-1]]
        several = algorithm_class(name).needs_fidelities and not self.several.fidelities.is_single
        objective = self.several if several else self.full
        proposer = make_algorithm(
            name, objective.space, objective.fidelities, seed=seed, settings=settings, single_fidelity=not several
        )
        records = Search(proposer, objective, Budget("evaluations", self.evaluations)).run()
        whole = [r for r in records if r.trial.fidelity == objective.fidelities.full]
        error = np.array([100 * (1 - r.measurement.value) for r in whole])
        return self.niches.errors(error, np.array([r.measurement.measures[self.measure] for r in whole]))

    def question(self) -> dict[str, Any]:
        """What the errors depend on beside algorithm and seed, as plain JSON."""
        bounds = [None if np.isinf(bound) else bound for bound in self.niches.bounds]
        return {**self.several.identity(), "bounds": bounds, "evaluations": self.evaluations}

    def all_errors(self, algorithm: str, seeds: int, kept: Path) -> np.ndarray:
        """Errors of all seeds, float64 [seeds, niches]. What `kept` (JSON lines) holds of the same question is not
        searched again, and every search is written there as it ends."""
        question = self.question()
        done = {
            line["seed"]: line["errors"]
            for line in _lines(kept)
            if line.get("algorithm") == algorithm and line.get("question") == question
        }
        for seed in range(seeds):
            if seed not in done:
                done[seed] = self.errors(algorithm, seed).tolist()
                kept.parent.mkdir(parents=True, exist_ok=True)
                line = {"algorithm": algorithm, "seed": seed, "errors": done[seed], "question": question}
                with kept.open("a", encoding="utf-8") as file:
                    file.write("\n" * _cut_off(kept) + json.dumps(line) + "\n")
        return np.array([done[seed] for seed in range(seeds)])


def _cut_off(path: Path) -> bool:
    """Whether the last line of a file is not whole."""
    return path.is_file() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a file of JSON lines; one that was cut off when a search was killed is searched again."""
    if not path.is_file():
        return
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line
