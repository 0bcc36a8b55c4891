"""A progress bar over the budget, with the best so far."""

from __future__ import annotations

import time
from types import TracebackType

from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Record
from nas_lightning.search.outcome import merit


class SearchProgress:
    """Shows spent budget, time left and the incumbent, at most ten times a second; nothing where no terminal is."""

    def __init__(self, budget: Budget, label: str, enabled: bool = True):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn(f"{{task.completed:.0f}}/{{task.total:.0f}} {budget.unit}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[best]}"),
            console=console,
            transient=True,
            disable=not (enabled and console.is_terminal),
        )
        self._task = self._bar.add_task(label, total=budget.amount, best="")
        self._best: Record | None = None
        self._drawn = 0.0
        self._waiting_since: float | None = None
        self._waiting_said = False

    def record(self, record: Record) -> None:
        self._waiting_since = None
        if self._best is None or merit(record) > merit(self._best):
            self._best = record
        now = time.monotonic()
        if now - self._drawn >= 0.1:
            self._drawn = now
            best = f"best {self._best.measurement.value:.4f} (evaluation {self._best.number + 1})"
            self._bar.update(self._task, completed=min(record.spent, self._bar.tasks[0].total or 0), best=best)

    def waiting(self) -> None:
        """Say once that another process is at work, where nothing has come back for ten seconds."""
        now = time.monotonic()
        if self._waiting_since is None:
            self._waiting_since = now
        if now - self._waiting_since > 10 and not self._waiting_said:
            self._waiting_said = True
            self._bar.console.print(
                "Waiting for another process that works on this journal (raise `parallel` to share the work)."
            )

    def __enter__(self) -> SearchProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()
