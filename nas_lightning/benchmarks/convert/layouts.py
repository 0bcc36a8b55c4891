"""Parquet tables in layouts that are known by their columns: published numbers collected without their first files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nas_lightning.benchmarks.column import Column
from nas_lightning.benchmarks.convert import nasbench_macro, nasbench_nlp, transnasbench101
from nas_lightning.benchmarks.convert.hyperparameters import fcnet, hpobench_mlp, taskset
from nas_lightning.benchmarks.encoding import encode
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.benchmarks.registry import KNOWN
from nas_lightning.benchmarks.table_file import read_parquet
from nas_lightning.benchmarks.writer import write_encoded
from nas_lightning.runs.quality import PERPLEXITY, Quality
from nas_lightning.spaces import get_space
from nas_lightning.spaces.nasbench101_table import encode_nasbench101
from nas_lightning.spaces.nasbench201 import EDGES

_DATASETS = {"c10": "cifar10", "c100": "cifar100", "in16": "imagenet16_120"}
_PERCENT = "given in percent, divided by 100"


def _fraction(table: pa.Table, name: str) -> np.ndarray:
    return table[name].to_numpy().astype(np.float64) / 100


def _nasbench201_codes(table: pa.Table) -> dict[str, Any]:
    places = 5 ** np.arange(5, -1, -1)
    operations = np.stack([table[f"op_{u}_{v}"].to_numpy() for u, v in EDGES], 1)
    if operations.min(initial=0) < 0 or operations.max(initial=0) > 4:
        raise BenchmarkError("the operation columns of the NAS-Bench-201 table go beyond 0 to 4; the file is not whole")
    return {"code": (operations.astype(np.int64) @ places).astype(np.int16)}


def _nasbench201(table: pa.Table, path: Path) -> tuple[dict[str, Any], list[Column]]:
    columns: list[Column] = []
    for short, dataset in _DATASETS.items():
        mean = {"seeds": "2-3", "note": _PERCENT}
        columns += [
            Column(_fraction(table, f"{short}_test200_mean"), "test_accuracy", dataset, 200, **mean),
            Column(_fraction(table, f"{short}_val200_mean"), "validation_accuracy", dataset, 200, **mean),
            Column(
                np.stack([_fraction(table, f"{short}_val200_run{i}") for i in range(3)], 1),
                "validation_accuracy",
                dataset,
                epochs=200,
                kind="seeds",
                note=_PERCENT,
            ),
            Column(_fraction(table, f"{short}_test12"), "test_accuracy", dataset, 12, note=_PERCENT),
            Column(_fraction(table, f"{short}_val12"), "validation_accuracy", dataset, 12, note=_PERCENT),
            Column(table[f"{short}_params"].to_numpy(), "params", dataset),
            Column(table[f"{short}_macs"].to_numpy(), "macs", dataset, note="derived from operation counts"),
        ]
    protocol = "training part of CIFAR-10 only (cifar10-valid protocol)"
    for name, quantity in (("train_loss", "train_loss"), ("val_loss", "validation_loss"), ("test_loss", "test_loss")):
        columns.append(
            Column(table[f"c10valid_{name}200_mean"].to_numpy(), quantity, "cifar10", 200, seeds="2-3", note=protocol)
        )
    columns += [
        Column(
            _fraction(table, "c10valid_train_acc200_mean"), "train_accuracy", "cifar10", 200, seeds="2-3", note=protocol
        ),
        Column(
            _fraction(table, "c10valid_test_acc200_mean"),
            "test_accuracy_of_training_part",
            "cifar10",
            200,
            seeds="2-3",
            split="test",
            unit="fraction",
            note=protocol,
        ),
        Column(table["c10valid_train_s_per_epoch"].to_numpy(), "train_seconds_per_epoch", "cifar10", note=protocol),
        Column(table["c10valid_train_s_total200"].to_numpy(), "train_seconds", "cifar10", 200, note=protocol),
        Column(
            table["c10_flops_naslib_m"].to_numpy(), "naslib_flops", "cifar10", unit="million", note="as NASLib counts"
        ),
    ]
    return _nasbench201_codes(table), columns


def _nasbench201_hardware(table: pa.Table, path: Path) -> tuple[dict[str, Any], list[Column]]:
    columns = []
    for name in table.column_names:
        short, _, rest = name.partition("_")
        dataset, quantity = (_DATASETS[short], rest) if short in _DATASETS else ("cifar10", name)
        if name == "index":
            continue
        values = table[name].to_numpy().astype(np.float64)
        if quantity.startswith("edgetpu"):
            values = np.where(values > 0, values, np.nan)  # not supported on the device
        if quantity.endswith("_latency"):
            quantity += "_ms"
        elif quantity.endswith("_energy"):
            quantity += "_mj"
        columns.append(Column(values, quantity, dataset))
    from nas_lightning.spaces.nasbench201 import official_order

    return {"code": official_order()[table["index"].to_numpy()].astype(np.int16)}, columns


def _nasbench360(table: pa.Table, path: Path) -> tuple[dict[str, Any], list[Column]]:
    """NAS-Bench-360's cells: one training of 200 epochs (seed 777) on each of two tasks; isomorphic twins differ."""
    from nas_lightning.spaces.nasbench201 import official_order

    note = "one training, seed 777; the same number guides and reports"
    columns = [
        Column(_fraction(table, "ninapro_acc_e200_seed777"), "test_accuracy", "ninapro", 200, seeds="1", note=note),
        Column(
            table["darcy_one_minus_rel_l2_e200_seed777"].to_numpy().astype(np.float64),
            "test_score",
            "darcy_flow",
            200,
            seeds="1",
            unit="1 - relative L2 error",
            note=note,
        ),
    ]
    return {"code": official_order()[table["index"].to_numpy()].astype(np.int16)}, columns


def _nasbench101_cells(table: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    operations = np.stack([table[f"op{i}"].to_numpy() for i in range(1, 6)], 1)
    return table["n_vertices"].to_numpy(), table["adj_bits"].to_numpy(), operations


def _nasbench101_validation(table: pa.Table, path: Path) -> tuple[dict[str, Any], list[Column]]:
    """Draws of single runs by index into nasbench101.parquet, which must lie beside; equal draws count once."""
    beside = path.with_name("nasbench101.parquet")
    if not beside.is_file():
        raise BenchmarkError(f"{path.name} counts the rows of nasbench101.parquet; put that file into {path.parent}")
    runs: dict[int, set[float]] = {}
    for index, value in zip(table["index"].to_pylist(), table["val_acc_108_single"].to_pylist(), strict=True):
        runs.setdefault(index, set()).add(value)
    rows = np.array(list(runs))
    cells = _nasbench101_cells(read_parquet(beside))
    mean = np.array([np.mean(sorted(values)) for values in runs.values()])
    return encode_nasbench101(*(part[rows] for part in cells)), [
        Column(mean, "validation_accuracy", "cifar10", 108, seeds="1-3", note="mean of the distinct runs drawn")
    ]


def _nasbench101(table: pa.Table, path: Path) -> tuple[dict[str, Any], list[Column]]:
    encoded = encode_nasbench101(*_nasbench101_cells(table))
    beside = path.with_name("nasbench101_hashes.parquet")
    if beside.is_file():
        hashes = read_parquet(beside)["module_hash"].combine_chunks()
        hashes = hashes.chunk(0) if isinstance(hashes, pa.ChunkedArray) else hashes
        if len(hashes) == len(table):
            encoded["module_hash"] = hashes.cast(pa.binary(16))
    return encoded, [
        Column(table["test_acc_108_mean3"].to_numpy(), "test_accuracy", "cifar10", 108, seeds="3"),
        Column(table["params"].to_numpy(), "params", "cifar10"),
    ]


def _darts214(table: pa.Table, path: Path) -> tuple[dict[str, Any], list[Column]]:
    space = get_space("darts_nds")
    curve = np.stack(table["test_acc_curve600"].to_pylist()).astype(np.float32) / np.float32(100)
    return encode(space, [space.parse(text) for text in table["genotype"].to_pylist()]), [
        Column(_fraction(table, "test_acc_final600"), "test_accuracy", "cifar10", 600, seeds="1", note=_PERCENT),
        Column(_fraction(table, "test_acc_best"), "best_epoch_test_accuracy", "cifar10", 600, seeds="1", note=_PERCENT),
        Column(curve, "test_accuracy", "cifar10", kind="curve", seeds="1", note=_PERCENT),
    ]


_Reader = Callable[[pa.Table, Path], tuple[dict[str, Any], list[Column]]]
_LAYOUTS: dict[str, tuple[str, set[str], _Reader, str]] = {
    "nasbench201": (
        "nasbench201",
        {"arch_str", "op_2_3", "c10_test200_mean", "c10_val200_run2", "in16_macs", "c10valid_train_s_per_epoch"},
        _nasbench201,
        "nasbench201",
    ),
    "nasbench201_hw": ("nasbench201", {"index", "c10_edgegpu_latency"}, _nasbench201_hardware, "hw_nas_bench"),
    "fcnet_hpolib": ("fcnet", {"activation_fn_1", "n_units_2", "protein_structure_run3"}, fcnet, "fcnet_hpolib"),
    "hpobench_mlp": ("hpobench_mlp", {"learning_rate_init", "width", "car_run4"}, hpobench_mlp, "hpobench_mlp"),
    "taskset_adam8p_imdb12": (
        "taskset_adam8p",
        {"exponential_decay", "linear_decay", "patch32_GRU128_bs128_valid_loss"},
        taskset,
        "taskset_adam8p_imdb12",
    ),
    "nasbench360_nb201": (
        "nasbench201",
        {"index", "ninapro_acc_e200_seed777", "darcy_one_minus_rel_l2_e200_seed777"},
        _nasbench360,
        "nasbench360_nb201",
    ),
    "nasbench101": (
        "nasbench101",
        {"n_vertices", "adj_bits", "op5", "params", "test_acc_108_mean3"},
        _nasbench101,
        "nasbench101",
    ),
    "nasbench101_val500": ("nasbench101", {"index", "val_acc_108_single"}, _nasbench101_validation, "nasbench101"),
    "nasbench_macro": (
        "nasbench_macro",
        {"arch", "test_acc_run2", "params", "flops"},
        nasbench_macro.read_layout,
        "nasbench_macro",
    ),
    "transnasbench101_micro": (
        "transnasbench101_micro",
        {"arch", "class_scene_val", "jigsaw_val"},
        transnasbench101.micro,
        "transnasbench101_micro",
    ),
    "transnasbench101_macro": (
        "transnasbench101_macro",
        {"arch", "class_scene_val", "jigsaw_val"},
        transnasbench101.macro,
        "transnasbench101_macro",
    ),
    "nasbench_nlp_wikitext2": (
        "nasbench_nlp",
        {"recipe", "num_params", "val_losses", "test_losses", "wall_s_total"},
        nasbench_nlp.read_layout,
        "nasbench_nlp_wikitext2",
    ),
    "darts_random214_cifar10": (
        "darts_nds",
        {"genotype", "test_acc_final600", "test_acc_curve600"},
        _darts214,
        "darts_random214_cifar10",
    ),
}

_QUALITIES: dict[str, Quality] = {"nasbench_nlp_wikitext2": PERPLEXITY}
"""What the scores of a layout are, where they are more than numbers without a unit."""


def layouts() -> Iterator[str]:
    """Names of the layouts that are recognised."""
    return iter(_LAYOUTS)


def layout_of(schema: pa.Schema) -> str | None:
    """The layout that a Parquet schema follows, or None."""
    return next((name for name, (_, needed, _, _) in _LAYOUTS.items() if needed <= set(schema.names)), None)


def convert_layout(layout: str, path: Path, out: Path, sha256: str) -> Path:
    """Convert a Parquet table of a known layout. Raises BenchmarkError where its content is not the layout's."""
    table = read_parquet(path).combine_chunks()
    if layout.startswith("transnasbench101"):  # two tables with the same columns
        layout = transnasbench101.level(table)
    space, _, reader, known = _LAYOUTS[layout]
    try:
        encoded, columns = reader(table, path)
    except (LookupError, ValueError, TypeError, ArithmeticError, AttributeError, pa.ArrowException) as error:
        if isinstance(error, BenchmarkError):
            raise
        raise BenchmarkError(
            f"{path} looks like a {layout} table but is not whole ({str(error)[:160]}); fetch it again"
        ) from None
    entry = KNOWN[known]
    return write_encoded(
        out,
        space=space,
        encoded=encoded,
        columns=columns,
        metadata={
            **(_QUALITIES[layout].record() if layout in _QUALITIES else {}),
            "source": {
                "file": path.name,
                "sha256": sha256,
                "bytes": path.stat().st_size,
                "layout": layout,
                "license": entry.license,
                "citation": entry.citation,
            },
        },
    )
