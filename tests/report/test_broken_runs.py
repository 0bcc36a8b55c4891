"""One odd run is one listed failure: every field of a result.json replaced, files damaged, names hostile."""

import copy
import itertools
import json
import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nas_lightning.report.__main__ import main
from nas_lightning.report.figures import all_figures
from nas_lightning.report.gap import gaps
from nas_lightning.report.misranked import misranked
from nas_lightning.report.page import render
from nas_lightning.report.study import conditions_of
from nas_lightning.runs.reading import checked, find_runs
from tests.helpers.run_folders import write_evaluation, write_run, write_search

pytestmark = pytest.mark.slow

CASES = int(os.environ.get("NAS_LIGHTNING_FUZZ", "12"))
"""Changes of each kind of run; the whole product has some thousand."""
ODD = (None, 7, -1.5, "text", "", [], [1, 2], {}, {"a": 1}, True, 10**400, "\ud800", "<!--<script>")


def paths_of(value, depth=0):
    """Every key of a nested dictionary, as a path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (key,)
            yield from ((key, *rest) for rest in paths_of(inner, depth + 1))


def replaced(result, path, value):
    changed = copy.deepcopy(result)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


def whole_page(root):
    runs = [checked(run) for run in find_runs([root])]
    conditions, remarks = conditions_of(runs, 100)
    drawn = [*all_figures(conditions, runs), misranked(conditions, runs)[0]]
    return render(conditions, runs, drawn, remarks, gaps=gaps(conditions))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two good runs and one of each kind, the results of which are changed."""
    root = tmp_path_factory.mktemp("study")
    write_run(root, seed=1, n=12)
    write_run(root, seed=1, n=12, changes={"sampling": "fairnas"})
    return root


@pytest.mark.parametrize("kind", ["train", "evaluation", "search"])
def test_every_field_replaced_by_every_odd_value_leaves_a_page(study, tmp_path, monkeypatch, kind):
    monkeypatch.setattr("nas_lightning.report.page.charts_script", lambda: "")
    monkeypatch.setattr("nas_lightning.report.study.hierarchical_bootstrap", lambda *a, **k: NO_DIFFERENCE)
    root = tmp_path / "runs"
    shutil.copytree(study, root)
    if kind == "train":
        victim = write_run(root, seed=2, n=12, changes={"channels": "16"})
    else:
        victim = write_evaluation(root, n=12) if kind == "evaluation" else write_search(root, evaluations=5)
    result = json.loads((victim / "result.json").read_text())
    rng = np.random.default_rng(0)
    every = list(itertools.product(paths_of(result), ODD))
    chosen = [every[i] for i in rng.choice(len(every), min(CASES, len(every)), replace=False)]
    for path, value in chosen:
        (victim / "result.json").write_text(json.dumps(replaced(result, path, value)))
        try:
            whole_page(root).encode()
        except Exception as error:
            raise AssertionError(f"{'.'.join(path)} = {value!r:.40}") from error


class NO_DIFFERENCE:
    estimate = low = high = p = float("nan")
    n_seeds, n_architectures = 1, 12


def damage(folder):
    """Files beside result.json that cannot be used, each with what the page says of it."""
    table = pq.read_table(folder / "ranking.parquet").to_pydict()

    def parquet(**columns):
        return lambda: pq.write_table(pa.table({**table, **columns}), folder / "ranking.parquet")

    n = len(table["architecture"])
    yield "holds an infinite score", parquet(supernet_accuracy=[np.inf] * n)
    yield "accuracy outside 0 to 1", parquet(standalone_accuracy=[93.0] * n)
    yield "names an architecture twice", parquet(architecture=["same"] * n)
    missing = {k: v for k, v in table.items() if k != "supernet_accuracy"}
    yield "lacks a column", lambda: pq.write_table(pa.table(missing), folder / "ranking.parquet")
    yield "cannot be read", parquet(supernet_accuracy=["a"] * n)
    yield "is nested too deeply", lambda: (folder / "result.json").write_text("[" * 100_000)
    yield "is no CSV file", lambda: (folder / "metrics.csv").write_bytes(b"epoch,\xff\n1,2\n")
    yield "is no JSON", lambda: (folder / "timings.json").write_text("{")
    yield "has schema version None", lambda: (folder / "result.json").write_text("{}")


def test_damaged_files_beside_the_result_are_listed_with_their_reason(tmp_path, monkeypatch):
    monkeypatch.setattr("nas_lightning.report.page.charts_script", lambda: "")
    write_run(tmp_path / "runs", seed=1, n=12)
    folder = write_run(tmp_path / "runs", seed=2, n=12)
    kept = tmp_path / "kept"
    shutil.copytree(folder, kept)
    for message, spoil in damage(folder):
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)
        spoil()
        page = whole_page(tmp_path / "runs")
        assert message in page.replace("&#x27;", "'"), message
        assert "<b>1</b><span>failed</span>" in page


def test_hostile_names_are_shown_and_end_nothing(tmp_path):
    for seed in (1, 2):
        folder = write_run(tmp_path / "runs", seed=seed, n=12, dataset="<!--<script>\ud800\x00")
        result = json.loads((folder / "result.json").read_text()) | {"study": "s" * 260}
        (folder / "result.json").write_text(json.dumps(result))
    assert (
        main([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--replicates", "100", "--formats", "none"]) == 0
    )
    page = (tmp_path / "out" / "index.html").read_text()
    assert "nasbench201 on &lt;!--&lt;script&gt;\ufffd\ufffd" in page
    assert "<!--<script>" not in page
    assert page.count("<script") == page.count("</script>") == 3


def test_equal_runs_give_equal_bytes_wherever_an_archive_is_unpacked(tmp_path, monkeypatch):
    from nas_lightning.runs.archive import pack

    for seed in (1, 2):
        write_run(tmp_path / "runs", seed=seed, n=12)
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "error.txt").write_text("RuntimeError: no\n")
    pack(tmp_path / "runs", tmp_path / "study.tar.xz")
    monkeypatch.chdir(tmp_path)
    pages = []
    for place in ("one", "other"):
        (tmp_path / place).mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / place))
        given = ["study.tar.xz", "--out", f"out-{place}", "--replicates", "100", "--formats", "none"]
        assert main(given) == 0
        assert not list((tmp_path / place).iterdir()), "the temporary folder is gone"
        pages.append((tmp_path / f"out-{place}" / "index.html").read_bytes())
    assert pages[0] == pages[1]
    assert b"study.tar.xz/broken" in pages[0]
    assert str(tmp_path).encode() not in pages[0]


def test_an_archive_beyond_the_limits_is_refused(tmp_path, monkeypatch, capsys):
    import tarfile

    from nas_lightning.runs import archive

    write_run(tmp_path / "runs", n=12)
    with tarfile.open(tmp_path / "runs.tar.gz", "w:gz") as packed:
        packed.add(tmp_path / "runs", "runs")
    for limit, value, message in (
        ("MOST_FILES", 2, "holds more than"),
        ("MOST_BYTES", 100, "holds more than"),
        ("DEEPEST", 1, "nested more than"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(archive, limit, value)
            assert main([str(tmp_path / "runs.tar.gz"), "--out", str(tmp_path / "out")]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob("nas-lightning-report-*"))
