"""What a learned distribution went through, drawn from the numbers of its runs; in archives, and when damaged."""

import csv
import json

import pytest

from nas_lightning.report.derived import derived_architectures, operation_weights
from nas_lightning.report.figure import picture
from nas_lightning.report.study import conditions_of
from nas_lightning.runs.archive import pack, unpacked
from nas_lightning.runs.reading import checked, find_runs
from tests.helpers.run_folders import write_run

EDGES, OPERATIONS = [("0", "1"), ("0", "2"), ("1", "2")], ["none", "skip_connect"]


def learned(root, name, seed, skips, cells=("cell",), rate=0.01):
    """A run of the distribution `name` with one number of skips an epoch; operation k has weight (k + 1) / epoch."""
    rows = [
        {"epoch": i + 1, "architecture": "a", "accuracy": 0.9, "rank": 3, "skips": n, "entropy": 1.5 - 0.1 * i}
        for i, n in enumerate(skips)
    ]
    settings = {"distribution": name, "learning_rate": rate, "portion": 0.5}
    folder = write_run(
        root / f"{name}{seed}{rate}",
        seed=seed,
        run_hash=f"{name}{seed}{rate}",
        heuristics={"distribution": settings},
        derived={"distribution": name, **rows[-1], "epochs": rows},
    )
    with (folder / "distribution.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["epoch", "cell", "source", "target", "operation", "weight"])
        for epoch in range(1, len(skips) + 1):
            for cell in cells:
                for source, target in EDGES:
                    for k, operation in enumerate(OPERATIONS):
                        writer.writerow([epoch, cell, source, target, operation, (k + 1) / epoch])
    return folder


@pytest.fixture
def study(tmp_path):
    root = tmp_path / "study"
    for seed, skips in ((1, [0, 2, 6]), (2, [1, 4, 6]), (3, [2, 3, 5])):
        learned(root, "darts", seed, skips)
    learned(root, "gdas", 1, [1, 1, 0], cells=("normal", "reduce"))
    write_run(root, seed=1)
    return root


def drawn(root):
    return conditions_of(find_runs([root]))[0]


def test_derived_architectures_are_medians_over_seeds_with_their_range(study):
    panels = derived_architectures(drawn(study)).panels
    assert len(panels) == 3  # skips, accuracy, entropy
    rows = panels[0].data["rows"]
    by_name = {}
    for name, x, y, low, high in zip(*(rows[c] for c in ("series", "x", "y", "low", "high")), strict=True):
        by_name.setdefault(name, []).append((x, y, low, high))
    assert by_name["distribution: darts (3)"] == [(1, 1, 0, 2), (2, 3, 2, 4), (3, 6, 5, 6)]
    assert by_name["distribution: gdas (1)"] == [(1, 1, 1, 1), (2, 1, 1, 1), (3, 0, 0, 0)]
    assert set(panels[1].data["rows"]["y"]) == {90.0}  # in percent, as its axis says


def test_every_run_has_its_weights_an_edge(study):
    figure = operation_weights(drawn(study))
    assert [panel.choice for panel in figure.panels] == [f"distribution: darts, seed {s}" for s in (1, 2, 3)] + [
        "distribution: gdas, seed 1"
    ]
    rows = figure.panels[0].data["rows"]
    assert rows["edge"][:5] == ["0 → 1", "0 → 1", "0 → 2", "0 → 2", "1 → 2"]
    assert [y for y, x, o in zip(rows["y"], rows["x"], rows["operation"], strict=True) if (x, o) == (2, "none")] == [
        0.5
    ] * 3
    assert set(figure.panels[3].data["rows"]["edge"]) == {
        f"{c} {i} → {j}" for c in ("normal", "reduce") for i, j in EDGES
    }
    assert picture(figure)["facet"]["field"] == "edge"


def test_settings_of_one_distribution_are_told_apart_by_what_differs(study):
    learned(study, "darts", 1, [0, 0, 0], rate=0.1)
    names = {setting.name for condition in drawn(study) for setting in condition.settings}
    assert names == {
        "baseline",
        "distribution: darts, learning_rate=0.01",
        "distribution: darts, learning_rate=0.1",
        "distribution: gdas",
    }


def test_an_archive_holds_them(study, tmp_path):
    pack(study, tmp_path / "study.tar.xz")
    with unpacked([tmp_path / "study.tar.xz"]) as folders:
        assert len(operation_weights(conditions_of(find_runs(folders))[0]).panels) == 4


@pytest.mark.parametrize(
    "content",
    ["epoch,cell\n1,a\n", "epoch,cell,source,target,operation,weight\n1,a,0,1,none,x\n", "epoch,cell\n\ud800,a\n"],
)
def test_damaged_weights_are_one_listed_failure(study, content):
    (run,) = [r for r in find_runs([study]) if r.seed == 2]
    (run.path / "distribution.csv").write_text(content, errors="surrogatepass")
    (found,) = [checked(r) for r in find_runs([study]) if r.seed == 2]
    assert found.status == "failed"
    assert "distribution.csv" in found.reason


@pytest.mark.parametrize("epochs", [None, 3, [3], [{"epoch": "x"}], {}])
def test_a_result_without_rows_has_no_panel(tmp_path, epochs):
    folder = learned(tmp_path, "darts", 1, [0, 1])
    (folder / "distribution.csv").unlink()
    result = json.loads((folder / "result.json").read_text())
    result["derived"]["epochs"] = epochs
    (folder / "result.json").write_text(json.dumps(result))
    assert not derived_architectures(drawn(tmp_path)).panels
    assert not operation_weights(drawn(tmp_path)).panels
