"""Kills, signals and refusing disks: a short version always, the whole one with ``pytest -m faults`` (20 minutes)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("faults.py")


def run(tmp_path, *arguments, timeout):
    out = tmp_path / "outcomes.json"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--out", str(out), *arguments], capture_output=True, text=True, timeout=timeout
    )
    assert out.exists(), done.stderr
    return json.loads(out.read_text())


def test_a_few_kills_a_signal_and_a_full_disk(tmp_path):
    arguments = ("--kills", "2", "--only", "nasbench201", "table", "--stops", "Ctrl-C in search")
    outcomes = run(tmp_path, *arguments, timeout=280)
    assert [outcome["wrong"] for outcome in outcomes] == [[], [], []]
    assert sum(sum(outcome["kills"].values()) for outcome in outcomes if "kills" in outcome) == 4


@pytest.mark.faults
@pytest.mark.timeout(7200)
def test_every_scenario_and_every_stop(tmp_path):
    outcomes = run(tmp_path, "--kills", "6", timeout=7000)
    assert [outcome for outcome in outcomes if outcome["wrong"]] == []
    assert sum(sum(outcome["kills"].values()) for outcome in outcomes if "kills" in outcome) >= 20
