"""Readers of other projects' official files (JSON, records, pickles, Parquet), score files, journals of searches."""

import bz2
import json
import pickle
import shutil
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nas_lightning.benchmarks import Benchmark
from nas_lightning.benchmarks.convert.command import convert
from nas_lightning.benchmarks.convert.hw_nas_bench import METRICS
from nas_lightning.benchmarks.convert.transnasbench101 import TASKS
from nas_lightning.report.score_files import read_score_file
from nas_lightning.report.scores import common_scores
from nas_lightning.search import runner
from nas_lightning.search.budget import Budget
from nas_lightning.search.journal import seal, unseal
from nas_lightning.search.runner import SearchPlan, run_search
from nas_lightning.spaces import get_space
from tests.benchmarks import test_convert_more as made
from tests.benchmarks.test_known_commands import SUITE
from tests.fuzz.mutations import mutated_bytes, mutated_column, mutated_value
from tests.fuzz.readers import (
    NUMBERS,
    SPACES,
    converting,
    csv_text,
    drawn,
    fresh,
    pick,
    place,
    reader,
    use_table,
    write_json,
)
from tests.fuzz.run_readers import parquet_list
from tests.helpers.toy_space import make_objective


def emptied(folder, name):
    target = folder / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    return target


def two_inputs(arch):
    """Whether every node reads two different inputs, as the official records need."""
    return all(len({source for _, source in node}) == 2 for cell in (arch.normal, arch.reduce) for node in cell)


@lru_cache(maxsize=1)
def darts_cells():
    space, rng, found = get_space("darts_nds"), np.random.default_rng(3), []
    while len(found) < 4:
        arch = space.canonical(space.sample(rng))
        if two_inputs(arch):
            found.append(arch)
    return found


# -- NAS-Bench-Suite-Zero, 301, HW, 214 networks, 360, TransNAS

SUITE_FILES = {
    "zc_nasbench201.json": ("nasbench201", "cifar10"),
    "zc_nasbench301.json": ("darts_nds", "cifar10"),
    "zc_transbench101_micro.json": ("transnasbench101_micro", "jigsaw"),
}


def convert_suite(given):
    path, space = given
    converting("suite_zero", space=space)(path)


@reader("JSON of NAS-Bench-Suite-Zero", 300, convert_suite)
def _(rng, folder):
    name = pick(rng, list(SUITE_FILES))
    space, dataset = SUITE_FILES[name]
    record = {"val_accuracy": 50.0, "synflow": {"score": 1.0, "time": 0.1}, "id": 3}
    cells = {SUITE[space]: record}
    if space == "nasbench201":
        cells |= {str(tuple(rng.integers(0, 5, 6).tolist())): {**record, "val_accuracy": 60.0} for _ in range(3)}
    return write_json(fresh(folder, name), {dataset: cells}, rng), space


@lru_cache(maxsize=1)
def records_301():
    made.write_301(place() / "301", darts_cells())
    return sorted((place() / "301").rglob("*.json"))


@reader("JSON of NAS-Bench-301", 300, converting("nasbench301"))
def _(rng, folder):
    target = emptied(folder, "nb_301") / "random_search"
    target.mkdir()
    hit = int(rng.integers(len(records_301())))
    for number, source in enumerate(records_301()):
        if number == hit:
            write_json(target / source.name, json.loads(source.read_text()), rng)
        else:
            shutil.copy(source, target)
    return target.parent


@lru_cache(maxsize=1)
def hardware():
    """The content of HW-NAS-Bench's file, and its pickle."""
    values = {metric: (np.arange(15625) + 1.0).tolist() for metric in METRICS[:1]}
    part = dict.fromkeys(METRICS, values[METRICS[0]]) | {"config": [{"name": "infer.tiny"}]}
    value = {"nasbench201": {"cifar10": part}, "fbnet": {"x": {"y": 1.0}}}
    return value, pickle.dumps(value, 4)


def convert_hardware(path):
    table = Benchmark.open(convert("hw_nas_bench", path, path.with_name("out.arrow")))
    for name in table.columns:  # it holds no accuracies
        table.values(name, table.architectures()[:5])


@reader("pickle of HW-NAS-Bench", 100, convert_hardware)
def _(rng, folder):
    path = fresh(folder, "HW-NAS-Bench-v1_0.pickle")
    if rng.random() < 0.5:
        part = dict(hardware()[0]["nasbench201"]["cifar10"])
        name = pick(rng, list(part))
        kind = int(rng.integers(4))
        part[name] = [part[name][:5], pick(rng, NUMBERS), {"x": part[name]}, [pick(rng, NUMBERS)] * 15625][kind]
        path.write_bytes(pickle.dumps({"nasbench201": {pick(rng, ["cifar10", "x"]): part}}, 4))
    else:
        path.write_bytes(mutated_bytes(hardware()[1], rng))
    return path


@lru_cache(maxsize=1)
def pickle_214():
    folder = place() / "214"
    folder.mkdir()
    path = made.write_214(folder, darts_cells())
    return path.read_bytes(), (folder / "214_random_architectures.npy").read_bytes()


@reader("pickle of 214 networks and its array", 300, converting("darts214"))
def _(rng, folder):
    target = emptied(folder, "214")
    networks, array = pickle_214()
    hit = int(rng.integers(3))
    if hit == 2:
        cells = [made.cells_of(arch) for arch in darts_cells()]
        value = mutated_value([(c[0], [2, 3, 4, 5], c[1], [2, 3, 4, 5]) for c in cells], rng, NUMBERS)
        genotypes = [
            made.Genotype(*part) if isinstance(part, tuple) and len(part) == 4 else part for part in value or ()
        ]
        networks = pickle.dumps(genotypes, 2)
    (target / "214genotypes.pkl").write_bytes(mutated_bytes(networks, rng) if hit == 0 else networks)
    (target / "214_random_architectures.npy").write_bytes(mutated_bytes(array, rng) if hit == 1 else array)
    return target / "214genotypes.pkl"


@lru_cache(maxsize=1)
def pickle_360():
    return bz2.decompress(made.write_360(place()).read_bytes())


@reader("pickle of NAS-Bench-360", 300, converting("nasbench360", curves=True))
def _(rng, folder):
    path = fresh(folder, "NATS-tss-v1_0-daa55.pickle.pbz2")
    raw = pickle_360()
    raw = (
        mutated_bytes(raw, rng) if rng.random() < 0.5 else pickle.dumps(mutated_value(pickle.loads(raw), rng, NUMBERS))
    )
    packed = bz2.compress(raw)
    path.write_bytes(packed if rng.random() < 0.8 else mutated_bytes(packed, rng))
    return path


@lru_cache(maxsize=1)
def more_layouts():
    """Columns of TransNAS-Bench-101, NAS-Bench-360 and hyper-parameter tables in the layouts that were collected."""
    rng, n = np.random.default_rng(4), 12
    scores = {f"{task}_val": rng.uniform(0.1, 60, n) for task in TASKS}
    cells, stacks = drawn("transnasbench101_micro"), drawn("transnasbench101_macro")
    return {
        "micro": {"arch": [str(a) for a in cells], **scores},
        "macro": {"arch": [str(a) for a in stacks], **scores},
        "nasbench360": {
            "index": np.arange(n),
            "ninapro_acc_e200_seed777": rng.uniform(80, 94, n),
            "darcy_one_minus_rel_l2_e200_seed777": rng.uniform(0.1, 0.9, n),
        },
    }


@reader("Parquet layouts of TransNAS-Bench-101 and NAS-Bench-360", 300, use_table)
def _(rng, folder):
    import os

    columns = dict(pick(rng, list(more_layouts().values())))
    name = pick(rng, list(columns))
    if rng.random() < 0.15:
        columns.pop(name)
    else:
        columns[name] = mutated_column(columns[name], rng)
    written = {}
    for name, values in columns.items():
        try:
            written[name] = pa.array(values.tolist() if isinstance(values, np.ndarray) else values)
        except (pa.ArrowException, TypeError):
            written[name] = pa.array([str(v) for v in values])
    path = fresh(folder, "more.parquet")
    pq.write_table(pa.table(written), path)
    os.environ["NAS_LIGHTNING_CACHE"] = str(folder / "cache")
    return path


# -- score files as `report scores` compares them ----------------------------------------------------------------------


def compare(paths):
    common_scores([read_score_file(path) for path in paths], get_space("nasbench201"))


@reader("score files side by side", 300, compare)
def _(rng, folder):
    whole = fresh(folder, "whole.csv")
    whole.write_bytes(csv_text("nasbench201"))
    if rng.random() < 0.5:
        other = fresh(folder, "other.csv")
        other.write_bytes(mutated_bytes(csv_text("nasbench201"), rng, [csv_text(s) for s in SPACES[:3]]))
    else:
        other = parquet_list(rng, fresh(folder, "other.parquet"))
    return [whole, other]


# -- journals of further searches --------------------------------------------------------------------------------------

SEARCHES = {
    "pnas": {"beam": 6},
    "popnas": {"beam": 6},
    "bohb": {},
    "nsga2": {"population": 4},
    "local_search": {},
    "optuna": {"sampler": "nsga2"},
}


def objective_of(name):
    if name in ("pnas", "popnas"):
        return _cells()
    measured = ("params",) if name == "nsga2" else ()
    return make_objective() if name == "bohb" else make_objective((9,), requested=measured)


@lru_cache(maxsize=1)
def _cells():
    from nas_lightning.search.table_objective import TableObjective
    from nas_lightning.search.trial import Fidelities

    space = get_space("nasbench201")
    archs = list(space.enumerate_raw())
    values = np.array([space.operation_counts(arch)[3] for arch in archs], float)
    return TableObjective(
        space,
        space.index,
        values[:, None],
        values,
        Fidelities("epochs", (12,)),
        measures={"params": values},
        requested=("params",),
        identity={"counted": 1},
    )


def plan_of(name):
    return SearchPlan(name, Budget("evaluations", 12), baseline_seeds=0, settings=SEARCHES[name])


def go_on(given):
    name, folder = given
    runner.environment = lambda *_: {}  # it asks git
    run_search(plan_of(name), objective_of(name), folder, progress=False)


@lru_cache(maxsize=8)
def further_journal(name):
    root = place() / name
    go_on((name, root))
    (path,) = root.glob("*/journal.jsonl")
    return path.parent.name, path.read_bytes()


@reader("journals of PNAS, POPNAS, BOHB, NSGA-II, local search, Optuna", 400, go_on)
def _(rng, folder):
    for one in SEARCHES:  # before the fork
        further_journal(one)
    name = pick(rng, list(SEARCHES))
    run, content = further_journal(name)
    if rng.random() < 0.4:
        content = mutated_bytes(content, rng)
    else:
        lines = content.splitlines()
        at = int(rng.integers(len(lines)))
        lines[at] = seal(json.dumps(mutated_value(unseal(lines[at]), rng)))[:-1]
        content = b"\n".join(lines) + b"\n"
    root = emptied(folder, "further")
    fresh(root, f"{run}/journal.jsonl").write_bytes(content)
    return name, root
