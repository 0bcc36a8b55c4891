"""NAS-Bench-Macro: the published counts, and the classes that the published accuracies show."""

import json

import numpy as np
import pytest

from nas_lightning.benchmarks import Benchmark
from nas_lightning.benchmarks.convert.command import convert
from nas_lightning.heuristic import NotApplicableError, fold
from nas_lightning.nets.build import check_mapping
from nas_lightning.plan import Plan, PlanError
from nas_lightning.spaces import ArchitectureError, get_space
from tests.helpers.small_plans import small_plan

SPACE = get_space("nasbench_macro")


def test_all_published_counts(shared_table):
    table = shared_table("nasbench_macro_cifar10.parquet")
    params, macs = SPACE.costs([SPACE.parse(text) for text in table["arch"].to_pylist()])
    assert len(params) == 6561
    assert (params == table["params"].to_numpy()).all()
    assert (macs == table["flops"].to_numpy()).all()


def test_classes_are_those_that_share_a_training(shared_table):
    table = shared_table("nasbench_macro_cifar10.parquet")
    runs = list(zip(*(table[f"test_acc_run{i}"].to_pylist() for i in range(3)), strict=True))
    found = {}
    for text, run in zip(table["arch"].to_pylist(), runs, strict=True):
        found.setdefault(SPACE.key(SPACE.parse(text)), set()).add(run)
    assert len(found) == SPACE.unique_size == len(list(SPACE.enumerate())) == 3969
    assert all(len(of_class) == 1 for of_class in found.values())


def test_identities_move_within_a_stage_and_not_between():
    assert SPACE.key(SPACE.parse("10210120")) == "10201102"
    assert [str(m) for m in SPACE.members(SPACE.parse("11101110"))] == ["11101101", "11101110", "11110101", "11110110"]
    assert SPACE.canonical(SPACE.parse("01000000")) != SPACE.canonical(SPACE.parse("10000000"))


def test_depth_counts_blocks():
    assert SPACE.depth(SPACE.parse("00000000")) == 0
    assert SPACE.depth(SPACE.parse("01200021")) == 4


@pytest.mark.parametrize("text", ["0123", "00000003", "0000000x", "", "1,2,3", "(0, 1, 2.5, 0, 0, 0, 0, 0)"])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(ArchitectureError) as refused:
        SPACE.parse(text)
    assert len(str(refused.value)) < 300


def test_names_of_blocks_are_read():
    names = "identity,mb3_k3,mb6_k5,identity,mb3_k3,mb6_k5,identity,mb3_k3"
    assert str(SPACE.parse(names)) == str(SPACE.parse("(0, 1, 2, 0, 1, 2, 0, 1)")) == "01201201"


def test_settings_without_a_meaning_are_refused():
    with pytest.raises(PlanError, match=r"mapping\.layers=5 does not apply to nasbench_macro"):
        check_mapping("nasbench_macro", Plan())
    for edit in ({"ofa_kernel": "crop"}, {"wsbn": "on"}, {"dynamic_channel": "chunk"}, {"op_placement": "node"}):
        small = small_plan("nasbench_macro").edited({f"mapping.{k}": v for k, v in edit.items()})
        with pytest.raises(PlanError, match="does not apply to nasbench_macro"):
            check_mapping("nasbench_macro", small)
    from callbacks.layers import Layers
    from callbacks.ofa_kernel import OFAKernel

    for heuristic in (Layers(4), OFAKernel("crop")):
        with pytest.raises(NotApplicableError, match="space=nasbench_macro"):
            fold(small_plan("nasbench_macro"), "nasbench_macro", [heuristic])


def test_the_official_json_becomes_a_table(tmp_path):
    rng = np.random.default_rng(0)
    archs = [SPACE.sample_unique(rng) for _ in range(5)]
    params, macs = SPACE.costs(archs)
    official = {
        str(arch): {
            "test_acc": [90.0 + i, 91.0, 92.0],
            "mean_acc": 91 + i / 3,
            "std": 0.1,
            "params": int(p),
            "flops": int(m),
        }
        for i, (arch, p, m) in enumerate(zip(archs, params, macs, strict=True))
    }
    (tmp_path / "official.json").write_text(json.dumps(official))
    table = Benchmark.open(convert("macro", tmp_path / "official.json", tmp_path / "macro.arrow"))
    assert (table.space, table.dataset, len(table)) == ("nasbench_macro", "cifar10", len({str(a) for a in archs}))
    assert table.accuracies(archs).tolist() == pytest.approx([(0.91 + i / 300) for i in range(5)])
    assert table.params(archs).tolist() == params.tolist()
    assert table.accuracies([SPACE.members(archs[0])[-1]])[0] == table.accuracies(archs[:1])[0]


def test_the_shared_table_opens_by_its_layout(shared_table):
    path = shared_table("nasbench_macro_cifar10.parquet", path=True)
    table = Benchmark.open(path, space="nasbench_macro", dataset="cifar10")
    assert len(table) == 6561
    assert table.best().accuracy == pytest.approx(0.9313, abs=2e-4)
    assert table.epochs() == (50,)
