"""Suite-Zero, NAS-Bench-301, HW-NAS-Bench, NAS-Bench-360, 214 networks, TransNAS-Bench-101: made-up official files."""

import bz2
import json
import pickle
from collections import OrderedDict, namedtuple

import numpy as np
import pytest

from nas_lightning.benchmarks import Benchmark, BenchmarkError
from nas_lightning.benchmarks.convert.command import convert
from nas_lightning.benchmarks.convert.hw_nas_bench import METRICS
from nas_lightning.benchmarks.convert.nasbench301 import genotype
from nas_lightning.benchmarks.convert.naslib import architecture_of
from nas_lightning.spaces import ArchitectureError, get_space

DARTS, NB201 = get_space("darts_nds"), get_space("nasbench201")
Genotype = namedtuple("Genotype", "normal normal_concat reduce reduce_concat")


def cells_of(arch):
    return [
        [(DARTS.operations[op], source) for node in cell for op, source in node] for cell in (arch.normal, arch.reduce)
    ]


def write_suite(path, records):
    path.write_text(json.dumps(records))
    return path


def write_record(folder, number, arch, epochs=98):
    prefix, config = "NetworkSelectorDatasetInfo:darts:", {}
    for name, cell in zip(("normal", "reduce"), cells_of(arch), strict=True):
        for node in range(2, 6):
            pair = sorted(cell[2 * (node - 2) : 2 * (node - 1)], key=lambda edge: edge[1])
            if node > 2:
                config[f"{prefix}inputs_node_{name}_{node}"] = "_".join(str(source) for _, source in pair)
            for op, source in pair:
                config[f"{prefix}edge_{name}_{sum(range(2, node)) + source}"] = op
    record = {
        "optimized_hyperparamater_config": config,
        "learning_curves": {"Train/val_accuracy": [50.0 + number] * (epochs - 1) + [90.0 + number]},
        "info": [{"val_accuracy": 90.0 + number, "model_parameters": 1000.0 + number}],
        "test_accuracy": 91.0 + number,
        "budget": epochs,
        "runtime": 100.0,
    }
    (folder / "random_search").mkdir(parents=True, exist_ok=True)
    (folder / "random_search" / f"results_{number}.json").write_text(json.dumps(record))


@pytest.fixture
def archs():
    rng, found = np.random.default_rng(0), []
    while len(found) < 4:
        arch = DARTS.canonical(DARTS.sample(rng))
        if all(len({source for _, source in node}) == 2 for cell in (arch.normal, arch.reduce) for node in cell):
            found.append(arch)
    return found


def write_301(tmp_path, archs):
    for number, arch in enumerate(archs):
        write_record(tmp_path / "nb_301_v13", number, arch, 98 if number else 50)
    return tmp_path / "nb_301_v13"


def write_hardware(tmp_path):
    values = {metric: np.arange(15625, dtype=np.float64) + 1 for metric in METRICS}
    values["edgetpu_latency"] = list(np.where(np.arange(15625) % 3, 2.0, 0.0))
    part = values | {"config": [{"name": "infer.tiny"}] * 15625}
    path = tmp_path / "HW-NAS-Bench-v1_0.pickle"
    path.write_bytes(
        pickle.dumps({"nasbench201": {"cifar10": part, "ImageNet16-120": part}, "fbnet": {"x": {"y": 1.0}}})
    )
    return path


def write_360(tmp_path, official="ninapro", scale=100.0, name="NATS-tss-v1_0-daa55.pickle.pbz2"):
    infos = {}
    for index in range(5):
        run = {
            "eval_acc1es": {f"ori-test@{e}": scale * (index + e / 200) / 10 for e in range(200)},
            "epochs": 200, "params": 1.0, "flop": 2.0,
        }  # fmt: skip
        state = {
            "all_results": OrderedDict({(official, 777): run}),
            "dataset_seed": {official: [777]},
            "arch_index": index,
        }
        infos[index] = OrderedDict({"200": state})
    data = {"meta_archs": [str(NB201.from_index(i)) for i in range(5)], "total_archs": 5, "arch2infos": infos}
    path = tmp_path / name
    path.write_bytes(bz2.compress(pickle.dumps(data)))
    return path


def write_214(tmp_path, archs):
    genotypes = [Genotype(cells_of(arch)[0], range(2, 6), cells_of(arch)[1], [2, 3, 4, 5]) for arch in archs]
    path = tmp_path / "214genotypes.pkl"
    path.write_bytes(pickle.dumps(genotypes))
    np.save(tmp_path / "214_random_architectures.npy", np.arange(len(archs) * 6.0).reshape(-1, 6))
    return path


def test_suite_zero(tmp_path):
    cells = {"(0, 2, 3, 2, 3, 1)": 86.06, "(1, 1, 1, 1, 1, 1)": 10.0}
    records = {
        "ImageNet16-120": {
            text: {"val_accuracy": value, "synflow": {"score": 3.5, "time": 0.1}, "id": 7}
            for text, value in cells.items()
        }
    }
    out = convert("suite_zero", write_suite(tmp_path / "zc_nasbench201.json", records), tmp_path / "out.arrow")
    table = Benchmark.open(out)
    assert (table.space, table.dataset, len(table)) == ("nasbench201", "imagenet16_120", 2)
    assert table.metric_values("validation_accuracy").tolist() == pytest.approx([0.8606, 0.1])
    assert table.values("naslib_synflow").tolist() == [3.5, 3.5]
    with pytest.raises(BenchmarkError, match="no NAS-Bench-Suite-Zero file"):
        convert("suite_zero", write_suite(tmp_path / "zc_nasbench101.json", records), tmp_path / "no.arrow")
    assert not (tmp_path / "no.arrow").exists()


def test_naslibs_tuples():
    assert str(architecture_of("nasbench201", "(0, 2, 3, 2, 4, 1)")) == (
        "|skip_connect~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_1x1~0|avg_pool_3x3~1|none~2|"
    )
    assert str(architecture_of("transnasbench101_micro", (1, 0, 0, 2, 1, 0))) == "100210"
    assert str(architecture_of("transnasbench101_macro", "(1, 2, 4, 2, 0, 0)")) == "1242"
    for suite, wrong in [("nasbench201", "(0, 1)"), ("nasbench201", "(9, 0, 0, 0, 0, 0)"), ("nasbench301", "(1, 2)")]:
        with pytest.raises(ArchitectureError):
            architecture_of(suite, wrong)


@pytest.mark.slow
def test_the_collected_suite_agrees_with_the_tables(shared, tmp_path):
    source = shared("zerocost_naslib_suite.parquet")
    suite = Benchmark.open(
        convert("suite_zero", source, tmp_path / "201.arrow", space="nasbench201"), dataset="cifar10"
    )
    truth = Benchmark.open(shared("nasbench201.parquet"), dataset="cifar10")
    archs = suite.architectures()
    params = truth.values("params", archs) / 1e6
    assert np.corrcoef(suite.values("naslib_params"), params)[0, 1] == pytest.approx(1, abs=1e-4)
    own = suite.metric_values("validation_accuracy")
    assert np.corrcoef(own, truth.metric_values("validation_accuracy", 200)[truth.rows(archs)])[0, 1] > 0.98
    darts = Benchmark.open(convert("suite_zero", source, tmp_path / "301.arrow", space="darts_nds"))
    counted, _ = DARTS.costs(darts.architectures()[:50], channels=32, layers=8, num_classes=10)
    assert np.abs(counted / 1e6 - darts.values("naslib_params")[:50]).max() < 0.02  # the order of the operations


def test_a_configuration_of_nasbench301s_own_training_code():
    """Auto-PyTorch's test of its DARTS network holds one; edges count node by node, those into node 2 first."""
    prefix = "NetworkSelectorDatasetInfo:darts:"
    inputs = {"normal": ("0_1", "0_1", "2_3"), "reduce": ("0_1", "0_2", "1_3")}
    edges = {
        "normal": {
            0: "max_pool_3x3", 1: "sep_conv_5x5", 2: "avg_pool_3x3", 3: "avg_pool_3x3", 5: "avg_pool_3x3",
            6: "avg_pool_3x3", 11: "dil_conv_3x3", 12: "skip_connect",
        },
        "reduce": {
            0: "dil_conv_5x5", 1: "sep_conv_3x3", 2: "max_pool_3x3", 3: "max_pool_3x3", 5: "dil_conv_5x5",
            7: "avg_pool_3x3", 10: "max_pool_3x3", 12: "dil_conv_3x3",
        },
    }  # fmt: skip
    config = {f"{prefix}edge_{cell}_{edge}": op for cell, ops in edges.items() for edge, op in ops.items()}
    for cell, texts in inputs.items():
        config |= {f"{prefix}inputs_node_{cell}_{node}": text for node, text in enumerate(texts, start=3)}
    normal, reduce = cells_of(genotype(config))
    assert [(op, source) for op, source in normal][-2:] == [("dil_conv_3x3", 2), ("skip_connect", 3)]
    assert [source for _, source in normal] == [0, 1, 0, 1, 0, 1, 2, 3]
    assert [source for _, source in reduce] == [0, 1, 0, 1, 0, 2, 1, 3]
    assert [op for op, _ in reduce] == list(edges["reduce"].values())


def test_nasbench301_records(tmp_path, archs):
    out = convert("nasbench301", write_301(tmp_path, archs), tmp_path / "out.arrow")
    table = Benchmark.open(out)
    assert list(table.architectures()) == archs
    assert table.metric_values("test_accuracy").tolist() == pytest.approx([0.91, 0.92, 0.93, 0.94])
    curves = table.curves(archs, "validation_accuracy")
    assert curves.shape == (4, 98)
    assert curves[1, 97] == pytest.approx(0.91)
    assert np.isnan(curves[0, 50:]).all()
    (tmp_path / "nb_301_v13" / "random_search" / "results_9.json").write_text('{"optimized_hyperparamater_config": {}}')
    with pytest.raises(BenchmarkError, match="is no NAS-Bench-301 result"):
        convert("nasbench301", tmp_path / "nb_301_v13", tmp_path / "no.arrow")


def test_hw_nas_bench(tmp_path):
    out = convert("hw_nas_bench", write_hardware(tmp_path), tmp_path / "out.arrow")
    table = Benchmark.open(out, dataset="imagenet16_120")
    archs = [NB201.from_index(i) for i in (0, 7, 15624)]
    assert table.values("edgegpu_latency_ms", archs).tolist() == [1, 8, 15625]
    assert np.isnan(table.values("edgetpu_latency_ms", archs[:1])).all()
    short = {"nasbench201": {"cifar10": {metric: [1.0] for metric in METRICS}}}
    (tmp_path / "short.pickle").write_bytes(pickle.dumps(short))
    with pytest.raises(BenchmarkError, match="1 rows, not 15,625"):
        convert("hw_nas_bench", tmp_path / "short.pickle", tmp_path / "no.arrow")


@pytest.mark.parametrize(
    ("official", "dataset", "scale"), [("ninapro", "ninapro", 100.0), ("darcyflow", "darcy_flow", 1.0)]
)
def test_nasbench360(tmp_path, official, dataset, scale):
    out = convert("nasbench360", write_360(tmp_path, official, scale), tmp_path / "out.arrow", curves=True)
    table = Benchmark.open(out)
    assert (table.dataset, len(table)) == (dataset, 5)
    expected = [(index + 199 / 200) / 10 for index in range(5)]
    assert table.metric_values(epochs=200).tolist() == pytest.approx(expected)
    assert table.curves(table.architectures())[2, 0] == pytest.approx(0.2)
    with pytest.raises(BenchmarkError, match="none of the tasks"):
        convert("nasbench360", write_360(tmp_path, "cifar10", 100.0, "other.pickle.pbz2"), tmp_path / "no.arrow")


def test_214_networks(tmp_path, archs):
    out = convert("darts214", write_214(tmp_path, archs), tmp_path / "out.arrow")
    table = Benchmark.open(out)
    assert list(table.architectures()) == archs
    assert table.metric_values("test_accuracy").tolist() == pytest.approx([0.05, 0.11, 0.17, 0.23])
    assert table.epochs("test_accuracy") == (1, 2, 3, 4, 5, 6)
    (tmp_path / "214_random_architectures.npy").unlink()
    with pytest.raises(BenchmarkError, match="put that file into"):
        convert("darts214", tmp_path / "214genotypes.pkl", tmp_path / "no.arrow")


class Harmful:
    def __reduce__(self):
        return (print, ("never",))


@pytest.mark.parametrize("kind", ["hw_nas_bench", "darts214", "nasbench360"])
def test_no_pickle_runs_code(tmp_path, kind, capsys):
    content = pickle.dumps(Harmful())
    path = tmp_path / "hostile.pbz2"
    path.write_bytes(bz2.compress(content) if kind == "nasbench360" else content)
    np.save(tmp_path / "214_random_architectures.npy", np.zeros((1, 2)))
    with pytest.raises(BenchmarkError, match="could run code"):
        convert(kind, path, tmp_path / "no.arrow")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("level", "rows", "best"), [("micro", 4096, 0.5478), ("macro", 3256, 0.5741)])
def test_transnasbench101(shared, level, rows, best):
    table = Benchmark.open(shared(f"transnasbench101_{level}.parquet"), dataset="class_scene")
    assert (table.space, len(table), len(table.datasets)) == (f"transnasbench101_{level}", rows, 7)
    assert np.nanmax(table.metric_values()) == pytest.approx(best, abs=0.01)
    space = get_space(table.space)
    assert {str(arch) for arch in space.enumerate()} == {str(arch) for arch in table.architectures()}
