"""Every reader of files, with the files that it reads: what is changed, and what reading means."""

import base64
import bz2
import csv
import io
import json
import os
import pickle
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import yaml

from nas_lightning.benchmarks import Benchmark, write_table
from nas_lightning.benchmarks.convert import restricted
from nas_lightning.benchmarks.convert.command import convert
from nas_lightning.benchmarks.table_file import HEADER, arrow_array, checksum
from nas_lightning.ranking.architecture_sets import architecture_set
from nas_lightning.report.score_files import read_score_file
from nas_lightning.runs.archive import pack, unpacked
from nas_lightning.runs.environment import environment, environment_changes
from nas_lightning.runs.files import RunError
from nas_lightning.runs.reading import checked, find_runs, read_run
from nas_lightning.runs.result import finished
from nas_lightning.scoring.partial import PartialScores
from nas_lightning.scoring.trained import check_same_images, find_trained
from nas_lightning.search import runner
from nas_lightning.search.budget import Budget
from nas_lightning.search.journal import seal, unseal
from nas_lightning.search.runner import SearchPlan, run_search
from nas_lightning.search.weak_labels import read_weak_labels
from nas_lightning.spaces import get_space
from nas_lightning.training.checkpoint_file import CHECKPOINT_KEY, FORMAT, read_checkpoint
from nas_lightning.training.checkpoints import resume_point
from nas_lightning.training.module import SuperNetModule, load_network
from tests.benchmarks.test_convert_lists import entry, genotype
from tests.benchmarks.test_convert_nasbench101 import frame, record
from tests.benchmarks.test_convert_nasbench201 import budgets, everything
from tests.fuzz.mutations import mutated_bytes, mutated_column, mutated_value
from tests.helpers.run_folders import write_evaluation, write_run, write_search
from tests.helpers.small_plans import small_plan
from tests.helpers.toy_space import make_objective

SPACES = ("nasbench201", "nasbench101", "darts_nds", "nasbench_macro")


@dataclass(frozen=True)
class Reader:
    """`make(rng, folder)` writes a changed file and returns what `read` is called with; `share` counts its cases."""

    name: str
    make: Callable
    read: Callable
    share: int


READERS: list[Reader] = []


def reader(name, share, read):
    """Registers `make` under a name."""

    def register(make):
        READERS.append(Reader(name, make, read, share))
        return make

    return register


@lru_cache(maxsize=1)
def place():
    """A folder of this process for what the files are made from."""
    import tempfile

    return Path(tempfile.mkdtemp(prefix="nl-fuzz-"))


def fresh(folder, name):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def pick(rng, values):
    return values[int(rng.integers(len(values)))]


@lru_cache(maxsize=8)
def drawn(name, n=12):
    space, rng, found = get_space(name), np.random.default_rng(0), {}
    while len(found) < n:
        arch = space.sample_unique(rng)
        found.setdefault(space.key(arch), arch)
    return list(found.values())


# -- stand-alone tables ------------------------------------------------------------------------------------------------


def use_table(path):
    """Open a table and look at all that it offers."""
    table = Benchmark.open(path)
    archs = table.architectures()
    table.metrics, table.epochs(), table.keys, table.datasets, repr(table), table.sha256
    table.accuracies(archs)
    table.seed_accuracies(archs)
    table.curves(archs)
    table.best()
    table.query(archs[0]).as_dict()
    for name in table.columns:
        table.values(name, archs)
    if "train_seconds" in table.columns:
        table.training_time(archs)
    if "params" in table.columns:
        table.params(archs)
    table.sample(min(3, len(table)), 0)


@lru_cache(maxsize=16)
def table_file(space, suffix):
    archs, rng = drawn(space), np.random.default_rng(1)
    path = write_table(
        place() / f"{space}{suffix}",
        space=space,
        dataset="digits",
        architectures=archs,
        columns={
            "test_accuracy_seeds": rng.uniform(0.1, 0.9, (len(archs), 3)),
            "validation_accuracy@5": rng.uniform(0.1, 0.9, len(archs)),
            "validation_accuracy/curve": rng.uniform(0.1, 0.9, (len(archs), 6)).astype(np.float32),
            "params": np.arange(len(archs)) + 100,
            "train_seconds": np.arange(len(archs)) + 1.0,
        },
        metadata={"protocol": "none", "cost": 3},
    )
    use_table(path)
    return path


def _any_table(suffix):
    return [table_file(space, suffix).read_bytes() for space in SPACES]


@reader("table, Arrow: bytes", 500, use_table)
def _(rng, folder):
    every = _any_table(".arrow")
    path = fresh(folder, "t.arrow")
    path.write_bytes(mutated_bytes(pick(rng, every), rng, every))
    return path


@reader("table, Parquet: bytes", 500, use_table)
def _(rng, folder):
    every = _any_table(".parquet")
    path = fresh(folder, "t.parquet")
    path.write_bytes(mutated_bytes(pick(rng, every), rng, every))
    return path


def sealed_table(rng, folder, suffix):
    """A table whose header or column was changed and whose checksums are right."""
    source = table_file(pick(rng, SPACES), ".arrow")
    with pa.memory_map(str(source)) as mapped:
        table = pa.ipc.open_file(mapped).read_all()
    header = json.loads(table.schema.metadata[HEADER])
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    columns = {k: v.chunk(0) if isinstance(v, pa.ChunkedArray) else v for k, v in columns.items()}
    if rng.random() < 0.5:
        name = pick(rng, list(columns))
        values = columns[name]
        if pa.types.is_fixed_size_list(values.type):
            plain = np.array(values.to_pylist())
        elif pa.types.is_string(values.type):
            plain = values.to_pylist()
        elif pa.types.is_fixed_size_binary(values.type):
            plain = np.frombuffer(b"".join(values.to_pylist()), np.uint8).reshape(len(values), -1)
        else:
            plain = values.to_numpy()
        columns[name] = arrow_array(mutated_column(plain, rng))
    else:
        changed = mutated_value({k: v for k, v in header.items() if k not in ("crc32", "header_crc32")}, rng)
        header = changed | {"crc32": header["crc32"]} if isinstance(changed, dict) else {"columns": changed}
    if rng.random() < 0.1:
        columns.pop(pick(rng, list(columns)))
    try:
        header["crc32"] = {name: checksum(values) for name, values in columns.items()}
    except Exception:  # a type that the format has no checksum for
        header.setdefault("crc32", {})
    raw = json.dumps({k: v for k, v in header.items() if k != "header_crc32"}, sort_keys=True)
    header["header_crc32"] = zlib.crc32(raw.encode())
    made = pa.table(columns).replace_schema_metadata({HEADER: json.dumps(header, sort_keys=True).encode()})
    path = fresh(folder, f"s{suffix}")
    if suffix == ".parquet":
        pq.write_table(made, path)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, made.schema) as writer:
            writer.write_table(made)
    return path


@reader("table, Arrow: header and columns, sealed again", 800, use_table)
def _(rng, folder):
    return sealed_table(rng, folder, ".arrow")


@reader("table, Parquet: header and columns, sealed again", 500, use_table)
def _(rng, folder):
    return sealed_table(rng, folder, ".parquet")


@lru_cache(maxsize=1)
def layout_columns():
    """Columns of published Parquet layouts."""
    rng = np.random.default_rng(2)
    macro, darts = drawn("nasbench_macro"), drawn("darts_nds")
    n = len(macro)
    return {
        "macro": {
            "arch": [str(a) for a in macro],
            **{f"test_acc_run{i}": rng.uniform(80, 94, n) for i in range(3)},
            "params": np.arange(n) + 1000,
            "flops": np.arange(n) + 5000,
        },
        "darts": {
            "genotype": [json.dumps(genotype(a)) for a in darts],
            "test_acc_final600": rng.uniform(90, 97, n),
            "test_acc_best": rng.uniform(90, 97, n),
            "test_acc_curve600": rng.uniform(20, 97, (n, 8)),
        },
        "units": {
            "index": np.arange(n),
            "c10_edgegpu_latency": rng.uniform(1, 9, n),
            "edgetpu_latency": rng.uniform(1, 9, n),
        },
        "nasbench101": {
            "n_vertices": np.full(n, 2),
            "adj_bits": np.ones(n, np.int64),
            **{f"op{i}": np.full(n, -1) for i in range(1, 6)},
            "params": np.arange(n) + 9,
            "test_acc_108_mean3": rng.uniform(0.1, 0.9, n),
        },
        "fcnet": {
            name: rng.integers(0, 2, n)
            for name in ("activation_fn_1", "activation_fn_2", "n_units_1", "n_units_2", "protein_structure_run3")
        },
    }


@reader("published Parquet layouts", 600, use_table)
def _(rng, folder):
    columns = dict(pick(rng, list(layout_columns().values())))
    for _ in range(int(rng.integers(1, 3))):
        name = pick(rng, list(columns))
        if rng.random() < 0.15:
            columns.pop(name)
        else:
            columns[name] = mutated_column(columns[name], rng)
    made = {}
    for name, values in columns.items():
        try:
            made[name] = pa.array(values.tolist() if isinstance(values, np.ndarray) else values)
        except (pa.ArrowException, TypeError):
            made[name] = pa.array([str(v) for v in values])
    path = fresh(folder, "layout.parquet")
    pq.write_table(pa.table(made), path)
    os.environ["NAS_LIGHTNING_CACHE"] = str(folder / "cache")
    return path


# -- lists of other tools ----------------------------------------------------------------------------------------------


def converting(kind, **options):
    """Convert a file and look at the table."""

    def read(path):
        use_table(convert(kind, path, path.with_name("out.arrow"), **options))

    return read


def mapped(space):
    return {"space": space, "columns": {"test_accuracy": "acc", "train_seconds": "time"}, "dataset": "digits"}


@lru_cache(maxsize=4)
def csv_text(space):
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["architecture", "acc", "time"])
    writer.writerows([str(a), 0.1 + i / 20, 60 + i] for i, a in enumerate(drawn(space)))
    return stream.getvalue().encode()


for _space in SPACES[:3]:

    @reader(f"CSV with a mapping: {_space}", 200, converting("table", **mapped(_space)))
    def _(rng, folder, space=_space):
        path = fresh(folder, "t.csv")
        path.write_bytes(mutated_bytes(csv_text(space), rng, [csv_text(s) for s in SPACES[:3]]))
        return path


@lru_cache(maxsize=4)
def records_of(space):
    rows = [{"architecture": str(a), "acc": 0.1 + i / 20, "time": 60 + i} for i, a in enumerate(drawn(space))]
    if space == "darts_nds":
        rows = [{"architecture": genotype(a), "acc": 0.1 + i / 20, "time": 60 + i} for i, a in enumerate(drawn(space))]
    return rows


def write_json(path, value, rng, compact=None):
    """A changed value as JSON, or its text with changed bytes."""
    if rng.random() < 0.75:
        path.write_bytes(json.dumps(mutated_value(value, rng)).encode("utf-8", "surrogatepass"))
    else:
        path.write_bytes(mutated_bytes(json.dumps(value).encode(), rng))
    return path


for _space in SPACES[:3]:

    @reader(f"JSON with a mapping: {_space}", 200, converting("table", **mapped(_space)))
    def _(rng, folder, space=_space):
        return write_json(fresh(folder, "t.json"), records_of(space), rng)


@reader("JSON of genotypes", 400, converting("genotypes"))
def _(rng, folder):
    rows = [{"genotype": genotype(a), "accuracy": 0.1 + i / 20} for i, a in enumerate(drawn("darts_nds"))]
    return write_json(fresh(folder, "g.json"), rows, rng)


@reader("CSV of genotypes", 200, converting("genotypes"))
def _(rng, folder):
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["genotype", "accuracy"])
    writer.writerows([str(a), 0.1 + i / 20] for i, a in enumerate(drawn("darts_nds")))
    path = fresh(folder, "g.csv")
    path.write_bytes(mutated_bytes(stream.getvalue().encode(), rng))
    return path


@reader("JSON of NDS", 300, converting("nds"))
def _(rng, folder):
    return write_json(fresh(folder, "DARTS.json"), [entry(a, 16, 20, 6.0) for a in drawn("darts_nds")[:4]], rng)


@reader("JSON of NAS-Bench-Macro", 300, converting("macro"))
def _(rng, folder):
    value = {
        str(a): {"test_acc": [90.0, 91.0, 92.0], "mean_acc": 91.0, "std": 0.8, "params": 1000 + i, "flops": 9000 + i}
        for i, a in enumerate(drawn("nasbench_macro"))
    }
    return write_json(fresh(folder, "m.json"), value, rng)


@lru_cache(maxsize=1)
def tf_records():
    return [record(a, epochs, 0.5) for a in drawn("nasbench101")[:5] for epochs in (4, 108)]


@reader("TFRecord: bytes", 200, converting("nasbench101"))
def _(rng, folder):
    path = fresh(folder, "n.tfrecord")
    path.write_bytes(mutated_bytes(b"".join(map(frame, tf_records())), rng))
    return path


@reader("TFRecord: records, sealed again", 300, converting("nasbench101"))
def _(rng, folder):
    rows = list(tf_records())
    at = int(rng.integers(len(rows)))
    value = json.loads(rows[at])
    if rng.random() < 0.3:
        value[4] = base64.b64encode(mutated_bytes(base64.b64decode(value[4]), rng)).decode()
        rows[at] = json.dumps(value).encode()
    elif rng.random() < 0.7:
        rows[at] = json.dumps(mutated_value(value, rng)).encode("utf-8", "surrogatepass")
    else:
        rows[at] = mutated_bytes(rows[at], rng)
    path = fresh(folder, "n.tfrecord")
    path.write_bytes(b"".join(map(frame, rows)))
    return path


# -- pickles -----------------------------------------------------------------------------------------------------------


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("boom",)


@lru_cache(maxsize=1)
def pickles():
    """Of all protocols: the numbers of a benchmark, arrays, and what no benchmark holds."""
    from tests.benchmarks.test_restricted import ARRAYS, HOSTILE, VALUE

    value = {**VALUE, "text": VALUE["text"][:-1]}
    small = {"state": budgets(7, {"12": 12})}
    values = [value, ARRAYS, small, [np.float64(1.5), np.arange(5)], [Bomb()], {"a": Bomb()}]
    made = [pickle.dumps(v, p) for v in values for p in range(6)]
    return made + list(HOSTILE.values())


def load_pickle(path):
    restricted.load(path.read_bytes(), str(path))


def _mutated_pickle(rng, every):
    return mutated_bytes(pick(rng, every), rng, every)


@reader("pickle", 2000, load_pickle)
def _(rng, folder):
    path = fresh(folder, "p.pickle")
    path.write_bytes(_mutated_pickle(rng, pickles()))
    return path


@lru_cache(maxsize=1)
def nats_state():
    return pickle.dumps(budgets(7, {"12": 12, "200": 12}), 4)


@reader("NATS-Bench folder", 200, converting("nats", curves=True))
def _(rng, folder):
    target = folder / "simple"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    raw = nats_state() if rng.random() < 0.5 else pickle.dumps(mutated_value(budgets(7, {"12": 12}), rng, NUMBERS), 4)
    if rng.random() < 0.4:
        raw = mutated_bytes(raw, rng)
    packed = bz2.compress(raw)
    (target / "000007.pickle.pbz2").write_bytes(packed if rng.random() < 0.8 else mutated_bytes(packed, rng))
    return target


NUMBERS = (None, 0, -1, 2**31, 1e300, float("nan"), float("inf"), "x", (), [], {}, (1, 2), {1: 2}, "93.1", -5.0)


@lru_cache(maxsize=1)
def nb201_whole():
    value = everything({"less": 12, "full": 12})
    value["meta_archs"] = value["meta_archs"][:10]
    value["arch2infos"] = {7: value["arch2infos"][7]}
    return value


def _pth(value, zipped):
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


@lru_cache(maxsize=2)
def _whole_pth(zipped):
    return _pth(nb201_whole(), zipped)


for _zipped in (True, False):

    @reader(f"NAS-Bench-201 .pth, {'zip' if _zipped else 'older form'}", 300, converting("nasbench201", curves=True))
    def _(rng, folder, zipped=_zipped):
        path = fresh(folder, "n.pth")
        if rng.random() < 0.5:
            path.write_bytes(_pth(mutated_value(nb201_whole(), rng, NUMBERS), zipped))
        elif zipped and rng.random() < 0.7:  # the pickle within, with the archive's checksums right
            with zipfile.ZipFile(io.BytesIO(_whole_pth(True))) as source, zipfile.ZipFile(path, "w") as target:
                for name in source.namelist():
                    content = source.read(name)
                    target.writestr(name, mutated_bytes(content, rng) if name.endswith(".pkl") else content)
        else:
            path.write_bytes(mutated_bytes(_whole_pth(zipped), rng))
        return path


# -- checkpoints -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def checkpoint():
    module = SuperNetModule("nasbench201", small_plan("nasbench201"), 10, 1, 0)
    module._trainer = None
    return {
        "state_dict": module.state_dict(),
        CHECKPOINT_KEY: {"format": FORMAT, **module.identity},
        "global_step": 3,
        "epoch": 1,
    }


def use_checkpoint(path):
    """As evaluation, search and resumption do."""
    read_checkpoint(path)
    load_network(path)
    find_trained(str(path))
    resume_point(path.parent, weights=checkpoint()["state_dict"])


@lru_cache(maxsize=1)
def _checkpoint_bytes():
    return _pth(checkpoint(), True)


@reader("checkpoint: bytes", 300, use_checkpoint)
def _(rng, folder):
    path = fresh(folder, "run/checkpoints/final.ckpt")
    path.write_bytes(mutated_bytes(_checkpoint_bytes(), rng))
    return path


@reader("checkpoint: the pickle within, checksums right", 500, use_checkpoint)
def _(rng, folder):
    path = fresh(folder, "run/checkpoints/final.ckpt")
    with zipfile.ZipFile(io.BytesIO(_checkpoint_bytes())) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith(".pkl"):
                content = mutated_bytes(content, rng) if rng.random() < 0.7 else _mutated_pickle(rng, pickles())
            target.writestr(name, content)
    return path


@reader("checkpoint: its description", 400, use_checkpoint)
def _(rng, folder):
    path = fresh(folder, "run/checkpoints/final.ckpt")
    value = checkpoint()
    head = mutated_value(value[CHECKPOINT_KEY], rng)
    content = {**value, CHECKPOINT_KEY: head}
    if rng.random() < 0.2:
        content = mutated_value({k: v for k, v in content.items() if k != "state_dict"}, rng)
    path.write_bytes(_pth(content, True))
    return path


def read_configuration(path):
    check_same_images(path, {"name": "digits", "image_size": None})
    find_trained(str(path))


@reader("config.yaml beside a checkpoint", 300, read_configuration)
def _(rng, folder):
    path = fresh(folder, "run/checkpoints/final.ckpt")
    path.write_bytes(_checkpoint_bytes())
    value = {
        "recipe": "none",
        "seed": 0,
        "data": {"name": "digits", "split_seed": 0, "max_train_images": None, "image_size": None},
    }
    config = path.parent.parent / "config.yaml"
    if rng.random() < 0.6:
        text = json.dumps(mutated_value(value, rng)) if rng.random() < 0.5 else ""
        config.write_bytes(text.encode("utf-8", "surrogatepass") or mutated_bytes(yaml.safe_dump(value).encode(), rng))
    else:
        config.write_bytes(mutated_bytes(yaml.safe_dump(value).encode(), rng))
    return path


# -- run folders, journals, archives -----------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def run_folders():
    root = place() / "runs"
    return (
        write_run(root / "train", n=12, ablation={"factor": "sampling", "setting": "fairnas"}),
        write_evaluation(root / "evaluation", n=12),
        write_search(root / "search", evaluations=5),
    )


def copied(folder, original):
    target = folder / "run"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(original, target)
    return target


def use_run(path):
    """As the next command, a report and a summary do; one that cannot be read is a listed failure."""
    from nas_lightning.search.summary import read_results, summarise

    with suppress(RunError):
        finished(path)
    run = checked(read_run(path))
    assert len(run.reason) < 300, run.reason
    assert "\n" not in run.reason, run.reason
    if run.status == "complete":
        _ = run.record, run.seconds, run.epochs
    summarise(read_results(path.parent))
    conclusions([run])


def conclusions(runs):
    from nas_lightning.report.gap import gaps
    from nas_lightning.report.study import conditions_of

    conditions, _ = conditions_of(runs, 100)
    gaps(conditions)


@reader("result.json, field by field", 1200, use_run)
def _(rng, folder):
    target = copied(folder, pick(rng, run_folders()))
    file = target / "result.json"
    return write_json(file, json.loads(file.read_text()), rng).parent


def arrow(values):
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError):  # lists beside numbers: Arrow has no such column
        return pa.array([str(value) for value in values])


@reader("files of a run", 500, use_run)
def _(rng, folder):
    target = copied(folder, pick(rng, run_folders()))
    file = pick(rng, sorted(p for p in target.iterdir() if p.is_file() and p.name != "result.json"))
    content = file.read_bytes()
    if file.name == "ranking.parquet" and rng.random() < 0.7:
        columns = pq.read_table(file).to_pydict()
        name = pick(rng, list(columns))
        values = columns[name]
        numeric = isinstance(values[0], float | int)
        columns[name] = mutated_column(np.array(values) if numeric else values, rng)
        made = {k: arrow(v.tolist() if isinstance(v, np.ndarray) else v) for k, v in columns.items() if k != "x"}
        pq.write_table(pa.table(made), file)
    else:
        file.write_bytes(mutated_bytes(content or b"{}", rng))
    return target


def whole_report(path):
    from nas_lightning.report.page import render
    from nas_lightning.report.study import conditions_of

    runs = [checked(run) for run in find_runs([path])]
    conditions, remarks = conditions_of(runs, 100)
    render(conditions, runs, [], remarks)


@reader("the report's page with one such run", 150, whole_report)
def _(rng, folder):
    root = folder / "study"
    shutil.rmtree(root, ignore_errors=True)
    for i, original in enumerate(run_folders()):
        shutil.copytree(original, root / str(i))
    file = root / str(int(rng.integers(3))) / "result.json"
    write_json(file, json.loads(file.read_text()), rng)
    return root


def read_environment(path):
    environment_changes(path, environment_now())


@lru_cache(maxsize=1)
def environment_now():
    return environment(threads=1)


@reader("environment.json", 200, read_environment)
def _(rng, folder):
    return write_json(fresh(folder, "environment.json"), environment_now(), rng).parent


SEARCH = SearchPlan("regularized_evolution", Budget("evaluations", 12), baseline_seeds=0, settings={"population": 4})


def search_in(folder):
    runner.environment = lambda *_: {}  # it asks git
    run_search(SEARCH, make_objective((9,)), folder, progress=False)


@lru_cache(maxsize=1)
def journal():
    root = place() / "search"
    search_in(root)
    (path,) = root.glob("*/journal.jsonl")
    return path.parent.name, path.read_bytes()


def _journal(rng, folder, content):
    root = folder / "searches"
    shutil.rmtree(root, ignore_errors=True)
    fresh(root, f"{journal()[0]}/journal.jsonl").write_bytes(content)
    return root


@reader("journal of a search: bytes", 300, search_in)
def _(rng, folder):
    return _journal(rng, folder, mutated_bytes(journal()[1], rng))


@reader("journal of a search: entries, sealed again", 500, search_in)
def _(rng, folder):
    lines = journal()[1].splitlines()
    at = int(rng.integers(len(lines)))
    lines[at] = seal(json.dumps(mutated_value(unseal(lines[at]), rng)))[:-1]
    return _journal(rng, folder, b"\n".join(lines) + b"\n")


def read_table_journal(path):
    from nas_lightning.modes.table import finished_tasks, journal_rows

    list(journal_rows(path))
    finished_tasks(path)


@reader("journal of a table", 300, read_table_journal)
def _(rng, folder):
    row = {"architecture": "a", "seed": 1, "validation": 0.5, "test": 0.5, "seconds": 1.0}
    lines = [seal(json.dumps(row)), seal(json.dumps(mutated_value(row, rng))), seal(json.dumps(row))]
    content = b"\n".join(lines)
    fresh(folder, "journal.jsonl").write_bytes(mutated_bytes(content, rng) if rng.random() < 0.5 else content)
    return folder


def read_partial(path):
    partial = PartialScores(path, 10, lambda: {"weights": "a", "set": "b"})
    for note in partial.notes:
        assert len(note) < 300, note
        assert "\n" not in note, note


@reader("partial scores", 200, read_partial)
def _(rng, folder):
    key = {"weights": "a", "set": "b"}
    if rng.random() < 0.3:
        key = mutated_value(key, rng)
    index = np.arange(5)
    if rng.random() < 0.3:
        index = np.array([pick(rng, [50, -20, 0.5, "x", 2**40])])
    buffer = io.BytesIO()
    np.savez(buffer, key=np.array(json.dumps(key)), index=index, values=np.ones((len(index), 2)))
    content = buffer.getvalue()
    path = fresh(folder, "partial/evaluation.partial.rank0.npz")
    path.write_bytes(mutated_bytes(content, rng) if rng.random() < 0.5 else content)
    return path.parent


def read_archive(path):
    with unpacked([path]) as folders:
        for run in find_runs(folders):
            checked(run)


@lru_cache(maxsize=1)
def archives():
    run_folders()
    pack(place() / "runs", place() / "runs.tar.xz")
    made = [(".tar.xz", (place() / "runs.tar.xz").read_bytes())]
    for suffix, mode in ((".tar.gz", "w:gz"), (".tar", "w")):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as archive:
            archive.add(place() / "runs", "runs")
        made.append((suffix, buffer.getvalue()))
    return made


@reader("archive of runs", 300, read_archive)
def _(rng, folder):
    suffix, content = pick(rng, archives())
    path = fresh(folder, f"a{suffix}")
    path.write_bytes(mutated_bytes(content, rng))
    return path


@reader("archive: members", 200, read_archive)
def _(rng, folder):
    path = fresh(folder, "m.tar")
    names = ("../x", "/tmp/x", "a/../../x", "runs/result.json", "a/" * 40 + "x", "n" * 300, "\udc80x", "", "C:\\x", ".")
    kinds = (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for _ in range(int(rng.integers(1, 4))):
            member = tarfile.TarInfo(pick(rng, names))
            member.type, member.linkname = pick(rng, kinds), pick(rng, names)
            member.size = 5 if member.type == tarfile.REGTYPE else 0
            member.mode = int(rng.integers(0o10000))
            archive.addfile(member, io.BytesIO(b"12345"))
    return path


# -- lists of architectures and scores ---------------------------------------------------------------------------------


def read_scores(path):
    read_score_file(path)


@reader("score file", 600, read_scores)
def _(rng, folder):
    kind = int(rng.integers(4))
    rows = [{"architecture": str(a), "acc": i / 20} for i, a in enumerate(drawn("nasbench201"))]
    if kind == 0:
        path = fresh(folder, "s.csv")
        path.write_bytes(mutated_bytes(csv_text("nasbench201"), rng))
    elif kind == 1:
        path = write_json(fresh(folder, "s.json"), rows, rng)
    elif kind == 2:
        path = write_json(fresh(folder, "s.json"), {r["architecture"]: r["acc"] for r in rows}, rng)
    else:
        path = parquet_list(rng, fresh(folder, "s.parquet"))
    return path


def parquet_list(rng, path):
    columns = {
        "architecture": [str(a) for a in drawn("nasbench201")],
        "supernet_accuracy": np.linspace(0, 1, 12),
        "params": np.arange(12),
        "standalone_accuracy": np.linspace(0, 1, 12),
    }
    name = pick(rng, list(columns))
    columns[name] = mutated_column(columns[name], rng)
    made = {}
    for key, values in columns.items():
        try:
            made[key] = pa.array(values.tolist() if isinstance(values, np.ndarray) else values)
        except (pa.ArrowException, TypeError):
            made[key] = pa.array([str(v) for v in values])
    pq.write_table(pa.table(made), path)
    if rng.random() < 0.4:
        path.write_bytes(mutated_bytes(path.read_bytes(), rng))
    return path


def read_set(path):
    architecture_set(str(path), get_space("nasbench201"))


@reader("list of architectures", 500, read_set)
def _(rng, folder):
    kind = int(rng.integers(3))
    if kind == 0:
        path = fresh(folder, "l.txt")
        path.write_bytes(mutated_bytes("\n".join(str(a) for a in drawn("nasbench201")).encode(), rng))
    elif kind == 1:
        path = fresh(folder, "l.csv")
        path.write_bytes(mutated_bytes(csv_text("nasbench201"), rng))
    else:
        path = parquet_list(rng, fresh(folder, "l.parquet"))
    return path


def read_labels(path):
    labels = read_weak_labels(path, get_space("nasbench201"))
    labels.features(), labels.vote()


@reader("weak labels", 300, read_labels)
def _(rng, folder):
    return parquet_list(rng, fresh(folder, "w.parquet"))


def parse(path):
    space, text = json.loads(path.read_text())
    arch = get_space(space).parse(text)
    get_space(space).key(arch)


@reader("architectures in text", 1000, parse)
def _(rng, folder):
    space = pick(rng, SPACES)
    arch = pick(rng, drawn(space))
    if space == "darts_nds" and rng.random() < 0.5:
        value = mutated_value(genotype(arch), rng)
    elif rng.random() < 0.2:
        matrix = {"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]}
        value = mutated_value([str(arch), 3, [[1, 2], [3]], matrix], rng)
    else:
        value = mutated_bytes(str(arch).encode(), rng).decode("latin1")
    path = fresh(folder, "x.json")
    path.write_text(json.dumps([space, value]))
    return path
