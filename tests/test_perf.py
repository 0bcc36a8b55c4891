"""The yardstick itself: the plain networks compute what ours do, and refuse weights that are not theirs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nas_lightning.heuristic import Heuristic
from nas_lightning.nets.build import build_network
from nas_lightning.plan import Plan
from nas_lightning.spaces import get_space
from nas_lightning.spaces.nasbench201 import NB201Architecture

SMALL = {
    "nasbench101": {"mapping.channels": 11, "mapping.layers": 1, "mapping.op_placement": "node"},
    "nasbench201": {"mapping.channels": 4, "mapping.layers": 1},
    "darts_nds": {"mapping.channels": 4, "mapping.layers": 3, "mapping.bn_affine": False},
}

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _from_checkout(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent))


@pytest.mark.parametrize("space", SMALL)
def test_plain_networks_equal_the_supernet(space):
    from perf.plain import copy_weights, plain_network

    torch.manual_seed(0)
    plan, rng = Plan().edited(SMALL[space]), np.random.default_rng(0)
    supernet = build_network(space, plan, 10, 3).to(memory_format=torch.channels_last).train()
    images = torch.randn(8, 3, 16, 16).to(memory_format=torch.channels_last)
    for _ in range(3):
        arch = get_space(space).sample(rng)
        plain = plain_network(space, plan, arch, 10, 3)
        copy_weights(plain, supernet.standalone(arch))
        torch.testing.assert_close(plain(images), supernet(images, arch), rtol=1e-4, atol=1e-4)


def test_weights_of_another_architecture_are_refused():
    from perf.plain import copy_weights, plain_network

    plan, space = Plan().edited(SMALL["nasbench201"]), get_space("nasbench201")
    one, other = (space.parse(f"|{o}~0|+|none~0|none~1|+|none~0|{o}~1|none~2|") for o in ("nor_conv_1x1", "none"))
    supernet = build_network("nasbench201", plan, 10, 3)
    with pytest.raises(ValueError, match="too many"):
        copy_weights(plain_network("nasbench201", plan, one, 10, 3), supernet.standalone(other))
    with pytest.raises(ValueError, match="lacks parameters"):
        copy_weights(plain_network("nasbench201", plan, other, 10, 3), supernet.standalone(one))


def test_numbers_are_saved_and_compared_with_a_previous_file(tmp_path, monkeypatch, capsys):
    import json

    from perf import run

    values = iter([1.5, 2.5, 3.0, 4.0])
    spread = {"median": 2.0, "q25": 1.0, "q75": 3.0, "n": 4}
    monkeypatch.setattr(run, "PARTS", {"step": lambda quick: {"a": {"ms": next(values), "ratio": spread}}})
    monkeypatch.setitem(run.TARGETS, "step.1.a.ratio", "≤ 9")
    old, new = tmp_path / "folder" / "old.json", tmp_path / "new.json"
    threads = torch.get_num_threads()
    try:
        assert run.main(["--json", str(old)]) == 0
        capsys.readouterr()
        assert run.main(["--json", str(new), "--compare", str(old), "--threads", "1", "--only", "step"]) == 0
    finally:
        torch.set_num_threads(threads)
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "before 1.5" in lines["step.1.a.ms"]
    assert "target ≤ 9" in lines["step.1.a.ratio"]
    assert "[1 … 3 (n=4)]" in lines["step.1.a.ratio"]
    saved = json.loads(new.read_text())
    assert saved["results"]["step"]["1"]["a"]["ms"] == 3.0
    assert saved["environment"]["torch"] == torch.__version__
    assert set(json.loads(old.read_text())["results"]["step"]) == {"1", "2"}
    new.write_text("[]")
    assert run.main(["--compare", str(new)]) == 2
    assert "no result file" in capsys.readouterr().err


def test_a_fresh_process_is_measured_without_the_memory_of_its_parent():
    import sys

    from perf.machine import child

    ballast = torch.ones(2**26)  # 256 MB
    wall, processor, peak = child([sys.executable, "-c", "pass"])
    assert ballast.sum() > 0
    assert 0 < peak < 100
    assert min(wall, processor) > 0
    with pytest.raises(RuntimeError, match="exit status 3"):
        child([sys.executable, "-c", "raise SystemExit(3)"])


def gradients(network, images, arch, variant=None):
    """Logits and gradients of one pass, under a variant."""
    from perf.variants import eager

    network.zero_grad(set_to_none=True)
    with (variant or eager)(network, images):
        out = network(images, arch)
        out.square().sum().backward()
    return out.detach(), {name: p.grad for name, p in network.named_parameters() if p.grad is not None}


def captured(leaves, samples):
    """Stands in for make_graphed_callables: as strict about arguments and unused parameters, without a graph."""

    def replay(leaf, sample):
        inputs = (sample, *leaf.parameters())
        torch.autograd.grad(leaf(sample).sum(), inputs)  # raises where a leaf owns what it does not use

        def run(x):
            assert (x.shape, x.dtype, x.stride()) == (sample.shape, sample.dtype, sample.stride())
            assert id(leaf) not in order, "a graph is replayed twice a step: its output would be overwritten"
            order.append(id(leaf))
            return leaf(x)

        return run

    order = []
    positions = {id(leaf): i for i, leaf in enumerate(leaves)}
    captured.in_order = lambda: [positions[i] for i in order] == sorted(positions[i] for i in order)
    return tuple(replay(leaf, *sample) for leaf, sample in zip(leaves, samples, strict=True))


@pytest.mark.parametrize("name", ["merged convolutions", "CUDA graph an operation"])
def test_variants_give_the_logits_and_gradients_of_the_network(name):
    from functools import partial

    from perf.variants import VARIANTS

    torch.manual_seed(0)
    plan, rng = Plan().edited({"mapping.channels": 4, "mapping.layers": 2}), np.random.default_rng(0)
    network = build_network("nasbench201", plan, 10, 3).to(memory_format=torch.channels_last).train()
    images = torch.randn(8, 3, 16, 16).to(memory_format=torch.channels_last)
    variant = VARIANTS[name]
    if "graph" in name:
        with pytest.raises(RuntimeError, match="need a CUDA device"), variant(network, images):
            pass
        variant = partial(variant, capture=captured)
    space = get_space("nasbench201")
    crowded = NB201Architecture((3, 3, 2, 4, 2, 3))  # two 3x3 convolutions of the input, two 1x1 of node 1
    for arch in [crowded, *(space.sample(rng) for _ in range(12))]:
        expected, reference = gradients(network, images, arch)
        found, ours = gradients(network, images, arch, variant)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        assert ours.keys() == reference.keys()
        for key, value in ours.items():
            torch.testing.assert_close(value, reference[key], rtol=1e-3, atol=1e-2)
        if "graph" in name:
            assert captured.in_order()


def test_the_script_for_one_gpu_runs_at_toy_size(tmp_path, monkeypatch, capsys):
    import json

    from perf import gpu_nasbench201, variants

    def broken(network, images):
        raise RuntimeError("no compiler")

    monkeypatch.setitem(variants.VARIANTS, "compiled leaf operations", broken)
    file = tmp_path / "new" / "gpu.json"
    tiny = ["--device", "cpu", "--tiny", "--json", str(file)]
    assert gpu_nasbench201.main([*tiny, "--variant", "compiled leaf operations"]) == 0
    results = json.loads(file.read_text())["results"]
    assert "no compiler" in results["variants"]["compiled leaf operations, batch 32"]["failed"]
    assert "no compiler" in results["whole run, compiled leaf operations"]["failed"]
    assert "eager follows" in capsys.readouterr().err
    assert "CUDA device" in results["variants"]["CUDA graph an operation, batch 32"]["failed"]
    assert results["variants"]["merged convolutions, batch 32"]["images_per_second"] > 0
    run = results["whole run"]
    assert (run["variant"], run["architectures"]) == ("eager", 20)
    assert 0 <= run["mean_accuracy"] <= 1


def test_all_architectures_are_ranked_once():
    from perf.gpu_nasbench201 import every_architecture

    everything = every_architecture(None)
    assert len({str(arch) for arch in everything}) == len(everything) == 15_625
    some = [str(arch) for arch in every_architecture(20)]
    assert len(set(some)) == 20
    assert set(some) < {str(arch) for arch in everything}


def test_the_bytes_kept_for_the_backward_pass_by_hand():
    from perf.relaxed import kept_bytes

    x, weights = torch.randn(5, 7, dtype=torch.float64), torch.randn(7, dtype=torch.float64, requires_grad=True)
    own = {weights.untyped_storage().data_ptr()}
    assert kept_bytes(lambda: (x * weights).sum(), own) == 5 * 7 * 8  # x, for the gradient of the weights
    assert kept_bytes(lambda: (x * weights + x * weights).sum(), own) == 5 * 7 * 8  # the same storage twice
    assert kept_bytes(lambda: (x * weights).exp().sum(), own) == 2 * 5 * 7 * 8  # and exp keeps its result
    assert kept_bytes(lambda: (x * 2).sum(), own) == 0


def test_the_fit_whose_overhead_is_measured_has_what_train_hands_to_it(tmp_path):
    from perf import overhead

    made = overhead.callbacks(tmp_path)
    names = [type(callback).__name__ for callback in made]
    assert names[0] == "RunProgress"
    assert sum(isinstance(callback, Heuristic) for callback in made) == 14
    assert {"RankingCallback", "MetricsFile", "Checkpoints"} <= set(names)
    seconds = overhead.framework_steps(1, tmp_path)
    assert len(seconds) > 10
    assert (seconds > 0).all()


def test_the_gap_of_a_run_by_hand():
    from perf.gap import measures

    inherited, truth = np.array([0.1, 0.3, 0.2, 0.4]), np.array([0.5, 0.6, 0.7, 0.8])
    tau, mean, spread, disorder = measures(inherited, truth)
    assert tau == pytest.approx(4 / 6)
    assert mean == pytest.approx(0.4)
    assert spread == pytest.approx(np.std([0.4, 0.3, 0.5, 0.4], ddof=1))
    # The best non-decreasing function of the truth is 0.1, 0.25, 0.25, 0.4.
    assert disorder == pytest.approx(np.sqrt(0.005 / 4) / np.sqrt(0.0125))


def test_a_comparison_of_searches_goes_on_after_a_line_that_was_cut_short(tmp_path):
    from perf.search_guided import append, read

    path, key = tmp_path / "seeds.csv", ("cifar10", "12000 seconds", "local_search:accept=first", 3)
    assert read(path) == {}
    append(path, key, (94.25, 88, 1.5))
    with path.open("a") as file:
        file.write("cifar10,12000 seconds,local_se")
    assert read(path) == {key: (94.25, 88, 1.5)}
    append(path, (*key[:3], 4), (93.5, 90, 2.0))
    assert read(path) == {key: (94.25, 88, 1.5), (*key[:3], 4): (93.5, 90, 2.0)}


def test_isomorphic_copies_go_on_where_a_stop_left_them(tmp_path, monkeypatch, capsys):
    from perf import giaug

    asked = []

    def measured(space, table, n, seed, trees, test_cells):
        asked.append((n, seed))
        return {"taus": {"as they are": n + seed / 10, "with copies": 0.5}, "copies": 2 * n, "seconds": 1.0}

    monkeypatch.setattr(giaug, "measured", measured)
    monkeypatch.setattr(giaug.Benchmark, "open", lambda *_, **__: None)
    record = tmp_path / "giaug.jsonl"
    monkeypatch.setattr("sys.argv", ["giaug.py", "--space", "nasbench201", "--seeds", "2", "--record", str(record)])
    giaug.main()
    assert asked == [(78, 0), (78, 1), (156, 0), (156, 1)]
    printed = capsys.readouterr().out
    assert "78 cells (156 copies), 2 seeds: as they are 78.050 ± 0.071" in printed
    lines = record.read_text().splitlines()
    record.write_text("\n".join(lines[:2]) + "\n" + lines[2][:30])
    asked.clear()
    giaug.main()
    assert asked == [(156, 0), (156, 1)]
    assert capsys.readouterr().out == printed
    assert record.read_text().splitlines() == lines
