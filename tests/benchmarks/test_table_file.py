import contextlib
import gc
import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nas_lightning.benchmarks import Benchmark, BenchmarkError, Column, table_file, write_table
from nas_lightning.spaces import NB201Architecture, get_space
from nas_lightning.spaces.nasbench201 import from_code

ARCHS = [from_code(code) for code in range(0, 15625, 100)]
COLUMNS = {
    "test_accuracy": np.linspace(0, 1, len(ARCHS)),
    "test_accuracy_seeds": np.random.default_rng(0).random((len(ARCHS), 2)),
    "params": np.arange(len(ARCHS)),
}


def write(path, **changes):
    return write_table(
        path,
        **{
            "space": "nasbench201",
            "dataset": "digits",
            "architectures": ARCHS,
            "columns": COLUMNS,
            "metadata": {"source": {"file": "x", "sha256": "ab"}},
            **changes,
        },
    )


@pytest.mark.parametrize("suffix", [".arrow", ".parquet"])
def test_round_trip(tmp_path, suffix):
    table = Benchmark.open(write(tmp_path / f"t{suffix}"))
    np.testing.assert_array_equal(table.accuracies(ARCHS), COLUMNS["test_accuracy"])
    np.testing.assert_array_equal(table.seed_accuracies(ARCHS), COLUMNS["test_accuracy_seeds"])
    meta = table.metadata
    assert meta["space"] == "nasbench201"
    assert meta["rows"] == len(ARCHS)
    assert meta["source"] == {"file": "x", "sha256": "ab"}
    assert meta["columns"]["digits/test_accuracy"] == {
        "quantity": "test_accuracy",
        "dataset": "digits",
        "kind": "value",
        "split": "test",
        "unit": "fraction",
    }
    assert table.sha256 == hashlib.sha256(table.path.read_bytes()).hexdigest()


def test_columns_are_views_of_the_mapped_file(tmp_path):
    path = write(tmp_path / "t.arrow")
    gc.collect()  # what other tests have left would go in the middle of this one
    before = pa.total_allocated_bytes()
    table = Benchmark.open(path)
    column = table.metric_values()
    assert not column.flags.owndata
    assert not column.flags.writeable
    assert pa.total_allocated_bytes() == before


def test_any_arrow_reader_can_read_the_file(tmp_path):
    table = pa.ipc.open_file(str(write(tmp_path / "t.arrow"))).read_all()
    assert table["architecture"].to_pylist() == [str(arch) for arch in ARCHS]
    assert pq.read_table(write(tmp_path / "t.parquet"))["digits/params"].to_pylist() == list(range(len(ARCHS)))


@pytest.mark.parametrize("suffix", [".arrow", ".parquet"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.7, 0.999])
def test_truncated_files_are_refused_in_a_sentence(tmp_path, suffix, share):
    whole = write(tmp_path / f"t{suffix}").read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(BenchmarkError, match="damaged or incomplete") as error:
        Benchmark.open(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", [".arrow", ".parquet"])
def test_changed_numbers_are_refused(tmp_path, suffix):
    """Every 97th byte is changed in turn: the file is refused, or what changed was padding."""
    path = write(tmp_path / f"t{suffix}")
    whole, refused = path.read_bytes(), 0
    for position in range(16, len(whole), 997):
        damaged = bytearray(whole)
        damaged[position] ^= 0x55
        path.write_bytes(damaged)
        table = None
        with contextlib.suppress(BenchmarkError):
            table = Benchmark.open(path)
        refused += table is None
        if table is not None:
            np.testing.assert_array_equal(table.accuracies(ARCHS), COLUMNS["test_accuracy"])
            np.testing.assert_array_equal(table.seed_accuracies(ARCHS), COLUMNS["test_accuracy_seeds"])
    assert refused > len(whole) / 997 * 0.6


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "foreign.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, pa.schema([("a", pa.int64())])) as writer:
        writer.write_table(pa.table({"a": [1]}))
    with pytest.raises(BenchmarkError, match="no table of this project"):
        Benchmark.open(path)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "foreign.parquet")
    with pytest.raises(BenchmarkError, match="no layout that this project knows"):
        Benchmark.open(tmp_path / "foreign.parquet")
    with pytest.raises(BenchmarkError, match="does not exist"):
        Benchmark.open(tmp_path / "absent.arrow")


def test_another_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(table_file, "VERSION", 99)
    path = write(tmp_path / "t.arrow")
    monkeypatch.undo()
    with pytest.raises(BenchmarkError, match="version 99"):
        Benchmark.open(path)


def test_large_files_are_checked_by_verify(tmp_path, monkeypatch):
    path = write(tmp_path / "t.arrow")
    whole = path.read_bytes()
    mark = np.float64(COLUMNS["test_accuracy"][100]).tobytes()
    path.write_bytes(whole.replace(mark, b"\0" * 8, 1))
    monkeypatch.setattr(table_file, "CHECKED_AT_OPEN", 0)
    table, header = table_file.read_table(path)
    with pytest.raises(BenchmarkError, match="digits/test_accuracy"):
        table_file.verify_columns(path, table, header)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_interrupted_writing_leaves_nothing(tmp_path, monkeypatch, error):
    path = write(tmp_path / "t.arrow")
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(pa.ipc, "new_file", fail)
    for name in ("t.arrow", "new.arrow"):
        with pytest.raises((KeyboardInterrupt, OSError)):
            write(tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["t.arrow"]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": []}, "at least one"),
        ({"columns": {"test_accuracy": np.full(len(ARCHS), 93.0)}}, "divide percents by 100"),
        ({"columns": {"test_accuracy": np.full(len(ARCHS), -0.1)}}, "fractions"),
        ({"columns": {"test_accuracy": [0.5]}}, "shape"),
        ({"columns": {"test_accuracy_seeds": np.zeros(len(ARCHS))}}, "shape"),
        ({"columns": {"test_accuracy": ["a"] * len(ARCHS)}}, "numbers are expected"),
        ({"columns": {"test accuracy!": np.zeros(len(ARCHS))}}, "no column name"),
        ({"columns": [Column(np.zeros(len(ARCHS)), "params"), Column(np.zeros(len(ARCHS)), "params")]}, "two columns"),
        ({"architectures": [*ARCHS[:-1], get_space("nasbench101").parse("0100:input,output")]}, "no architecture of"),
        ({"space": "darts_nds"}, "no architecture of darts_nds"),
        ({"metadata": {"rows": 3}}, "may not set rows"),
    ],
)
def test_wrong_tables_are_not_written(tmp_path, changes, message):
    with pytest.raises(BenchmarkError, match=message):
        write(tmp_path / "t.arrow", **changes)
    assert list(tmp_path.iterdir()) == []


def test_suffix_decides_the_form(tmp_path):
    with pytest.raises(BenchmarkError, match="must end in"):
        write(tmp_path / "t.csv")


def test_runs_of_unequal_number_are_padded(tmp_path):
    path = write_table(
        tmp_path / "t.arrow",
        space="nasbench201",
        dataset="digits",
        architectures=ARCHS[:3],
        columns={"test_accuracy_seeds": [[0.1, 0.2], [0.3], None]},
    )
    table = Benchmark.open(path)
    np.testing.assert_array_equal(table.seed_accuracies(ARCHS[:3]), [[0.1, 0.2], [0.3, np.nan], [np.nan, np.nan]])
    np.testing.assert_allclose(table.accuracies(ARCHS[:3]), [0.15, 0.3, np.nan])


def test_strings_are_taken_as_architectures(tmp_path):
    path = write_table(
        tmp_path / "t.arrow",
        space="nasbench201",
        dataset="digits",
        architectures=[str(NB201Architecture((1,) * 6))],
        columns={"test_accuracy": [1.0]},
    )
    assert Benchmark.open(path).architectures() == [NB201Architecture((1,) * 6)]
