"""The processes of one run: which of them this one is, who starts the others, and how all of them end together.

Rank 0 alone prints and writes. The other ranks are started by torchrun, by SLURM (``srun``), or, where neither has, by
rank 0 itself, which then watches them: one that dies ends the run, and they never outlive rank 0.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from nas_lightning.processes.launch import (
    LAUNCH_VARIABLES,
    PARENT,
    RankFailedError,
    RankSilentError,
    TrainerSettings,
    device_count,
    is_started_by_rank_0,
    launcher,
    rank_of,
    world_size,
)
from nas_lightning.processes.signals import SIGNALS, Stopped

TIDY_S, NOTICE_S, HARD_S = 2.0, 25.0, 20.0
"""Seconds: for a rank to end when asked; for a dying rank to be gone; for rank 0 to leave after a rank has died."""
STOPPED_S = 60.0
"""Seconds that a rank may be stopped (SIGSTOP) while others run; Ctrl-Z stops all of them, and counts for nothing."""
GAVE_UP = 77
"""Exit code of a rank whose rank 0 was stopped for so long."""


class Ranks:
    """The ranks of one run, as one of them sees them."""

    def __init__(self, rank: int, size: int, outside: bool, place: str = "") -> None:
        self.rank, self.size, self.outside, self.place = rank, size, outside, place
        self.others: list[subprocess.Popen[bytes]] = []
        """Ranks 1, 2, … of this machine, where this process has started them."""
        self.is_connected = False
        self._stopped_since: dict[int, float] = {}
        self._leaving = threading.Event()
        self._interruptible = False

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def watch(self, others: Sequence[subprocess.Popen[bytes]]) -> None:
        """Take charge of these processes."""
        self.others = list(others)
        threading.Thread(target=self._watch, name="ranks", daemon=True).start()

    def failure(self) -> BaseException | None:
        """What the end of another rank means for this one, None while all are well."""
        for place, process in enumerate(self.others, 1):
            code = process.poll()
            if code is None and self._stopped(process.pid) > STOPPED_S:
                return RankSilentError(
                    f"rank {self.rank + place} has been stopped (SIGSTOP) for {STOPPED_S:.0f} seconds, and the others "
                    "wait for it: the run ends here, and the same command goes on from its last checkpoint"
                )
            if not code:
                continue
            if code == GAVE_UP:
                return RankSilentError(
                    f"this process was stopped (SIGSTOP) for {STOPPED_S:.0f} seconds, and the other ranks have ended: "
                    "the same command goes on from the last checkpoint"
                )
            for number, exit_code in SIGNALS.items():
                if code == exit_code:
                    return Stopped(number)
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            return RankFailedError(f"rank {self.rank + place} {how}; what it said is above")
        return None

    def _stopped(self, pid: int) -> float:
        """Seconds for which a process has been seen stopped, 0 for one that runs."""
        if not is_stopped(pid):
            self._stopped_since.pop(pid, None)
            return 0.0
        return time.monotonic() - self._stopped_since.setdefault(pid, time.monotonic())

    def _watch(self) -> None:
        while self.failure() is None:
            if self._leaving.wait(0.2):
                return
        # An exchange with the dead rank fails by itself; code without any is interrupted, and a hang is ended.
        if self._leaving.wait(TIDY_S):
            return
        if self._interruptible:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR2)
        if not self._leaving.wait(HARD_S):
            failure = self.failure()
            print(failure, file=sys.stderr, flush=True)
            self.end()
            os._exit(failure.exit_code if isinstance(failure, Stopped | RankSilentError) else 1)

    def interrupt(self, signum: int, frame: FrameType | None) -> None:
        """Signal handler: leave whatever is under way, since another rank has died."""
        failure = self.failure()
        if failure is not None:
            raise failure

    def leave(self) -> None:
        """From here on nothing interrupts this rank."""
        self._leaving.set()

    def died(self) -> BaseException | None:
        """`failure`, waiting for a rank that is just dying."""
        deadline = time.monotonic() + (NOTICE_S if self.others else 0)
        while (failure := self.failure()) is None and time.monotonic() < deadline:
            if all(process.poll() == 0 for process in self.others):
                break
            time.sleep(0.1)
        return failure

    def end(self) -> None:
        """End the other ranks: politely, then at once."""
        for process in self.others:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + TIDY_S
        for process in self.others:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


_current = Ranks(0, 1, False)
_visits: Counter[str] = Counter()


def current() -> Ranks:
    """The ranks of the run that is under way in this process; outside of one, a single rank."""
    return _current


@contextmanager
def ranks_of(trainer: TrainerSettings, job: str) -> Iterator[Ranks]:
    """Be one rank of a run: whatever ends the block ends all ranks, and puts the environment back.

    A rank that fails ends the others: rank 0 raises RankFailedError in place of the broken connection that it notices.
    Every rank but the first is quiet meanwhile. job: a name of the run, the same on all ranks.
    """
    global _current
    outside = launcher(trainer.strategy) != "lightning"
    _visits[job] += 1
    before, ranks = _current, Ranks(rank_of(trainer), world_size(trainer), outside, f"{job} {_visits[job]}")
    if ranks.size == 1:
        with _rank_known(0):
            yield ranks
        return
    with ExitStack() as stack:
        stack.enter_context(_environment_restored())
        stack.enter_context(_rank_known(ranks.rank))
        if not outside:  # torchrun and SLURM say themselves what a process may use
            stack.enter_context(_threads_divided(trainer))
        if is_started_by_rank_0():
            threading.Thread(target=outlive_nobody, args=(int(os.environ[PARENT]),), daemon=True).start()
        if not ranks.is_first:
            stack.enter_context(redirect_stderr(stack.enter_context(open(os.devnull, "w"))))
        elif threading.current_thread() is threading.main_thread():
            stack.callback(signal.signal, signal.SIGUSR2, signal.signal(signal.SIGUSR2, ranks.interrupt))
            ranks._interruptible = True
        _current = ranks
        try:
            yield ranks
            ranks.leave()
            _wait(ranks)
        except Exception as error:
            ranks.leave()
            failure = ranks.died() if _is_lost_connection(error) else None
            if failure is None and _is_lost_connection(error) and re.search("timed? ?out", str(error), re.IGNORECASE):
                said = str(error).splitlines()[0][:100]
                failure = RankSilentError(
                    f"rank {ranks.rank} has waited for the others without an answer ({said}): one of them hangs or its "
                    "machine is gone; the same command goes on from the last checkpoint"
                )
            if failure is not None:
                raise failure from None
            raise
        finally:
            ranks.leave()
            _current = before
            ranks.end()
            _disconnect(ranks)


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal; of systems without /proc nothing is known, and the answer is no."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (OSError, UnicodeDecodeError):
        return False
    return stat.rpartition(")")[2].split()[:1] == ["T"]


def _is_lost_connection(error: Exception) -> bool:
    """Whether an exchange has failed, which is how the end of another rank shows itself."""
    return isinstance(error, RuntimeError) and re.search("gloo|nccl|connection", str(error), re.IGNORECASE) is not None


def _wait(ranks: Ranks) -> None:
    """The other ranks have nothing left to do: they end by themselves, or are ended."""
    deadline = time.monotonic() + NOTICE_S
    for process in ranks.others:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()


def _disconnect(ranks: Ranks) -> None:
    """Leave the process group; the next job has one of its own. Ranks that fail before there is one say so."""
    import torch.distributed as dist

    error = sys.exc_info()[1]
    if not ranks.is_connected or not dist.is_initialized():
        if ranks.outside and isinstance(error, Exception):  # a signal reaches all of them
            from nas_lightning.processes.rendezvous import stay_away

            with suppress(RuntimeError):  # nobody is there to be told
                stay_away(ranks.place, ranks.rank, ranks.size)
        return
    if error is not None and (is_started_by_rank_0() or dist.get_backend() == "nccl"):
        return  # the process ends, and the connection with it; NCCL would wait for ranks that are gone
    dist.destroy_process_group()


def is_left_connected() -> bool:
    """Whether a failed job has left this process in a group that no other job can use."""
    distributed = sys.modules.get("torch.distributed")
    return distributed is not None and distributed.is_available() and distributed.is_initialized()


def outlive_nobody(parent: int) -> None:
    """Ends this process as soon as the one that has started it is gone, even by kill -9, or has been stopped for
    `STOPPED_S` seconds: nothing can be exchanged with it."""
    stopped = 0.0
    while os.getppid() == parent:
        time.sleep(0.5)
        # Counted, not timed: where the whole group was stopped, as by Ctrl-Z, the clock went on.
        stopped = stopped + 0.5 if is_stopped(parent) else 0.0
        if stopped > STOPPED_S:
            os._exit(GAVE_UP)
    os._exit(1)


@contextmanager
def _environment_restored() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in LAUNCH_VARIABLES}
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _rank_known(rank: int) -> Iterator[None]:
    """Tell Lightning and its loggers, which guess the rank from the environment otherwise."""
    from pytorch_lightning.utilities import rank_zero

    known: Any = rank_zero.rank_zero_only
    before = getattr(known, "rank", None)
    known.rank = rank
    try:
        yield
    finally:
        known.rank = before


@contextmanager
def _threads_divided(trainer: TrainerSettings) -> Iterator[None]:
    """The processor's cores divided between the ranks of this machine, unless the user has said how many threads."""
    import torch

    before = torch.get_num_threads()
    if not trainer.threads and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // device_count(trainer)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
