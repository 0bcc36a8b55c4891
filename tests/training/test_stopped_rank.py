"""A rank that is stopped, not dead, and ports that are none or taken: a time limit and one sentence."""

import signal
import socket
import subprocess
import sys
import time

import pytest

from nas_lightning.config.schema import TrainerSchema
from nas_lightning.errors import UserError
from nas_lightning.processes import ranks
from nas_lightning.processes.launch import RankSilentError, check_port
from nas_lightning.processes.ranks import Ranks, is_stopped, ranks_of
from tests.training.test_ddp_command import TINY, TWO, end, start


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def stopped(process):
    process.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + 30
    while not is_stopped(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_stopped(process.pid)


def test_a_stopped_rank_is_a_failure_after_a_time_and_one_that_goes_on_is_none(sleeper, monkeypatch):
    run = Ranks(0, 2, False)
    run.others = [sleeper]
    assert run.failure() is None
    assert stopped(sleeper)
    monkeypatch.setattr(ranks, "STOPPED_S", 0.3)
    assert run.failure() is None, "its time begins now"
    time.sleep(0.4)
    failure = run.failure()
    assert isinstance(failure, RankSilentError)
    assert failure.exit_code == 75
    assert "rank 1 has been stopped (SIGSTOP) for 0 seconds" in str(failure)
    assert len(str(failure)) < 300
    sleeper.send_signal(signal.SIGCONT)
    while is_stopped(sleeper.pid):
        time.sleep(0.05)
    assert run.failure() is None
    assert stopped(sleeper)
    assert run.failure() is None, "the time begins anew"
    run.end()
    assert sleeper.poll() == -signal.SIGKILL, "a stopped process takes no other signal"


def test_the_others_give_up_a_rank_0_that_is_stopped(sleeper, monkeypatch):
    def end(code):
        raise SystemExit(code)

    monkeypatch.setattr(ranks.os, "getppid", lambda: sleeper.pid)
    monkeypatch.setattr(ranks.os, "_exit", end)
    monkeypatch.setattr(ranks.time, "sleep", lambda _: None)
    monkeypatch.setattr(ranks, "STOPPED_S", 2.0)
    assert stopped(sleeper)
    with pytest.raises(SystemExit) as given_up:
        ranks.outlive_nobody(sleeper.pid)
    assert given_up.value.code == ranks.GAVE_UP
    run = Ranks(0, 2, False)
    run.others = [subprocess.Popen([sys.executable, "-c", f"raise SystemExit({ranks.GAVE_UP})"])]
    run.others[0].wait()
    assert "this process was stopped (SIGSTOP)" in str(run.failure())
    assert run.failure().exit_code == 75


def test_an_exchange_that_times_out_is_one_sentence():
    run = ranks_of(TrainerSchema(strategy="ddp", devices="2", accelerator="cpu"), "job")
    said = r"rank 0 has waited .* the same command goes on"
    with pytest.raises(RankSilentError, match=said) as failure, run:
        raise RuntimeError("[gloo/transport/tcp/unbound_buffer.cc:78] Timed out waiting 1800000ms for recv\nmore")
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("text", ["abc", "0", "65536", "-1", "29500x", "٣", "1e3", ""])
def test_a_port_that_is_none_is_refused(text):
    with pytest.raises(UserError, match="is no port; set a number from 1 to 65535"):
        check_port(text)


def test_ports_and_no_port_pass():
    check_port("29500")
    check_port(None)


@pytest.mark.timeout(860)
def test_a_port_that_is_taken_is_refused_in_one_sentence(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, _, err = end(start(*TINY, *TWO, f"runs={tmp_path}", MASTER_PORT=port, MASTER_ADDR="127.0.0.1"))
    assert code == 2, err
    assert f"MASTER_PORT={port} is taken by another process" in err
    assert "Traceback" not in err
    assert not list(tmp_path.glob("*/result.json"))
