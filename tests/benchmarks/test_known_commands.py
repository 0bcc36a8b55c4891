"""`info` names no command that does not work: the words of every entry are typed, on a small or shared file."""

import json
import shlex
import shutil

import numpy as np
import pytest

from nas_lightning.benchmarks import Benchmark
from nas_lightning.benchmarks.__main__ import main
from nas_lightning.benchmarks.registry import KNOWN
from nas_lightning.spaces import get_space
from tests.benchmarks import test_convert_lists as lists
from tests.benchmarks import test_convert_more as more
from tests.benchmarks import test_convert_nasbench101 as nb101
from tests.benchmarks import test_convert_nasbench201 as nb201

SUITE = {
    "nasbench101": "(0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 4, 1)",
    "nasbench201": "(0, 2, 3, 2, 3, 1)",
    "darts_nds": str((((0, 0), (1, 5), (1, 1), (0, 1), (1, 3), (0, 3), (1, 3), (3, 2)),) * 2),
    "transnasbench101_micro": "(1, 0, 0, 2, 1, 0)",
    "transnasbench101_macro": "(1, 2, 4, 2, 0, 0)",
}
DARTS = get_space("darts_nds")


def darts(count=3):
    rng = np.random.default_rng(0)
    return [DARTS.sample(rng) for _ in range(count)]


def make(name, kind, source, shared):
    """Put a small official file, or the shared one, at `source`."""
    source.parent.mkdir(parents=True, exist_ok=True)
    if kind == "nasbench101":
        space, rng = get_space("nasbench101"), np.random.default_rng(0)
        cells = [space.sample_unique(rng) for _ in range(3)]
        source.write_bytes(b"".join(nb101.frame(nb101.record(cell, 108, 0.9)) for cell in cells for _ in range(3)))
    elif kind == "nats":
        made = nb201.write_nats(source.parent) if source.suffix else nb201.write_folder(source.parent)
        assert made == source
    elif kind == "nasbench201":
        nb201.write_old(source.parent, True).rename(source)
    elif kind == "nds":
        source.write_text(json.dumps([lists.entry(arch, 16, 8, 6.0) for arch in darts()]))
    elif kind == "nasbench301":
        assert more.write_301(source.parent, darts()) == source
    elif kind == "darts214":
        more.write_214(source.parent, darts())
    elif kind == "hw_nas_bench":
        more.write_hardware(source.parent)
    elif kind == "nasbench360":
        more.write_360(source.parent, "ninapro" if "daa55" in source.name else "darcyflow", 1.0, source.name)
    elif kind == "macro":
        record = {"test_acc": [90.0, 91.0, 92.0], "mean_acc": 91.0, "std": 1.0, "params": 10, "flops": 20}
        source.write_text(json.dumps({"01201201": record, "11111111": record}))
    elif kind == "suite_zero":
        record = {"val_accuracy": 50.0, "synflow": {"score": 1.0, "time": 0.1}}
        source.write_text(json.dumps({data: {SUITE[KNOWN[name].space]: record} for data in KNOWN[name].datasets}))
    else:
        assert kind == "import", f"nothing here makes a file of format {kind}"
        shutil.copy(shared(source.name), source)


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_the_command_that_info_names(name, shared, tmp_path, monkeypatch, capsys):
    words = shlex.split(KNOWN[name].convert)
    kind, source, out = words[0], tmp_path / words[1], words[2]
    make(name, kind, source, shared)
    monkeypatch.chdir(tmp_path)
    assert main(["convert", *words]) == 0, capsys.readouterr().err
    table = Benchmark.open(tmp_path / out)
    assert table.space == KNOWN[name].space
    assert set(table.datasets) <= {*KNOWN[name].datasets, *(table.datasets if not KNOWN[name].datasets else ())}
    assert source.name in KNOWN[name].file or source.name == "DARTS_fix-w-d.json"
