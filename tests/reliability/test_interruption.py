"""Signals: at once outside of training, at the step's end within, at once again when asked twice."""

import os
import pickle
import signal
import subprocess
import sys
import threading

import pytest

from nas_lightning.config.messages import run_main
from nas_lightning.config.schema import TrainerSchema
from nas_lightning.modes.job import check_checkpoints
from nas_lightning.plan import PlanError
from nas_lightning.processes.signals import Deferred, Stopped, stoppable


@pytest.mark.parametrize(("number", "code", "word"), [(signal.SIGTERM, 75, "term"), (signal.SIGINT, 130, "interr")])
def test_a_signal_ends_a_command_with_its_own_code_and_one_sentence(capsys, number, code, word):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as end:
        run_main(lambda: os.kill(os.getpid(), number))
    assert end.value.code == code
    said = capsys.readouterr().err
    assert said.startswith(word)
    assert said.endswith("the same command goes on from here\n")
    assert said.count("\n") == 1
    assert signal.getsignal(number) is before


def test_it_is_no_error_that_a_job_may_swallow():
    assert not issubclass(Stopped, Exception)
    assert pickle.loads(pickle.dumps(Stopped(signal.SIGTERM))).exit_code == 75  # workers send it to their parent


def test_a_deferred_signal_waits_and_the_second_does_not():
    deferred = Deferred()
    with stoppable():
        outer = signal.getsignal(signal.SIGTERM)
        deferred.install()
        assert deferred.signum == 0
        os.kill(os.getpid(), signal.SIGTERM)
        assert deferred.signum == signal.SIGTERM
        with pytest.raises(Stopped):
            os.kill(os.getpid(), signal.SIGINT)
        deferred.restore()
        assert signal.getsignal(signal.SIGTERM) is outer
        with pytest.raises(Stopped):
            os.kill(os.getpid(), signal.SIGTERM)


def test_one_signal_that_comes_twice_at_once_is_one(monkeypatch):
    """A terminal or SLURM sends it to all processes, and their parent hands it on."""
    deferred = Deferred()
    with stoppable():
        deferred.install()
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert deferred.signum == signal.SIGTERM
        monkeypatch.setattr(deferred, "_since", deferred._since - 2)
        with pytest.raises(Stopped):
            os.kill(os.getpid(), signal.SIGTERM)
        deferred.restore()


def test_threads_leave_the_signals_alone():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def job():
        with stoppable():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=job)
    thread.start()
    thread.join(60)
    assert seen == [before]


def test_the_exit_code_reaches_the_shell():
    code = (
        "import os, signal, time\n"
        "from nas_lightning.config.messages import run_main\n"
        "run_main(lambda: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(60)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 75
    assert done.stderr == "terminated: the same command goes on from here\n"


@pytest.mark.parametrize(
    "wrong", [{"checkpoint_every": 0}, {"checkpoint_every_steps": 0}, {"checkpoint_minutes": -1.0}]
)
def test_intervals_that_no_clock_has_are_refused(wrong):
    fine = {"checkpoint_every": 1, "checkpoint_every_steps": None, "checkpoint_minutes": None}
    check_checkpoints(TrainerSchema(**fine))
    with pytest.raises(PlanError, match="give one above 0"):
        check_checkpoints(TrainerSchema(**{**fine, **wrong}))
