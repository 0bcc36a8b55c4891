"""The jobs of a sweep before any of them starts: their folders, their state on disk, what they cost."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from nas_lightning.config.check import MistypedError
from nas_lightning.config.settled import expanded
from nas_lightning.errors import UserError, one_sentence
from nas_lightning.runs.folder import RESULT, run_hash
from nas_lightning.runs.reading import COMPLETE, FAILED, NOT_APPLICABLE, UNFINISHED, Run, read_run

MISSING = "missing"
STATES = (COMPLETE, NOT_APPLICABLE, FAILED, UNFINISHED, MISSING)
SETTLED = (COMPLETE, NOT_APPLICABLE)
"""States that no further call changes."""

UNIMPORTANT = ("runs", "study", "force", "dry_run", "logger", "progress_bar")


@dataclass(frozen=True)
class Description:
    """What one configuration asks for, found without training: the run folder, and why it would be refused."""

    folder: Path
    seconds: float | None = None
    """Estimated seconds of the whole job on this machine; None where nobody can tell."""
    refusal: str | None = None


@dataclass(frozen=True)
class Job:
    """One job of a sweep: what was typed, and what it asks for."""

    overrides: tuple[str, ...]
    title: str
    """The overrides that tell this job from the others."""
    folder: Path
    seconds: float | None
    refusal: str | None
    refused_folder: Path
    """Where the error of this job is kept while its configuration has no run folder."""
    force: bool

    def run(self) -> Run:
        """The run folder as it is now; a folder that is not there, or holds nothing yet, is missing."""
        if not self.folder.is_dir():
            return Run(self.folder, MISSING, "")
        run = read_run(self.folder)
        begun = (self.folder / "config.yaml").exists()
        return Run(self.folder, MISSING, "") if run.status == UNFINISHED and not begun else run

    def is_settled(self) -> bool:
        """Whether nothing is left to do: complete or not applicable, and no repetition asked for."""
        return not self.force and self.run().status in SETTLED


def unsettled(jobs: Iterable[Job]) -> list[Job]:
    """What is left to do, one job a run folder: an ablation that does not apply has one for all its seeds."""
    return list({job.folder: job for job in jobs if not job.is_settled()}.values())


def varying(jobs: Iterable[Sequence[str]]) -> list[str]:
    """The keys whose values differ between the overrides of several jobs, in the order typed."""
    values: dict[str, set[str]] = {}
    for overrides in jobs:
        for override in overrides:
            key, _, value = override.partition("=")
            values.setdefault(key, set()).add(value)
    return [key for key, found in values.items() if len(found) > 1]


def count_states(runs: Iterable[Run]) -> dict[str, int]:
    """Number of runs in each of STATES, in that order; states without any are left out."""
    counts = Counter(run.status for run in runs)
    return {state: counts[state] for state in STATES if counts[state]}


def describe(cfg: DictConfig, rehearsal: Callable[[Any], None] | None = None) -> Description:
    """What train.py or search.py would do with `cfg`; search.py's has an algorithm.

    Args:
        cfg: the composed configuration.
        rehearsal: what finds all that a job of train.py refuses before its first step
            (`nas_lightning.modes.rehearsal.Rehearsal`); several jobs share one. None makes one.

    Raises:
        MistypedError: a name that does not exist. Other bad input is the description's refusal.
    """
    try:
        found = _search(cfg) if "algorithm" in cfg else _train(cfg, rehearsal)
        return replace(found, refusal=found.refusal or _unwritable(found.folder))
    except MistypedError:
        raise
    except Exception as error:  # the job itself will raise it again, and keep the traceback
        said = f"{error}" if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return Description(refused_folder(cfg), refusal=one_sentence(said))


def _unwritable(folder: Path) -> str | None:
    """Why no run folder can be made there; one that holds a result is only read."""
    if os.path.exists(folder / RESULT):
        return None
    above = next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.exists(place))
    if above.is_dir() and os.access(above, os.W_OK):
        return None
    return f"{folder} cannot be written: {above} is no folder that takes files; choose another runs=…"


def refused_folder(config: DictConfig) -> Path:
    """Folder for the error of a configuration that is refused before it has a run folder."""
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    important = {key: value for key, value in plain.items() if key not in UNIMPORTANT}
    name = f"refused_{config.space.name}_{config.data.name}_seed{config.seed}_{run_hash(important)}"
    return Path(expanded(config.runs)) / (config.study or ("search" if "algorithm" in config else "")) / name


def _train(cfg: DictConfig, rehearsal: Callable[[Any], None] | None) -> Description:
    from nas_lightning.config.schema import typed
    from nas_lightning.heuristic import NotApplicableError
    from nas_lightning.modes.job import compose
    from nas_lightning.modes.main import not_applicable_folder
    from nas_lightning.sweep.cost import train_seconds

    try:
        job = compose(cfg)
    except NotApplicableError:
        if cfg.ablation is None:
            raise
        return Description(not_applicable_folder(typed(cfg)), 0.0)
    if job.config.force or not (job.folder / RESULT).exists():
        from nas_lightning.modes.rehearsal import Rehearsal

        try:
            (rehearsal or Rehearsal())(job)
        except UserError as refusal:
            return Description(job.folder, refusal=str(refusal))
    return Description(job.folder, train_seconds(job))


def _search(cfg: DictConfig) -> Description:
    from nas_lightning.config.check import check_configuration
    from nas_lightning.config.schema import typed
    from nas_lightning.modes.search import describe_search, refuse_what_nothing_reads

    check_configuration(cfg)
    refuse_what_nothing_reads(typed(cfg))
    return Description(describe_search(typed(cfg)))
