"""Names, folders, the cache and the command line."""

import os
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from nas_lightning.benchmarks import Benchmark, BenchmarkError, locate, write_table
from nas_lightning.benchmarks import __main__ as command
from nas_lightning.benchmarks.registry import KNOWN
from nas_lightning.spaces.nasbench201 import from_code


@pytest.fixture
def folder(tmp_path):
    archs = [from_code(code) for code in range(10)]
    for name in ("mine.arrow", "yours.parquet"):
        write_table(
            tmp_path / "data" / name,
            space="nasbench201",
            dataset="digits",
            architectures=archs,
            columns={"test_accuracy": np.linspace(0, 1, 10)},
        )
    return tmp_path / "data"


def test_names_are_found_in_the_data_folder(folder, monkeypatch):
    assert len(Benchmark.open("mine", root=folder)) == 10
    assert len(Benchmark.open("mine", root=folder.parent / "data")) == 10
    monkeypatch.setenv("NAS_LIGHTNING_DATA", str(folder))
    monkeypatch.delenv("NAS_LIGHTNING_BENCHMARKS", raising=False)
    assert len(Benchmark.open("yours")) == 10
    monkeypatch.setenv("NAS_LIGHTNING_BENCHMARKS", str(folder))  # goes before the folder of images
    monkeypatch.setenv("NAS_LIGHTNING_DATA", str(folder.parent / "images"))
    assert len(Benchmark.open("yours")) == 10


def test_names_are_found_in_its_benchmarks_folder(folder):
    folder.rename(folder.parent / "benchmarks")
    assert len(Benchmark.open("mine", root=folder.parent)) == 10


def test_a_missing_table_is_told_what_to_put_where(folder):
    with pytest.raises(BenchmarkError, match=r"put nasbench201\.arrow or nasbench201\.parquet into") as error:
        Benchmark.open("nasbench201", root=folder)
    assert str(folder) in str(error.value)
    assert "info nasbench201" in str(error.value)


def test_embedded_tables_open_by_name():
    for name in locate.embedded_names():
        table = Benchmark.open(name)
        assert len(table) >= 200
        assert table.space in name
        assert table.seed_accuracies(table.sample(5, 0)) is not None
        assert np.isfinite(table.accuracies(table.architectures())).all()


def test_a_known_layout_is_converted_once(shared, own_cache, tmp_path):
    source = shared("darts_random214_cifar10.parquet")
    first = Benchmark.open(source)
    stamp = first.path.stat().st_mtime_ns
    assert first.path.parent == own_cache
    assert Benchmark.open(source).path.stat().st_mtime_ns == stamp
    assert first.sha256 == locate.sha256_of(first.path)
    first.path.write_bytes(first.path.read_bytes()[:1000])  # a damaged cache entry is made again
    assert len(Benchmark.open(source)) == 214


def test_a_table_of_a_known_layout_that_is_not_whole(shared, tmp_path):
    whole = pq.read_table(shared("darts_random214_cifar10.parquet"))
    texts = whole["genotype"].to_pylist()
    broken = whole.set_column(0, "genotype", [["Genotype(normal=[])", *texts[1:]]])
    pq.write_table(broken, tmp_path / "t.parquet")
    with pytest.raises(BenchmarkError, match="looks like a darts_random214_cifar10 table but is not whole"):
        Benchmark.open(tmp_path / "t.parquet")


def test_an_unwritable_cache_is_told(shared, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NAS_LIGHTNING_CACHE", str(tmp_path / "file"))
    with pytest.raises(BenchmarkError, match="NAS_LIGHTNING_CACHE"):
        Benchmark.open(shared("darts_random214_cifar10.parquet"))


def test_cache_folder_follows_the_platform(monkeypatch, tmp_path):
    monkeypatch.delenv("NAS_LIGHTNING_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert locate.cache_folder() == tmp_path / "nas_lightning"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert locate.cache_folder().parts[-3:] == ("Library", "Caches", "nas_lightning")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert locate.cache_folder() == tmp_path / "nas_lightning" / "Cache"


def test_list_and_info(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    assert command.main(["list", "--root", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "mine" in out
    assert "yours" in out
    assert "nasbench_full.tfrecord" in out
    for name in KNOWN:
        assert command.main(["info", name, "--root", str(folder)]) == 0
    assert KNOWN["nasbench101_full"].sha256 in capsys.readouterr().out
    assert command.main(["info", "mine", "--root", str(folder)]) == 0
    assert "10 architectures of nasbench201" in capsys.readouterr().out
    assert command.main(["info", "nothing", "--root", str(folder)]) == 1
    assert capsys.readouterr().err.startswith("error: there is no table nothing")


def test_verify(folder, capsys):
    assert command.main(["verify", str(folder / "mine.arrow")]) == 0
    assert "all checksums match" in capsys.readouterr().out
    assert command.main(["verify", "yours", "--root", str(folder)]) == 0
    official = folder / "nasbench_only108.tfrecord"
    official.write_bytes(b"something else")
    assert command.main(["verify", str(official)]) == 1
    assert KNOWN["nasbench101"].sha256 in capsys.readouterr().err
    assert command.main(["verify", str(official), "--sha256", locate.sha256_of(official)]) == 0
    other = folder / "other.pth"
    other.write_bytes(b"x")
    assert command.main(["verify", str(other)]) == 0
    assert "no published checksum" in capsys.readouterr().out
    cut = folder / "cut.arrow"
    cut.write_bytes((folder / "mine.arrow").read_bytes()[:500])
    assert command.main(["verify", str(cut)]) == 1
    assert "damaged" in capsys.readouterr().err


def test_convert_from_the_command_line(folder, capsys):
    source = folder / "t.csv"
    source.write_text("".join(["architecture,acc\n", *(f"{from_code(code)},{code}\n" for code in range(20))]))
    out = folder / "t.arrow"
    call = ["convert", "table", str(source), str(out), "--space", "nasbench201", "--dataset", "mine"]
    assert command.main([*call, "--column", "test_accuracy=acc:percent"]) == 0
    np.testing.assert_allclose(Benchmark.open(out).accuracies([from_code(3)]), [0.03])
    assert command.main([*call, "--column", "test_accuracy"]) == 1
    assert command.main(["convert", "table", str(source), str(folder / "t.txt")]) == 1
    assert command.main(["convert", "nats", str(folder / "absent"), str(out)]) == 1
    assert command.main(["convert", "nds", str(folder), str(out)]) == 1
    err = capsys.readouterr().err
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 4


def test_an_interrupted_conversion_exits_with_130_and_leaves_nothing(folder, monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "convert", interrupted)
    assert command.main(["convert", "nds", "a", "b"]) == 130
    assert "nothing was written" in capsys.readouterr().err


def test_the_module_runs(folder):
    done = subprocess.run(
        [sys.executable, "-m", "nas_lightning.benchmarks", "info", "mine"],
        capture_output=True,
        text=True,
        env={**os.environ, "NAS_LIGHTNING_DATA": str(folder), "COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stderr
    assert "digits/test_accuracy" in done.stdout
