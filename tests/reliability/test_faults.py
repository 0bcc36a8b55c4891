"""Kills, signals and refusing disks: a short version always, the whole one with ``pytest -m kills`` (minutes)."""

import json
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from nas_lightning.config.schema import register
from nas_lightning.heuristic import NotApplicableError
from nas_lightning.modes.job import compose as compose_job
from tests.helpers import process
from tests.reliability.scenarios import MOST, TINY

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("faults.py")


def run(tmp_path, *arguments, timeout):
    out = tmp_path / "outcomes.json"
    done = process.run([SCRIPT, "--out", out, *arguments], timeout=timeout)
    assert out.exists(), done.stderr
    return json.loads(out.read_text())


def test_a_few_kills_a_signal_and_a_full_disk(tmp_path):
    arguments = ("--kills", "2", "--only", "nasbench201", "table", "--stops", "Ctrl-C in search")
    outcomes = run(tmp_path, *arguments, timeout=280)
    assert [outcome["wrong"] for outcome in outcomes] == [[], [], []]
    assert sum(sum(outcome["kills"].values()) for outcome in outcomes if "kills" in outcome) == 4


@pytest.mark.slow
@pytest.mark.parametrize("space", MOST)
def test_the_runs_that_are_killed_use_all_that_a_space_has(space):
    """Every factor is set, by name or as a number of the plan, or does not apply to the space."""
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        named = {override.partition("=")[0] for override in (*TINY, *MOST[space])}
        for group in sorted((ROOT / "conf/heuristics").iterdir()):
            factor = group.name
            if {f"heuristics/{factor}", f"plan.protocol.{factor}", f"plan.mapping.{factor}"} & named:
                continue
            options = sorted(file.stem for file in group.glob("*.yaml") if file.stem != "default")
            chosen = [compose("train", [f"space={space}", f"heuristics/{factor}={option}"]) for option in options]
            with pytest.raises(NotApplicableError):
                [compose_job(config) for config in chosen]
        compose_job(compose("train", [f"space={space}", *TINY, *MOST[space]]))


@pytest.mark.kills
@pytest.mark.timeout(7200)
def test_every_scenario_and_every_stop(tmp_path):
    outcomes = run(tmp_path, "--kills", "6", timeout=7000)
    assert [outcome for outcome in outcomes if outcome["wrong"]] == []
    assert sum(sum(outcome["kills"].values()) for outcome in outcomes if "kills" in outcome) >= 20
