"""Readers of files, with the files that they read: what is changed, and what reading means. Here those of tables."""

import base64
import bz2
import csv
import io
import json
import os
import pickle
import shutil
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from nas_lightning.benchmarks import Benchmark, write_table
from nas_lightning.benchmarks.convert import restricted
from nas_lightning.benchmarks.convert.command import convert
from nas_lightning.benchmarks.table_file import HEADER, arrow_array, checksum
from nas_lightning.spaces import get_space
from tests.benchmarks.test_convert_lists import entry, genotype
from tests.benchmarks.test_convert_nasbench101 import frame, record
from tests.benchmarks.test_convert_nasbench201 import budgets, everything
from tests.fuzz.mutations import mutated_bytes, mutated_column, mutated_value

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
