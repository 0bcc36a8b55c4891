"""What the report says, from synthetic run folders whose truth is known."""

import csv
import doctest
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from nas_lightning.ranking.metrics import kendall_tau
from nas_lightning.report import study, tables
from nas_lightning.report.__main__ import main
from nas_lightning.report.figures import all_figures, over_epochs, scatters, tau_against_cost
from nas_lightning.report.page import render
from nas_lightning.report.search_curves import search_curves
from nas_lightning.report.study import conditions_of
from nas_lightning.runs import labels
from nas_lightning.runs.reading import find_runs, read_run
from tests.helpers.run_folders import DEFAULTS, FACTORS, write_broken, write_run, write_search, write_study


@pytest.fixture(scope="module")
def compared(sweep):
    runs = find_runs([sweep])
    conditions, remarks = conditions_of(runs, replicates=300)
    return runs, conditions, remarks


def by_label(conditions, label):
    return next(c for c in conditions if c.label == label)


@pytest.mark.parametrize("module", [labels, tables], ids=lambda m: m.__name__)
def test_examples_in_the_docstrings(module):
    assert not doctest.testmod(module).failed


def test_every_run_is_found_with_its_status(sweep):
    runs = find_runs([sweep])
    status = {run.path.name: run.status for run in runs if run.path.parent.name == "broken"}
    assert status == {
        "failed": "failed",
        "damaged": "failed",
        "unfinished": "unfinished",
        "inapplicable": "not applicable",
    }
    assert sum(run.status == "complete" for run in runs) == 60 + 2 + 1 + 6 + 1
    assert len(find_runs([sweep, sweep / "study"])) == len(runs), "a folder given twice is read once"


def test_a_complete_result_outweighs_an_old_error(tmp_path):
    folder = write_run(tmp_path)
    (folder / "error.txt").write_text("RuntimeError: the first attempt\n")
    assert read_run(folder).status == "complete"
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps(result | {"schema_version": 2}))
    assert "schema version 2" in read_run(folder).reason
    del result["seed"]
    (folder / "result.json").write_text(json.dumps(result))
    assert read_run(folder).reason == "result.json lacks seed"


def test_hydras_own_files_are_no_runs(tmp_path):
    folder = write_run(tmp_path)
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "config.yaml").write_text("")
    (tmp_path / "multirun.yaml").write_text("")
    assert [run.path for run in find_runs([tmp_path])] == [folder]


def test_conditions_references_and_settings(compared):
    _, conditions, remarks = compared
    assert sorted(c.label for c in conditions) == [
        "darts_nds on digits",
        "nasbench101 on digits",
        "nasbench201 on digits",
    ]
    assert remarks == []
    found = by_label(conditions, "nasbench101 on digits")
    assert (found.reference.factor, found.reference.setting) == ("reference", "baseline")
    assert {(s.factor, s.setting) for s in found.settings[1:]} == {(f, s) for f, (_, v) in FACTORS.items() for s in v}
    assert all(s.seeds == [1, 2, 3, 4, 5] for s in found.settings)
    assert sorted(["b128", "b64", "0.1", "0.025"], key=study._natural) == ["0.025", "0.1", "b64", "b128"]


def test_differences_and_verdicts(compared):
    _, conditions, _ = compared
    found = by_label(conditions, "nasbench201 on digits")
    settings = {(s.factor, s.setting): s for s in found.settings}
    worse = settings["learning_rate", "0.1"]
    expected = np.mean(
        [
            kendall_tau(a.ranking["prediction"], a.ranking["truth"])
            - kendall_tau(b.ranking["prediction"], b.ranking["truth"])
            for a, b in zip(worse.runs, found.reference.runs, strict=True)
        ]
    )
    assert worse.difference.estimate == pytest.approx(expected)
    assert worse.verdict == "hurts"
    assert settings["sampling", "fairnas"].verdict == "helps"
    assert settings["channels", "16"].verdict == "no difference"
    assert worse.p_holm >= worse.difference.p
    assert found.reference.verdict == ""
    combined = settings["combination", "learning_rate: 0.1 + sampling: fairnas"]
    assert combined.verdict == "not decided (2 seeds)"


def test_factorial_effects_are_computed_where_settings_are_combined(compared):
    _, conditions, _ = compared
    effects = {e.changes: e for e in by_label(conditions, "nasbench201 on digits").effects}
    pair = next(e for changes, e in effects.items() if len(changes) == 2)
    assert {f for f, _, _ in pair.changes} == {"learning_rate", "sampling"}
    assert pair.n_seeds == 2
    assert by_label(conditions, "nasbench101 on digits").effects == []


def test_without_a_labelled_baseline_the_modal_settings_are_the_reference(tmp_path):
    for factor, (_, settings) in FACTORS.items():
        for setting in settings:
            write_run(tmp_path, changes={factor: setting})
    write_run(tmp_path)
    (condition,), _ = conditions_of(find_runs([tmp_path]), replicates=100)
    assert condition.reference.runs[0].result["heuristics"] == {}
    assert len(condition.settings) == 6
    assert condition.settings[1].verdict == "not decided (1 seed)"


def test_other_plans_and_evaluations_are_not_mixed(tmp_path):
    write_run(tmp_path)
    write_run(tmp_path, changes={"sampling": "fairnas"})
    longer = {
        "mapping": {"channels": 8, "wsbn": "off"},
        "protocol": {"epochs": 20, "batch_size": 64, "learning_rate": 0.025, "sampling": "random_nas"},
    }
    write_run(tmp_path, plan=longer)
    write_run(
        tmp_path,
        changes={"sampling": "fairnas"},
        plan=longer | {"protocol": longer["protocol"] | {"sampling": "fairnas"}},
    )
    write_run(tmp_path, n=50)
    conditions, _ = conditions_of(find_runs([tmp_path]), replicates=100)
    assert len(conditions) == 3
    assert {c.label for c in conditions} == {
        "nasbench201 on digits, random60_seed0, epochs=10",
        "nasbench201 on digits, random60_seed0, epochs=20",
        "nasbench201 on digits, random50_seed0",
    }
    sizes = sorted((c.about["architecture_set"], len(c.settings)) for c in conditions)
    assert sizes == [("random50_seed0", 1), ("random60_seed0", 2), ("random60_seed0", 2)]
    for condition in conditions:
        epochs = {r.result["plan"]["protocol"]["epochs"] for s in condition.settings for r in s.runs}
        assert len(epochs) == 1


def test_a_lone_run_of_another_starting_point_or_initialization_is_compared_with_nothing(tmp_path):
    for seed in (1, 2):
        write_run(tmp_path, seed=seed)
        write_run(tmp_path, seed=seed, changes={"sampling": "fairnas"})
    deeper = json.loads(json.dumps(DEFAULTS))
    deeper["mapping"]["channels"] = 24
    write_run(tmp_path, seed=1, plan=deeper)
    folder = write_run(tmp_path / "init", seed=3)
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps(result | {"init_seed": 0}))
    folder = write_run(tmp_path / "data", seed=4)
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps(result | {"data": {"augment": False}}))
    conditions, _ = conditions_of(find_runs([tmp_path]), replicates=100)
    assert {c.label: [len(s.runs) for s in c.settings] for c in conditions} == {
        "nasbench201 on digits, augment true, no init seed, channels=8": [2, 2],
        "nasbench201 on digits, augment true, no init seed, channels=24": [1],
        "nasbench201 on digits, augment true, init seed 0": [1],
        "nasbench201 on digits, augment false, no init seed": [1],
    }


def test_runs_from_before_a_field_of_the_plan_existed_stay_comparable(tmp_path):
    write_run(tmp_path, seed=1)
    later = write_run(tmp_path, seed=2)
    result = json.loads((later / "result.json").read_text())
    result["plan"]["protocol"]["a_later_field"] = False
    (later / "result.json").write_text(json.dumps(result))
    (condition,), _ = study.conditions_of(find_runs([tmp_path]), replicates=100)
    assert [len(setting.runs) for setting in condition.settings] == [2]


def test_results_from_before_the_versions_of_sets_were_recorded_stay_comparable(tmp_path):
    write_run(tmp_path, seed=1)
    folder = write_run(tmp_path, seed=2)
    result = json.loads((folder / "result.json").read_text())
    result["evaluation"] |= {"architecture_set_version": 1, "architectures_sha256": "0" * 64}
    (folder / "result.json").write_text(json.dumps(result))
    assert len(conditions_of(find_runs([tmp_path]), replicates=100)[0]) == 1
    result["evaluation"]["architecture_set_version"] = 2
    (folder / "result.json").write_text(json.dumps(result))
    labels = {c.label for c in conditions_of(find_runs([tmp_path]), replicates=100)[0]}
    assert labels == {f"nasbench201 on digits, architecture set version {v}" for v in (1, 2)}


def test_one_run_in_two_folders_counts_once_and_is_said(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b")
    (condition,), remarks = conditions_of(find_runs([tmp_path]), replicates=100)
    assert len(condition.reference.runs) == 1
    assert "counted once" in remarks[0]


def test_settings_are_compared_on_their_common_architectures(tmp_path):
    """A restricted super-net (dynamic channel off) ranks fewer: the reference is cut to the same ones."""
    import pyarrow.parquet as pq

    write_run(tmp_path, seed=1)
    folder = write_run(tmp_path, seed=1, changes={"channels": "16"})
    table = pq.read_table(folder / "ranking.parquet")
    pq.write_table(table.slice(10, 30), folder / "ranking.parquet")
    (condition,), _ = conditions_of(find_runs([tmp_path]), replicates=100)
    assert condition.settings[1].difference.n_architectures == 30


def test_tables_agree_with_the_runs(report, compared):
    runs, conditions, _ = compared
    with (report / "ablation.csv").open() as stream:
        rows = {(r["conditions"], r["factor"], r["setting"]): r for r in csv.DictReader(stream)}
    assert len(rows) == sum(len(c.settings) for c in conditions)
    row = rows["nasbench101 on digits", "sampling", "fairnas"]
    found = [
        r.result["metrics"]["accuracy"]["kendall_tau"]
        for r in runs
        if r.kind == "train"
        and r.status == "complete"
        and r.result["space"] == "nasbench101"
        and r.result["heuristics"] == {"sampling": {"value": "fairnas"}}
    ]
    assert float(row["kendall_tau_mean"]) == pytest.approx(np.mean(found))
    assert float(row["kendall_tau_std"]) == pytest.approx(np.std(found, ddof=1))
    assert row["kendall_tau_n"] == "5"
    assert row["verdict"] == "helps"
    record = by_label(conditions, "nasbench101 on digits").reference.runs[0].result
    free, noise = record["baselines"]["parameters"], record["ceiling"]["noise"]["tau"]
    assert float(row["parameters_kendall_tau"]) == pytest.approx(free["kendall_tau"])
    assert float(row["noise_ceiling"]) == pytest.approx(noise)
    assert row["depth_kendall_tau"] == row["proxy_ceiling"] == "", "these runs have none"
    markdown = (report / "ablation.md").read_text()
    line = next(x for x in markdown.splitlines() if x.startswith("| sampling | fairnas | helps |"))
    assert f"{np.mean(found):.3f} ± {np.std(found, ddof=1):.3f}" in line
    top = free["final_search_performance"]["mean"]
    parameters = f"| free baseline | parameters | – | {free['kendall_tau']:.3f} | – | – | – | – |"
    assert f"{parameters} {free['sparse_kendall_tau']:.3f} | {100 * top:.1f} |" in markdown
    assert f"| ceiling | noise | – | {noise:.3f} | – | – | – | – | – | – | – | 60 |" in markdown
    latex = (report / "ablation.tex").read_text()
    assert f"free baseline & parameters & -- & {free['kendall_tau']:.3f} & " in latex
    assert r"learning\_rate & 0.1 & hurts & " in latex
    assert r"\begin{tabular}" in latex
    assert not [c for c in latex if ord(c) > 127], "plain LaTeX without extra packages reads ASCII"
    body = [x for x in latex.splitlines() if x.endswith(r"\\") and "multicolumn" not in x]
    assert {x.replace(r"\&", "").count("&") for x in body} == {len(tables.HEADER) - 2}


def test_pictures_of_every_figure(report, compared):
    runs, conditions, _ = compared
    for figure in all_figures(conditions, runs):
        assert (report / "figures" / f"{figure['id']}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (report / "figures" / f"{figure['id']}.svg").read_text()


def test_the_page_is_self_contained_and_escapes(compared):
    runs, conditions, _ = compared
    figures = all_figures(conditions, runs)
    text = render(conditions, runs, figures, ["</script><b>"], title="a < b & c")
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text
    assert "src=" not in text
    assert "<title>a &lt; b &amp; c</title>" in text
    assert text.count("</script>") == 2
    level = by_label(conditions, "nasbench101 on digits").reference.level
    hint = f"95 % interval over seeds and architectures: {level.low:.3f} to {level.high:.3f}"
    assert f'title="{hint}" data-value=' in text
    data = text.split('id="report-data">')[1].split("</script>")[0].replace("<\\/", "</")
    assert json.loads(data)["figures"] == figures


def test_scatter_turns_into_density_and_keeps_the_title(compared):
    _, conditions, _ = compared
    figure = scatters(conditions)
    large = next(p for p in figure["panels"] if p["group"] == "darts_nds on digits")
    density = large["density"]
    assert np.sum(density["counts"]) == 2500
    run = next(c for c in conditions if c.space == "darts_nds").reference.runs[0]
    accuracies = dict(zip(run.ranking["architecture"].tolist(), 100 * run.ranking["truth"], strict=True))
    for i, j in zip(*np.nonzero(density["counts"]), strict=True):
        assert density["y"][j] - 1e-5 <= accuracies[density["names"][i][j]] <= density["y"][j + 1] + 1e-5
    assert [n for row, c in zip(density["names"], density["counts"], strict=True) for n, m in zip(row, c, strict=True)
            if bool(n) != bool(m)] == []  # fmt: skip
    assert [s["label"] for s in large["series"]] == ["top 10"]
    small = next(p for p in figure["panels"] if p["group"] == "nasbench101 on digits")
    assert "density" not in small
    assert sum(len(s["x"]) for s in small["series"]) == 60
    record = by_label(conditions, "nasbench101 on digits").reference.runs[0].result
    free = record["baselines"]["parameters"]["kendall_tau"]
    assert f"Kendall tau {small['tau']:.3f} (parameters {free:.3f}), n = 60" in small["title"]


def test_another_score_may_be_the_one_that_counts(tmp_path):
    """Recipes of low fidelity rank by −cross-entropy: its tau and its column are the ones that are reported."""
    folder = write_run(tmp_path)
    result = json.loads((folder / "result.json").read_text())
    result["evaluation"]["score"] = "negative_cross_entropy"
    result["metrics"]["negative_cross_entropy"]["kendall_tau"] = 0.125
    (folder / "result.json").write_text(json.dumps(result))
    (condition,), _ = conditions_of(find_runs([tmp_path]), replicates=100)
    assert condition.reference.values("kendall_tau").tolist() == [0.125]
    assert condition.reference.values("supernet_accuracy")[0] == result["metrics"]["accuracy"]["supernet_accuracy"]
    (panel,) = scatters([condition])["panels"]
    assert panel["x"] == "Super-net negative cross entropy"
    assert max(x for s in panel["series"] for x in s["x"]) < 0


def test_curves_over_epochs_are_medians_at_evaluated_epochs(compared):
    _, conditions, _ = compared
    figure = over_epochs(conditions, "kendall_tau", "Kendall tau")
    line = figure["panels"][0]["series"][0]
    assert line["x"] == [2, 4, 6, 8, 10], "epochs without an evaluation are no points"
    condition = next(c for c in conditions if c.label == figure["panels"][0]["title"])
    assert line["y"][-1] == pytest.approx(np.median(condition.reference.values("kendall_tau")))
    assert line["low"][-1] <= line["y"][-1] <= line["high"][-1]
    free = condition.reference.runs[0].result["baselines"]["parameters"]["kendall_tau"]
    assert figure["panels"][0]["levels"] == [{"value": pytest.approx(free), "label": f"parameter count {free:.3f}"}]
    assert over_epochs(conditions, "supernet_accuracy", "Super-net accuracy (%)")["panels"][0]["levels"] == []


def test_search_curves_hold_their_incumbent_and_end_with_the_shortest(tmp_path):
    write_search(tmp_path, seed=1, evaluations=50)
    write_search(tmp_path, seed=2, evaluations=30)
    runs = find_runs([tmp_path])
    (panel,) = search_curves(runs)["panels"]
    (line,) = panel["series"]
    assert line["label"] == "random_search (2)"
    assert line["x"] == list(range(1, 31))
    assert panel["y"].startswith("Stand-alone accuracy")
    expected = [np.median([100 * run.search["incumbent_truth"][i] for run in runs]) for i in range(30)]
    assert line["y"] == pytest.approx(expected)


def test_cost_is_passes_and_seconds(compared):
    _, conditions, _ = compared
    for cost, scale in (("passes", 450), ("seconds", 450 / 8 + 1)):
        figure = tau_against_cost(conditions, cost, cost)
        series = {s["label"]: s for p in figure["panels"] for s in p["series"]}
        assert min(series["sampling: fairnas"]["x"]) == pytest.approx(scale)


def test_bad_input_is_one_sentence_and_writes_nothing(tmp_path, capsys):
    out = tmp_path / "out"
    (tmp_path / "empty").mkdir()
    for folder, message in (("absent", "is no folder"), ("empty", "no runs in")):
        assert main([str(tmp_path / folder), "--out", str(out)]) == 2
        assert message in capsys.readouterr().err
    assert not out.exists()
    folder = write_run(tmp_path / "runs")
    (folder / "ranking.parquet").write_bytes(b"PAR1 cut off")
    assert main([str(tmp_path / "runs"), "--out", str(out)]) == 2
    assert "ranking.parquet cannot be read" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(folder), "--replicates", "5"])


def test_a_report_of_failures_alone_is_still_a_report(tmp_path):
    write_broken(tmp_path / "broken")
    assert main([str(tmp_path / "broken"), "--out", str(tmp_path / "out")]) == 0
    assert "loss is nan at step 7" in (tmp_path / "out" / "index.html").read_text()


def test_the_command_needs_neither_torch_nor_lightning(tmp_path):
    write_study(tmp_path / "study", spaces=("nasbench201",), seeds=(1,), n=20)
    code = (
        "import sys; from nas_lightning.report.__main__ import main; "
        f"status = main([{str(tmp_path / 'study')!r}, '--out', {str(tmp_path / 'out')!r}, '--replicates', '100']); "
        "print([m for m in ('torch', 'pytorch_lightning', 'sklearn', 'pandas') if m in sys.modules]); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
