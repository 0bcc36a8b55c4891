"""NDS files, genotype lists and mapped columns."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nas_lightning.benchmarks import Benchmark, BenchmarkError
from nas_lightning.benchmarks.convert.command import convert
from nas_lightning.spaces import get_space

DARTS = get_space("darts_nds")


def genotype(arch):
    cells = [
        [[DARTS.operations[op], source] for node in cell for op, source in node] for cell in (arch.normal, arch.reduce)
    ]
    return {"normal": cells[0], "normal_concat": [2, 3, 4, 5], "reduce": cells[1], "reduce_concat": [2, 3, 4, 5]}


def entry(arch, width, depth, error, lr=0.1):
    return {
        "net": {"genotype": genotype(arch), "width": width, "depth": depth, "aux": False},
        "params": 1000 * width,
        "flops": 5000 * width,
        "optim": {"base_lr": lr, "wd": 5e-4, "max_ep": 3},
        "rng_seed": 1,
        "iter_time": 0.1,
        "train_ep_top1": [60.0, 20.0, 5.0],
        "test_ep_top1": [50.0, 8.0, error],
        "min_test_top1": min(8.0, error),
    }


@pytest.fixture
def archs():
    rng = np.random.default_rng(0)
    return [DARTS.sample(rng) for _ in range(4)]


def test_fixed_width_and_depth(tmp_path, archs):
    source = tmp_path / "DARTS_fix-w-d.json"
    source.write_text(json.dumps([entry(arch, 16, 20, 6.0 + i) for i, arch in enumerate([*archs, archs[0]])]))
    table = Benchmark.open(convert("nds", source, tmp_path / "t.arrow"))
    np.testing.assert_allclose(table.accuracies(archs), [0.94, 0.93, 0.92, 0.91])
    assert table.values("duplicate").tolist() == [0, 0, 0, 0, 1]
    np.testing.assert_allclose(table.curves(archs[:1])[0], [0.5, 0.92, 0.94], rtol=1e-6)
    np.testing.assert_allclose(table.values("best_epoch_test_accuracy", archs[3:]), [0.92])
    assert table.params(archs).tolist() == [16000] * 4
    assert table.metadata["nds_file"] == "DARTS_fix-w-d"
    assert table.metadata["varying"] == []
    assert table.dataset == "cifar10"


def test_mixed_files_must_be_narrowed(tmp_path, archs):
    source = tmp_path / "DARTS_in.json"
    source.write_text(
        json.dumps(
            {"top": [entry(archs[0], 16, 8, 5.0), entry(archs[1], 32, 8, 6.0)], "mid": [entry(archs[2], 32, 14, 7.0)]}
        )
    )
    out = convert("nds", source, tmp_path / "t.arrow")
    with pytest.raises(BenchmarkError, match="different width"):
        Benchmark.open(out)
    with pytest.raises(BenchmarkError, match="different depth"):
        Benchmark.open(out, where={"width": 32})
    table = Benchmark.open(out, where={"width": 32, "depth": 14})
    assert table.dataset == "imagenet"
    np.testing.assert_array_equal(table.accuracies(archs[:3]), [np.nan, np.nan, 1 - 7.0 / 100])
    assert table.metadata["parts"] == {"top": 2, "mid": 1}


@pytest.mark.parametrize("text", ["", "[]", "{}", "[1]", '[{"net": {}}]', '{"top": []}', "\x00"])
def test_other_json_is_refused(tmp_path, text):
    source = tmp_path / "x.json"
    source.write_text(text)
    with pytest.raises(BenchmarkError, match=r"no NDS file|no networks"):
        convert("nds", source, tmp_path / "t.arrow")
    assert not (tmp_path / "t.arrow").exists()


@pytest.mark.parametrize("form", ["json list", "json mapping", "json text", "csv"])
def test_genotype_lists(tmp_path, archs, form):
    source = tmp_path / ("g.csv" if form == "csv" else "g.json")
    if form == "csv":
        source.write_text("genotype,val\n" + "".join(f'"{arch}",{90 + i}\n' for i, arch in enumerate(archs)))
    else:
        records = [
            {"arch": str(arch) if form == "json text" else genotype(arch), "val": 90 + i}
            for i, arch in enumerate(archs)
        ]
        source.write_text(json.dumps({str(i): r for i, r in enumerate(records)} if "mapping" in form else records))
    out = convert(
        "genotypes", source, tmp_path / "t.parquet", accuracy="val", percent=True, metric="validation_accuracy"
    )
    table = Benchmark.open(out)
    np.testing.assert_allclose(table.accuracies(archs, "validation_accuracy"), [0.9, 0.91, 0.92, 0.93])
    with pytest.raises(BenchmarkError, match="no column other; it has"):
        convert("genotypes", source, tmp_path / "u.parquet", accuracy="other")


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json"])
@pytest.mark.parametrize("name", ["nasbench101", "nasbench201", "darts_nds"])
def test_mapped_columns(tmp_path, name, suffix):
    space, rng = get_space(name), np.random.default_rng(0)
    archs = list({space.key(a): a for a in (space.sample(rng) for _ in range(20))}.values())[:5]
    data = {"cell": [str(a) for a in archs], "acc": [10.0, 20.0, 30.0, 40.0, None], "mb": [1.0, 2, 3, 4, 5]}
    source = tmp_path / f"t{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table(data), source)
    elif suffix == ".json":
        source.write_text(json.dumps([dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)]))
    else:
        rows = zip(*data.values(), strict=True)
        source.write_text("cell,acc,mb\n" + "".join(f'"{c}",{"" if a is None else a},{m}\n' for c, a, m in rows))
    out = convert(
        "table",
        source,
        tmp_path / "out.arrow",
        space=name,
        dataset="mine",
        architecture="cell",
        columns={"test_accuracy@7": "acc:percent", "memory_mb": "mb"},
    )
    table = Benchmark.open(out, space=name)
    np.testing.assert_allclose(table.accuracies(archs), [0.1, 0.2, 0.3, 0.4, np.nan])
    assert table.values("memory_mb", archs).tolist() == [1, 2, 3, 4, 5]
    assert table.epochs() == (7,)
    assert table.dataset == "mine"


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        ("cell,acc\n", {"test_accuracy": "acc"}, "no rows"),
        ("cell,acc\nnonsense,1\n", {"test_accuracy": "acc"}, "row 1 of"),
        ("cell,acc\n|none~0|+|none~0|none~1|+|none~0|none~1|none~2|,high\n", {"test_accuracy": "acc"}, "no number"),
        (
            "cell,acc\n|none~0|+|none~0|none~1|+|none~0|none~1|none~2|,93\n",
            {"test_accuracy": "acc"},
            "test_accuracy=acc:percent",
        ),
        (
            "cell,acc\n|none~0|+|none~0|none~1|+|none~0|none~1|none~2|,93\n",
            {"test_accuracy": "acc:permille"},
            "no unit",
        ),
        ("cell,acc\n|none~0|+|none~0|none~1|+|none~0|none~1|none~2|,93\n", {"test_accuracy": "b"}, "no column b"),
        ("cell,acc\n|none~0|+|none~0|none~1|+|none~0|none~1|none~2|,93\n", {}, "no column of"),
        ("cell,acc\na\n", {"test_accuracy": "acc"}, "more or fewer fields"),
        ("x,acc\na,1\n", {"test_accuracy": "acc"}, "no column cell"),
    ],
)
def test_wrong_mappings_are_refused(tmp_path, content, columns, message):
    source = tmp_path / "t.csv"
    source.write_text(content)
    with pytest.raises(BenchmarkError, match=message):
        convert("table", source, tmp_path / "out.arrow", space="nasbench201", architecture="cell", columns=columns)
    assert not (tmp_path / "out.arrow").exists()


CELLS = ["|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", "|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|"]


def converted(tmp_path, content, **options):
    (tmp_path / "t.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    given = {"space": "nasbench201", "columns": {"test_accuracy": "acc"}, **options}
    return Benchmark.open(convert("table", tmp_path / "t.csv", tmp_path / "t.arrow", **given))


def test_a_spreadsheets_csv_is_read(tmp_path):
    """A byte-order mark, spaces after commas, percent signs."""
    content = f"\ufeffarchitecture, acc\r\n{CELLS[0]}, 93.1%\r\n {CELLS[1]} , 50 %\r\n"
    np.testing.assert_allclose(converted(tmp_path, content).accuracies(CELLS), [0.931, 0.5])


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (
            f"architecture,acc\n{CELLS[0]},0.931\n{CELLS[1]},0.7\n{CELLS[0]},0.50\n",
            {},
            "rows 1 and 3 .* --seeds",
        ),
        (f"architecture,acc,acc\n{CELLS[0]},0.931,0.5\n", {}, "two columns are named 'acc'"),
        (f"architecture,acc, acc \n{CELLS[0]},0.931,0.5\n", {}, "two columns are named 'acc'"),
        (f"architecture,acc\n{CELLS[0]},0.931\n{CELLS[1]},\n", {}, "row 2 .* no number"),
        (f"architecture,acc\n{CELLS[0]},93.1%\n{CELLS[1]},0.5\n", {}, "percents and some are not"),
        (f"architecture,acc\n{CELLS[0]},93.1\n{CELLS[1]},50\n", {}, "test_accuracy=acc:percent"),
        (f"architecture,acc\n{CELLS[0]},0.931\n", {"columns": {"test_accuracy": "acc:percent"}}, "fractions already"),
        (f"architecture,acc\n{CELLS[0]},inf\n", {}, "infinite"),
        (f"architecture,acc\n{CELLS[0]},-0.1\n", {}, "from 0 to 1"),
        (f"architecture,acc\n{CELLS[0]},-3\n", {"columns": {"train_seconds": "acc"}}, "not negative"),
        (f"architecture,acc\n{CELLS[0]},inf\n", {"columns": {"macs": "acc"}}, "infinite"),
        (f"architecture,acc\n{CELLS[0]},1\n{CELLS[0]},2\n", {"columns": {"params": "acc"}, "seeds": True}, "differs"),
    ],
)
def test_what_is_ambiguous_or_cannot_be_is_refused(tmp_path, content, options, message):
    with pytest.raises(BenchmarkError, match=message) as refusal:
        converted(tmp_path, content, **options)
    assert len(str(refusal.value)) < 300
    assert not (tmp_path / "t.arrow").exists()


def test_repeated_trainings_are_kept_apart_when_asked(tmp_path):
    rows = [(CELLS[0], 0.9, 7), (CELLS[1], 0.7, 8), (CELLS[0], 0.5, 7)]
    content = "architecture,acc,params\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows)
    table = converted(tmp_path, content, seeds=True, columns={"test_accuracy": "acc", "params": "params"})
    np.testing.assert_allclose(table.accuracies(CELLS), [0.7, 0.7])
    np.testing.assert_array_equal(table.seed_accuracies(CELLS), [[0.9, 0.5], [0.7, np.nan]])
    assert table.params(CELLS).tolist() == [7, 8]


def test_a_json_object_with_one_key_twice_is_refused(tmp_path):
    one = '{"test_acc": [90, 91, 92], "params": 1, "flops": 2}'
    (tmp_path / "m.json").write_text(f'{{"00000000": {one}, "00000000": {one}}}')
    with pytest.raises(BenchmarkError, match="twice"):
        convert("macro", tmp_path / "m.json", tmp_path / "t.arrow")


def test_data_set_names_are_written_in_one_way(tmp_path):
    content = f"architecture,acc\n{CELLS[0]},0.9\n"
    assert converted(tmp_path, content, dataset="CIFAR10").datasets == ("cifar10",)
    assert converted(tmp_path, content, dataset="ImageNet16-120").datasets == ("imagenet16_120",)
    assert converted(tmp_path, content, dataset="MyImages").datasets == ("MyImages",)
