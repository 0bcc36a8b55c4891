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
from nas_lightning.report.costs import against_cost
from nas_lightning.report.curves import over_epochs
from nas_lightning.report.figure import write_pictures
from nas_lightning.report.figures import all_figures, scatters
from nas_lightning.report.page import TEXTS, render
from nas_lightning.report.search_curves import search_curves
from nas_lightning.report.study import conditions_of
from nas_lightning.runs import labels
from nas_lightning.runs.reading import find_runs, read_run
from tests.helpers.run_folders import DEFAULTS, FACTORS, write_broken, write_run, write_search, write_study

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def compared(sweep):
    runs = find_runs([sweep])
    conditions, remarks = conditions_of(runs, replicates=300)
    return runs, conditions, remarks


@pytest.fixture(scope="module")
def figures(compared):
    runs, conditions, _ = compared
    return all_figures(conditions, runs)


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
    assert read_run(folder).reason == "result.json lacks seed; repeat the run with force=true"


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
    assert found.baseline.name == "baseline"
    assert {(s.factor, s.setting) for s in found.settings[1:]} == {(f, s) for f, (_, v) in FACTORS.items() for s in v}
    assert all(s.seeds == [1, 2, 3, 4, 5] for s in found.settings)
    assert sorted(["b128", "b64", "0.1", "0.025"], key=study.natural) == ["0.025", "0.1", "b64", "b128"]


def test_differences_and_verdicts(compared):
    _, conditions, _ = compared
    found = by_label(conditions, "nasbench201 on digits")
    settings = {(s.factor, s.setting): s for s in found.settings}
    worse = settings["learning_rate", "0.1"]
    expected = np.mean(
        [
            kendall_tau(a.ranking["prediction"], a.ranking["truth"])
            - kendall_tau(b.ranking["prediction"], b.ranking["truth"])
            for a, b in zip(worse.runs, found.baseline.runs, strict=True)
        ]
    )
    assert worse.difference.estimate == pytest.approx(expected)
    assert worse.verdict == "hurts"
    assert settings["sampling", "fairnas"].verdict == "helps"
    assert settings["channels", "16"].verdict == "no difference"
    assert worse.p_holm >= worse.difference.p
    assert found.baseline.verdict == ""
    combined = settings["combination", "learning_rate: 0.1 + sampling: fairnas"]
    assert combined.verdict == "not decided (2 seeds)"


def test_factorial_effects_are_computed_where_settings_are_combined(compared):
    _, conditions, _ = compared
    effects = {e.changes: e for e in by_label(conditions, "nasbench201 on digits").effects}
    pair = next(e for changes, e in effects.items() if len(changes) == 2)
    assert {f for f, _, _ in pair.changes} == {"learning_rate", "sampling"}
    assert pair.n_seeds == 2
    assert by_label(conditions, "nasbench101 on digits").effects == []


def test_the_baseline_is_the_unchanged_plan_whatever_it_is_labelled(tmp_path):
    for factor, (_, settings) in FACTORS.items():
        for setting in settings:
            write_run(tmp_path, changes={factor: setting}, ablation={"factor": "baseline", "setting": "baseline"})
    write_run(tmp_path)
    (condition,), _ = conditions_of(find_runs([tmp_path]), replicates=100)
    assert condition.baseline.runs[0].result["heuristics"] == {}
    assert len(condition.settings) == 6
    assert {s.name for s in condition.settings if "baseline" in s.name} == {"baseline"}
    assert condition.settings[1].verdict == "not decided (1 seed)"


def test_a_study_without_the_unchanged_plan_compares_with_nothing_and_says_so_first(tmp_path):
    for seed in (1, 2):
        write_run(tmp_path / "runs", seed=seed, changes={"sampling": "fairnas"})
        write_run(tmp_path / "runs", seed=seed, changes={"sampling": "random_a", "channels": "16"})
    (condition,), _ = conditions_of(find_runs([tmp_path / "runs"]), replicates=100)
    assert condition.baseline is None
    assert [s.name for s in condition.settings] == ["sampling: fairnas", "channels: 16 + sampling: random_a"]
    assert all(s.difference is None and s.verdict == "" for s in condition.settings)
    given = [str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--replicates", "100", "--formats", "none"]
    assert main(given) == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.index("This study has no baseline") < page.index('class="tiles"') < page.index("<table")
    assert "No run of the unchanged plan" in (tmp_path / "out" / "ablation.md").read_text()
    assert 'id="figure-forest"' not in page
    assert 'id="figure-scatter"' in page
    rows = list(csv.DictReader((tmp_path / "out" / "ablation.csv").open()))
    assert [row["difference"] for row in rows] == ["", ""]
    assert "baseline" not in [row["setting"] for row in rows]


def test_a_default_that_is_named_changes_nothing(tmp_path):
    """``ablation=sampling_random_nas`` trains the plan's own sampling: it is the baseline, and counts once."""
    for seed in (1, 2):
        write_run(tmp_path, seed=seed)
        write_run(tmp_path, seed=seed, changes={"sampling": "fairnas"})
    for seed in (2, 3):
        folder = write_run(tmp_path / "named", seed=seed)
        result = json.loads((folder / "result.json").read_text())
        result |= {"heuristics": {"sampling": {"protocol.sampling": "random_nas"}}, "run_hash": f"named{seed}"}
        result["ablation"] = {"factor": "sampling", "setting": "random_nas"}
        (folder / "result.json").write_text(json.dumps(result))
    (condition,), _ = conditions_of(find_runs([tmp_path]), replicates=100)
    assert [s.name for s in condition.settings] == ["baseline", "sampling: fairnas"]
    assert condition.baseline.seeds == [1, 2, 3]
    assert condition.baseline.note == "1 runs that set sampling to the default repeat its seeds and count once"


def test_options_stand_in_a_name_where_they_are_not_the_usual_ones(tmp_path):
    """The run alone knows what is usual, and says it in its result."""
    usual = {"heuristics": {"distribution": {"protocol.distribution": "gdas", "temperature": 10.0, "portion": 0.5}}}
    other = {"heuristics": {"distribution": {"protocol.distribution": "gdas", "temperature": 5.0, "portion": 0.5}}}
    write_run(tmp_path)
    plan = {"mapping": {"channels": 8}, "protocol": DEFAULTS["protocol"] | {"distribution": "gdas"}}
    change = {"changed": {"protocol.distribution": [None, "gdas"]}}
    write_run(tmp_path, seed=1, plan=plan, called={"distribution": "gdas"}, **change, **usual)
    write_run(
        tmp_path / "5", plan=plan, called={"distribution": "gdas, temperature=5.0"}, run_hash="b", **change, **other
    )
    (condition,), _ = conditions_of(find_runs([tmp_path]), replicates=100)
    said = ["baseline", "distribution: gdas", "distribution: gdas, temperature=5.0"]
    assert [s.name for s in condition.settings] == said


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
    assert len(condition.baseline.runs) == 1
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
        and r.result["heuristics"] == {"sampling": {"protocol.sampling": "fairnas"}}
    ]
    assert float(row["kendall_tau_mean"]) == pytest.approx(np.mean(found))
    assert float(row["kendall_tau_std"]) == pytest.approx(np.std(found, ddof=1))
    assert row["kendall_tau_n"] == "5"
    assert row["verdict"] == "helps"
    record = by_label(conditions, "nasbench101 on digits").baseline.runs[0].result
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
    assert {x.replace(r"\&", "").count("&") for x in body} == {len(tables.header([])) - 2}


def test_pictures_of_every_figure(report, figures):
    for figure in figures:
        assert (report / "figures" / f"{figure.id}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (report / "figures" / f"{figure.id}.svg").read_text()
        assert (report / "figures" / f"{figure.id}.pdf").read_bytes().startswith(b"%PDF")


def test_pictures_of_the_chosen_formats_alone(figures, tmp_path):
    few = figures[:1]
    names = lambda: sorted(path.name for path in tmp_path.iterdir())  # noqa: E731
    write_pictures(tmp_path, few)
    assert names() == [f"{few[0].id}.{suffix}" for suffix in ("pdf", "png", "svg")]
    write_pictures(tmp_path, few, ["svg"])
    assert names() == [f"{few[0].id}.svg"], "nothing of the report before is left"
    write_pictures(tmp_path, few, [])
    assert names() == []
    assert 'href="figures/' not in render([], [], few, formats=[])
    assert f'href="figures/{few[0].id}.svg"' in render([], [], few, formats=["svg"])
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--formats", "none", "svg"])


def test_every_specification_is_valid_and_titles_are_broken(figures):
    import altair as alt

    for figure in figures:
        for i, panel in enumerate(figure.pictured()):
            if i == 0:  # the others are made by the same lines
                alt.Chart.from_dict(panel.specification(), validate=True)
            lines = panel.whole()["title"]["text"]
            assert max(map(len, lines)) <= 62, figure.id


def test_the_page_is_self_contained_and_escapes(compared, figures):
    runs, conditions, _ = compared
    text = render(conditions, runs, figures, ["</script><b>"], title="a < b & c")
    assert "<link" not in text.replace('<link rel="icon" href="data:,">', "")
    assert " src=" not in text.split('id="report-data">')[0]
    assert "<title>a &lt; b &amp; c</title>" in text
    assert text.count("</script>") == 3
    level = by_label(conditions, "nasbench101 on digits").baseline.level
    hint = f"95 % interval over seeds and architectures: {level.low:.3f} to {level.high:.3f}"
    assert f'title="{hint}" data-value=' in text
    held = text.split('id="report-data">')[1].split("</script>")[0]
    assert "<" not in held
    data = json.loads(held)
    assert [f["id"] for f in data["figures"]] == [f.id for f in figures]
    for packed, figure in zip(data["figures"], figures, strict=True):
        for small, panel in zip(packed["panels"], figure.panels, strict=True):
            assert data["specs"][small["spec"]] == panel.specification()
            assert [data["texts"][small[key]] for key in TEXTS] == [getattr(panel, key) for key in TEXTS]
            for name, table in panel.data.items():
                held = {k: data["columns"][v] if isinstance(v, int) else v for k, v in small["data"][name].items()}
                columns = {k: list(map(int, v)) if isinstance(v, str) else v for k, v in held.items()}
                assert columns == {k: list(v) for k, v in table.items()}


def test_scatter_turns_into_density_and_keeps_the_title(compared):
    _, conditions, _ = compared
    values, ranks = scatters(conditions)
    large = next(p for p in values.panels if p.group == "darts_nds on digits")
    cells = large.data["cells"]
    assert sum(cells["count"]) == 2500
    run = next(c for c in conditions if c.space == "darts_nds").baseline.runs[0]
    accuracies = dict(zip(run.ranking["architecture"].tolist(), 100 * run.ranking["truth"], strict=True))
    for name, low, high in zip(cells["name"], cells["y"], cells["y2"], strict=True):
        assert low - 1e-3 <= accuracies[name] <= high + 1e-3
    assert large.data["rows"]["top"] == [1] * 10
    small = next(p for p in values.panels if p.group == "nasbench101 on digits")
    assert "cells" not in small.data
    assert len(small.data["rows"]["x"]) == 60
    assert sum(small.data["rows"]["top"]) == 10
    record = by_label(conditions, "nasbench101 on digits").baseline.runs[0].result
    free, tau = (record[k][n]["kendall_tau"] for k, n in (("baselines", "parameters"), ("metrics", "accuracy")))
    assert f"Kendall tau {tau:.3f} (parameters {free:.3f}), n = 60" in small.title
    by_rank = next(p for p in ranks.panels if p.group == "nasbench101 on digits").data["rows"]
    assert sorted(by_rank["y"]) == list(range(1, 61))
    assert kendall_tau(by_rank["x"], by_rank["y"]) == pytest.approx(tau)


def test_another_score_may_be_the_one_that_counts(tmp_path):
    """Recipes of low fidelity rank by −cross-entropy: its tau and its column are the ones that are reported."""
    folder = write_run(tmp_path)
    result = json.loads((folder / "result.json").read_text())
    result["evaluation"]["score"] = "negative_cross_entropy"
    result["metrics"]["negative_cross_entropy"]["kendall_tau"] = 0.125
    (folder / "result.json").write_text(json.dumps(result))
    (condition,), _ = conditions_of(find_runs([tmp_path]), replicates=100)
    assert condition.baseline.values("kendall_tau").tolist() == [0.125]
    assert condition.baseline.values("supernet_quality")[0] == result["metrics"]["accuracy"]["supernet_accuracy"]
    panel = scatters([condition])[0].panels[0]
    assert panel.specification()["layer"][0]["encoding"]["x"]["title"] == "Super-net negative cross entropy"
    assert max(panel.data["rows"]["x"]) < 0


def test_curves_over_epochs_are_medians_at_evaluated_epochs(compared):
    _, conditions, _ = compared
    panel = next(p for p in over_epochs(conditions, "kendall_tau", "Kendall tau").panels if "nasbench101" in p.title)
    rows = panel.data["rows"]
    mine = [i for i, name in enumerate(rows["series"]) if name == "baseline (5)"]
    assert [rows["x"][i] for i in mine] == [2, 4, 6, 8, 10], "epochs without an evaluation are no points"
    condition = by_label(conditions, "nasbench101 on digits")
    assert rows["y"][mine[-1]] == pytest.approx(np.median(condition.baseline.values("kendall_tau")), abs=1e-4)
    assert rows["low"][mine[-1]] <= rows["y"][mine[-1]] <= rows["high"][mine[-1]]
    free = condition.baseline.runs[0].result["baselines"]["parameters"]["kendall_tau"]
    assert panel.data["levels"]["y"] == [pytest.approx(free, abs=1e-4)]
    assert panel.note == f"Dashed: parameter count {free:.3f}."
    accuracy = over_epochs(conditions, "supernet_accuracy", "Super-net accuracy (%)", lambda v: 100 * v).panels[0]
    assert accuracy.data["levels"]["y"] == []


def test_many_curves_become_one_plot_a_factor_with_the_others_grey(tmp_path):
    for i in range(30):
        plan = json.loads(json.dumps(DEFAULTS))
        folder = write_run(tmp_path / str(i), n=20, noise=0.02 * (i + 1))
        result = json.loads((folder / "result.json").read_text())
        if i:
            name = ("protocol.learning_rate", "protocol.batch_size", "mapping.channels")[i % 3]
            part, leaf = name.split(".")
            value = 1000 + i
            plan = json.loads(json.dumps(DEFAULTS))
            plan[part][leaf] = value
            result |= {
                "heuristics": {leaf: {name: value}},
                "changed": {name: [DEFAULTS[part][leaf], value]},
                "plan": plan,
            }
        (folder / "result.json").write_text(json.dumps(result | {"run_hash": str(i)}))
    conditions, _ = conditions_of(find_runs([tmp_path]), replicates=100)
    panels = over_epochs(conditions, "kendall_tau", "Kendall tau").panels
    assert {p.group for p in panels} == {"nasbench201 on digits"}
    for panel in panels:
        shown, grey = set(panel.data["rows"]["series"]), set(panel.data["rest"]["series"])
        assert len(shown) <= 9  # eight colours, and the baseline in black
        assert "baseline (1)" in shown
        assert len(shown | grey) == 30
        (band,) = (layer for layer in panel.chart.to_dict()["layer"] if layer["mark"]["type"] == "area")
        banded = shown if len(shown) <= 6 else {"baseline (1)"}
        assert set(band["transform"][0]["filter"]["oneOf"]) == banded
        assert not shown & grey
        heights = sorted(panel.data["ends"]["y"])
        low, high = panel.specification()["layer"][3]["encoding"]["y"]["scale"]["domain"]
        assert min(np.diff(heights)) * 260 / (high - low) > 13, "names do not overlap"
    titles = [panel.title for panel in panels]
    assert len(set(titles)) == len(titles)
    assert {"batch size, 1 of 2", "batch size, 2 of 2"} <= set(titles)


def test_search_curves_are_regret_and_end_with_the_shortest(tmp_path):
    write_search(tmp_path, seed=1, evaluations=50)
    write_search(tmp_path, seed=2, evaluations=30)
    runs = find_runs([tmp_path])
    (panel,) = search_curves(runs).panels
    rows = panel.data["rows"]
    assert set(rows["series"]) == {"random search (2)"}
    assert rows["x"] == list(range(1, 31))
    best = max(run.search["incumbent_truth"].max() for run in runs)
    assert panel.title.endswith(f"best {100 * best:.2f} %, of all these searches")
    regret = [
        np.median([max(100 * (best - run.search["incumbent_truth"][i]), 0.01) for run in runs]) for i in range(30)
    ]
    assert rows["y"] == pytest.approx(regret, rel=1e-3)
    assert panel.specification()["layer"][3]["encoding"]["y"]["scale"]["type"] == "log"


def test_cost_is_passes_and_seconds(compared):
    _, conditions, _ = compared
    *_, passes, seconds = against_cost(conditions)
    for figure, expected in ((passes, 450), (seconds, 450 / 8 + 3)):
        rows = next(p for p in figure.panels if p.title == "nasbench101 on digits").data["rows"]
        assert rows["x"][rows["setting"].index("sampling: fairnas")] == pytest.approx(expected)
        assert rows["baseline"][rows["setting"].index("baseline")] is True


def test_bad_input_is_one_sentence_and_writes_nothing(tmp_path, capsys):
    out = tmp_path / "out"
    (tmp_path / "empty").mkdir()
    for folder, message in (("absent", "is no folder"), ("empty", "no runs in")):
        assert main([str(tmp_path / folder), "--out", str(out)]) == 2
        assert message in capsys.readouterr().err
    assert not out.exists()
    folder = write_run(tmp_path / "runs")
    (folder / "ranking.parquet").write_bytes(b"PAR1 cut off")
    assert main([str(tmp_path / "runs"), "--out", str(out)]) == 0, "one broken run is one listed failure"
    page = (out / "index.html").read_text()
    assert "ranking.parquet cannot be read" in page
    assert "1 failed" in capsys.readouterr().out
    (tmp_path / "file").write_text("")
    assert main([str(tmp_path / "runs"), "--out", str(tmp_path / "file")]) == 2
    assert "is a file; name a folder" in capsys.readouterr().err
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
        f"status = main([{str(tmp_path / 'study')!r}, '--out', {str(tmp_path / 'out')!r}, '--formats', 'svg']); "
        "heavy = ('torch', 'pytorch_lightning', 'sklearn', 'matplotlib'); "
        "print([m for m in heavy if m in sys.modules]); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
