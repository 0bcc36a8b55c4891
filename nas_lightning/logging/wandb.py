"""Weights & Biases as a view of a run: offline unless a key is present, never a prompt, one W&B run per job.

group = study, job type = train, search or eval, tags = space, data set and the heuristics that are not at their
default; the resolved config as plain numbers and booleans; the final numbers as summary; a table and a picture per
evaluation.
"""

from __future__ import annotations

import logging
import math
import netrc
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlparse

from nas_lightning.logging.facts import RunFacts, final_numbers
from nas_lightning.logging.loggers import RunLogger

log = logging.getLogger(__name__)


def has_key(environment: Mapping[str, str] | None = None) -> bool:
    """Whether a key is at hand without asking anybody: in WANDB_API_KEY, or in the netrc file for the W&B host."""
    known = os.environ if environment is None else environment
    if known.get("WANDB_API_KEY"):
        return True
    host = urlparse(known.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    path = Path(known.get("NETRC", Path.home() / ".netrc"))
    try:
        return netrc.netrc(path).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


Mode = Literal["online", "offline", "disabled"]


def choose_mode(environment: Mapping[str, str] | None = None) -> Mode:
    """``online`` only with a key and unless WANDB_MODE says otherwise, ``disabled`` if it says so, else ``offline``.

    >>> choose_mode({"NETRC": "/nowhere", "WANDB_MODE": "online"})
    'offline'
    """
    known = os.environ if environment is None else environment
    wanted = known.get("WANDB_MODE", "").lower()
    if wanted in ("disabled", "offline", "dryrun"):
        return "disabled" if wanted == "disabled" else "offline"
    return "online" if has_key(known) else "offline"


FINISH_TIMEOUT_S = 45.0
"""Seconds that closing may wait for W&B's server (with what follows, less than a minute); WANDB_FINISH_TIMEOUT wins."""


class WandbRun(RunLogger):
    """One W&B run. No failure of W&B ends a training: it is reported once, and the run goes on without.

    A resumed job starts a new one of the same group and name: offline segments of one id would
    overwrite each other at ``wandb sync``; config ``run_hash`` tells which segments belong together."""

    takes_rankings = True

    def __init__(self, facts: RunFacts, *, project: str, entity: str | None = None) -> None:
        import wandb

        facts.folder.mkdir(parents=True, exist_ok=True)
        self._facts = facts

        def start(mode: Mode) -> Any:
            return wandb.init(
                project=project,
                entity=entity,
                dir=facts.folder,
                mode=mode,
                group=facts.study or "no study",
                job_type=facts.kind,
                tags=facts.tags,
                name=facts.name,
                config=facts.config(),
                reinit="finish_previous",  # a run left open by code of the user's own must not swallow this one
                settings=wandb.Settings(
                    silent=True,
                    console="off",
                    init_timeout=60,
                    finish_timeout=float(os.environ.get("WANDB_FINISH_TIMEOUT", FINISH_TIMEOUT_S)),
                    finish_timeout_raises=True,
                    x_disable_stats=True,
                ),
            )

        mode = choose_mode()
        try:
            self.run = start(mode)
        except wandb.errors.Error as error:
            if mode != "online":
                raise
            log.warning("W&B cannot be reached (%s): this run is logged offline; send it later with wandb sync.", error)
            self.run = start("offline")
        self._folder = Path(self.run.dir).parent
        self._is_lost = False
        self.lightning = lightning_logger(self.run, facts.folder, self.guarded)

    def guarded(self, action: Callable[[], Any]) -> None:
        """Do it, unless W&B has failed before; report a failure (its server process died, its server is silent)."""
        if self._is_lost:
            return
        try:
            action()
        except Exception as error:  # W&B raises what its service process and its connections raise
            self._is_lost = True
            log.warning(
                "W&B has failed (%s): the run goes on without it, and its own files hold every number. Send what W&B "
                "has stored with: wandb sync %s",
                str(error) or type(error).__name__,
                self.folder,
            )

    @property
    def folder(self) -> Path:
        """Where the run's own files lie (offline: what ``wandb sync`` takes)."""
        return self._folder

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        self.guarded(lambda: self.run.log({**numbers, "trainer/global_step": step}))

    def ranking(
        self,
        name: str,
        architectures: Sequence[str],
        supernet: Sequence[float],
        standalone: Sequence[float],
        picture: Path | None = None,
    ) -> None:
        import wandb

        rows = [[arch, _number(x), _number(y)] for arch, x, y in zip(architectures, supernet, standalone, strict=True)]
        content: dict[str, Any] = {
            f"ranking/{name}": wandb.Table(columns=["architecture", "super-net", "stand-alone"], data=rows)
        }
        if picture is not None:
            content[f"ranking/{name}_scatter"] = wandb.Image(str(picture))
        self.guarded(lambda: self.run.log(content))

    def finish(self, result: Mapping[str, Any]) -> None:
        self.guarded(lambda: self.run.summary.update(final_numbers(result)))

    def fail(self, facts: Mapping[str, Any]) -> None:
        self.guarded(lambda: self.run.summary.update(dict(facts)))

    def artifact(self, path: Path, kind: str = "checkpoint") -> None:
        import wandb

        held = wandb.Artifact(f"{kind}-{self._facts.run_hash}", type=kind)
        held.add_file(str(path))
        self.guarded(lambda: self.run.log_artifact(held))

    def close(self, failed: bool) -> None:
        self.guarded(lambda: self.run.finish(exit_code=1 if failed else 0))


def lightning_logger(run: Any, folder: Path, guarded: Callable[[Callable[[], Any]], None]) -> Any:
    """Lightning's logger of a W&B run, whose failures `guarded` takes."""
    from pytorch_lightning.loggers import WandbLogger

    class Guarded(WandbLogger):
        def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
            parent: Any = super()
            guarded(lambda: parent.log_metrics(metrics, step))

        def finalize(self, status: str) -> None:
            parent: Any = super()
            guarded(lambda: parent.finalize(status))

    return Guarded(experiment=run, save_dir=str(folder))


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
