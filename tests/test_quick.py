"""`pytest -m quick` leaves out what its description says, found without a list."""

import subprocess
import sys

import pytest

from nas_lightning.modes.main import train
from tests.helpers import commands
from tests.helpers.weight import COMPOSES, LEFT_OUT, is_heavy


def starts_a_process():
    return subprocess.run([sys.executable, "-c", ""], check=True)


def within():
    def inner():
        return starts_a_process()

    return inner


def through_a_helper():
    return commands.command("--help")


def runs_a_job():
    return train(commands.job("runs"))


def only_composes():
    return commands.job("runs"), sys.executable


@pytest.mark.parametrize("function", [starts_a_process, within, through_a_helper, runs_a_job])
def test_a_process_or_a_job_is_found_through_helpers_and_inner_functions(function):
    assert is_heavy(function)


def test_what_only_composes_is_no_command_and_not_quick(request):
    assert not is_heavy(only_composes)
    assert is_heavy(only_composes, starters=COMPOSES)
    assert request.node.get_closest_marker("command") is None
    assert request.node.get_closest_marker("quick") is None


def test_what_computes_alone_is_quick(request):
    assert request.node.get_closest_marker("quick") is not None


def test_a_command_is_marked_and_not_quick(request):
    marks = {mark.name for mark in request.node.iter_markers()}
    assert is_heavy(starts_a_process)  # this test refers to it, and so is a command itself
    assert "command" in marks
    assert "quick" not in marks


@pytest.mark.slow
def test_a_mark_by_hand_keeps_a_test_out(request):
    assert request.node.get_closest_marker("quick") is None
    assert "slow" in LEFT_OUT
