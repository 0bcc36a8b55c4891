"""The dashboard's specification, made without a network, against what runs really log."""

import json

import pytest
import wandb
from PIL import Image

from nas_lightning.logging import RunFacts
from nas_lightning.logging.dashboard import DashboardError, build, main, publish_pictures, specification
from nas_lightning.logging.facts import final_numbers
from nas_lightning.report import figures
from nas_lightning.report.costs import against_cost
from nas_lightning.report.curves import over_epochs
from nas_lightning.report.forest import forest
from nas_lightning.report.matrix import matrix
from nas_lightning.report.misranked import misranked
from nas_lightning.report.search_curves import search_curves
from nas_lightning.report.strip import strip
from tests.helpers.offline import read_offline_run

pytest.importorskip("wandb_workspaces", reason="wandb-workspaces is not installed (extra: dashboard)")


def panels():
    spec = specification(build("team", "nas-lightning", "isolated", ["protocol.learning_rate"]))
    sections = spec["spec"]["section"]["panelBankConfig"]["sections"]
    return spec, {
        panel["config"].get("chartTitle", panel["viewType"]): panel for s in sections for panel in s["panels"]
    }


def strings(value):
    if isinstance(value, dict):
        return [s for item in value.values() for s in strings(item)]
    if isinstance(value, list):
        return [s for item in value for s in strings(item)]
    return [value] if isinstance(value, str) else []


def test_the_nearest_native_panels_are_there():
    spec, found = panels()
    assert spec["displayName"].endswith("in isolated")
    kinds = {panel["viewType"] for panel in found.values()}
    assert kinds == {"Bar Chart", "Run History Line Plot", "Scatter Plot", "Parallel Coordinates Plot", "Media Browser"}
    assert found["Kendall tau (mean, s.d. over seeds)"]["config"]["groupBy"] == "ablation.value.setting"
    assert "report/tau-per-setting" in strings(next(p for p in found.values() if p["viewType"] == "Media Browser")), (
        "box plots come as pictures"
    )


def test_every_panel_asks_for_something_that_runs_log(tmp_path):
    record = {
        "kendall_tau": 0.5,
        "sparse_kendall_tau": 0.5,
        "supernet_accuracy": 0.7,
        "final_search_performance": {"mean": 0.9},
        "probability_beats_random": {"probability": 0.8},
    }
    summary = final_numbers(
        {
            "metrics": {"accuracy": record},
            "baselines": {"parameters": {"kendall_tau": 0.4}},
            "cost": {"passes": 9},
        }
    )
    _, found = panels()
    asked = {
        s.split(":")[-1].removeprefix("summary_metrics.")
        for p in found.values()
        for s in strings(p["config"])
        if s.startswith(("summary_metrics.", "summary:"))
    }
    assert asked
    assert asked <= set(summary), asked - set(summary)
    config = RunFacts(tmp_path, "h", "train", "nasbench201", "digits", 0).config()
    assert set(config["ablation"]) == {"factor", "setting"}


def test_runs_are_filtered_and_grouped():
    spec, _ = panels()
    text = json.dumps(spec["spec"]["section"]["runSets"])
    assert "isolated" in text
    assert "ablation.value.factor" in text or "ablation.factor" in text


@pytest.mark.slow
def test_pictures_are_figures_of_the_report_and_pass_the_workspaces_filter(tmp_path, monkeypatch):
    """Published offline and read back: the run of the pictures is in the study's group, under the panel's own keys."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(tmp_path)
    described = [
        forest([]), strip([]), *figures.scatters([]), over_epochs([], "kendall_tau", "Kendall tau"), search_curves([]),
        matrix([]), *against_cost([]), misranked([], [])[0],
    ]  # fmt: skip
    drawn = [figure.id for figure in described]
    for name in drawn:
        (tmp_path / "report" / "figures").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "report" / "figures" / f"{name}.png")
    keys = publish_pictures(tmp_path / "report", "nas-lightning", None, "isolated")
    wandb.teardown()
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    found = read_offline_run(folder)
    assert (found.group, found.job_type, found.exit_code) == ("isolated", "report", 0)
    assert len(found.files) == len(keys) == len(drawn)
    spec, panel = panels()
    assert "isolated" in json.dumps(spec["spec"]["section"]["runSets"])
    asked = {s for s in strings(panel["Report"]["config"]) if s.startswith("report/")}
    assert len(asked) >= 6
    assert asked <= set(keys)
    with pytest.raises(DashboardError, match=r"holds no figures/\*\.png"):
        publish_pictures(tmp_path / "empty", "nas-lightning", None)


def test_command_writes_the_specification_and_needs_a_key_to_send(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "absent"))
    file = tmp_path / "spec.json"
    assert main(["--entity", "team", "--spec", str(file)]) == 0
    (tmp_path / "folder").mkdir()
    assert main(["--entity", "team", "--spec", str(tmp_path / "folder")]) == 2
    assert "cannot be written (Is a directory); name another file" in capsys.readouterr().err
    assert list((tmp_path / "folder").parent.glob(".*")) == []
    assert json.loads(file.read_text())["entity"] == "team"
    assert main(["--entity", "team"]) == 2
    assert "no W&B key was found" in capsys.readouterr().err
