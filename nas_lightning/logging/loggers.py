"""One interface for every logger, and the choice among them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nas_lightning.errors import UserError, did_you_mean, one_sentence
from nas_lightning.logging.facts import RunFacts, final_numbers, flatten

LOGGERS = ("none", "csv", "tensorboard", "wandb")


class RunLogger:
    """Takes a run's numbers; this base takes them and does nothing (``logger=none``, and every rank but the first).

    Use as ``with open_logger(…) as logger:``; `lightning` goes to ``Trainer(logger=…)``.
    """

    lightning: Any = False
    takes_rankings = False
    """Whether `ranking` keeps anything: pictures of evaluations during training are drawn only then."""

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Numbers of one moment; `step` is the optimizer step."""

    def ranking(
        self,
        name: str,
        architectures: Sequence[str],
        supernet: Sequence[float],
        standalone: Sequence[float],
        picture: Path | None = None,
    ) -> None:
        """One evaluation: rows of (architecture, super-net score, stand-alone accuracy or NaN), and its picture."""

    def finish(self, result: Mapping[str, Any]) -> None:
        """The final numbers of a result.json."""

    def fail(self, facts: Mapping[str, Any]) -> None:
        """Why there are no final numbers: `why`."""

    def artifact(self, path: Path, kind: str = "checkpoint") -> None:
        """Keep a file (a checkpoint) with the run."""

    def close(self, failed: bool) -> None:
        """Called once, whatever happened."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.fail(why(error))
        self.close(failed=kind is not None)


def why(error: BaseException) -> dict[str, Any]:
    """What a logger says of a run that ends by an error, as plain values.

    Args:
        error: a diverged training has a ``step`` and a ``loss``.

    Returns:
        ``status`` (diverged or failed), ``reason`` in one sentence, ``step`` and ``loss``, the latter as text where it
        is no finite number.
    """
    reason = one_sentence(str(error) or type(error).__name__)
    step, loss = getattr(error, "step", None), getattr(error, "loss", None)
    if step is None or loss is None:
        return {"status": "failed", "reason": reason}
    return {"status": "diverged", "reason": reason, "step": step, "loss": loss if math.isfinite(loss) else str(loss)}


class LightningFiles(RunLogger):
    """Lightning's CSV or TensorBoard logger in the run folder, with config and final numbers as hyper-parameters."""

    def __init__(self, lightning: Any, facts: RunFacts) -> None:
        self.lightning, self._facts = lightning, facts
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*Previous log files.*")  # they are kept, see `keep_rows`
            self.takes_rankings = hasattr(lightning.experiment, "add_image")
        lightning.log_hyperparams(facts.config())

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        self.lightning.log_metrics(dict(numbers), step=step)

    def ranking(
        self,
        name: str,
        architectures: Sequence[str],
        supernet: Sequence[float],
        standalone: Sequence[float],
        picture: Path | None = None,
    ) -> None:
        add_image = getattr(self.lightning.experiment, "add_image", None)
        if add_image is not None and picture is not None:
            import numpy as np
            from PIL import Image

            add_image(f"ranking/{name}", np.asarray(Image.open(picture).convert("RGB")), dataformats="HWC")

    def finish(self, result: Mapping[str, Any]) -> None:
        numbers = {f"final/{k}": float(v) for k, v in final_numbers(result).items()}
        self.lightning.log_metrics(numbers, step=int(flatten(result).get("cost/steps") or 0))

    def close(self, failed: bool) -> None:
        self.lightning.save()
        self.lightning.finalize("failed" if failed else "success")


def keep_rows(file: Path) -> None:
    """Put the rows of an earlier part of the run aside, as ``metrics.1.csv``: Lightning's logger would delete them.

    Args:
        file: where the logger will write.
    """
    if file.exists():
        parts = len(list(file.parent.glob(f"{file.stem}.*{file.suffix}")))
        file.replace(file.with_name(f"{file.stem}.{parts + 1}{file.suffix}"))


def refuse_unknown_logger(name: str) -> None:
    """Raises UserError for a logger that is none of `LOGGERS`."""
    if name not in LOGGERS:
        raise UserError(
            f"logger={name[:80]} is unknown; {did_you_mean(name, LOGGERS)}choose one of {', '.join(LOGGERS)}"
        )


def open_logger(name: str, facts: RunFacts, *, project: str = "nas-lightning", entity: str | None = None) -> RunLogger:
    """The logger `name` of `LOGGERS` for one run; on every rank but 0 a logger that does nothing.

    Raises ValueError for an unknown name, and where TensorBoard is asked for but not installed.
    """
    refuse_unknown_logger(name)
    if name == "none":
        return RunLogger()
    from pytorch_lightning.utilities.rank_zero import rank_zero_only

    if getattr(rank_zero_only, "rank", 0) != 0:
        return RunLogger()
    if name == "wandb":
        from nas_lightning.logging.wandb import WandbRun

        return WandbRun(facts, project=project, entity=entity)
    facts.folder.mkdir(parents=True, exist_ok=True)
    if name == "csv":
        from pytorch_lightning.loggers import CSVLogger

        keep_rows(facts.folder / "csv" / "metrics.csv")
        # A row an epoch: written at once, a kill takes none of them.
        return LightningFiles(CSVLogger(facts.folder, name="csv", version="", flush_logs_every_n_steps=1), facts)
    from pytorch_lightning.loggers import TensorBoardLogger

    try:
        return LightningFiles(TensorBoardLogger(facts.folder, name="tensorboard", version=""), facts)
    except ModuleNotFoundError as error:
        raise UserError("logger=tensorboard needs the tensorboard package: pip install tensorboard") from error
