"""The DARTS files of NDS (Radosavovic et al., arXiv 1905.13214): JSON, one network a record, errors in percent.

`DARTS.json` mixes widths and depths, `DARTS_lr-wd.json` learning rates and weight decays, `DARTS_fix-w-d.json` fixes
both, `_in` files are ImageNet. All of these are columns; those that vary within the file are listed in the header, so
that a table of mixed networks is ranked only after one value was chosen (`Benchmark.open(..., where=...)`).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.benchmarks.column import Column
from nas_lightning.benchmarks.encoding import encode
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.runs.files import parse_json
from nas_lightning.spaces import get_space

_SETTINGS = ("width", "depth", "auxiliary_head", "learning_rate", "weight_decay", "train_epochs")


def read(path: Path) -> tuple[dict[str, Any], list[Column], dict[str, Any]]:
    """Architectures, columns, and header entries of one NDS DARTS file.

    Raises BenchmarkError for another kind of file.
    """
    space = get_space("darts_nds")
    try:
        data = parse_json(path.read_bytes())
        parts = {"all": data} if isinstance(data, list) else {part: data[part] for part in ("top", "mid")}
        records = [(part, record) for part, group in parts.items() for record in group]
        archs = [space.parse(record["net"]["genotype"]) for _, record in records]
        settings = {name: np.array([_setting(record, name) for _, record in records], np.float64) for name in _SETTINGS}
        curves = [_curve(record["test_ep_top1"]) for _, record in records]
        best = np.array([record["min_test_top1"] for _, record in records], np.float64)
        train = np.array([record["train_ep_top1"][-1] for _, record in records], np.float64)
        params = np.array([record["params"] for _, record in records], np.int64)
        flops = np.array([record["flops"] for _, record in records], np.int64)
        seeds = np.array([record.get("rng_seed", -1) for _, record in records], np.int64)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BenchmarkError(
            f"{path} is no NDS file of DARTS networks ({type(error).__name__}: {str(error)[:120]}); "
            "give one of DARTS.json, DARTS_fix-w-d.json, DARTS_lr-wd.json, DARTS_in.json"
        ) from None
    if not archs:
        raise BenchmarkError(f"{path} holds no networks; give the official file")
    dataset = "imagenet" if "_in" in path.stem else "cifar10"
    encoded = encode(space, archs)
    longest = max(map(len, curves))
    curve = np.full((len(curves), longest), np.nan, np.float32)
    for row, errors in enumerate(curves):
        curve[row, : len(errors)] = 1 - errors / 100
    note = "given as error in percent"
    columns = [
        Column(np.array([1 - errors[-1] / 100 for errors in curves]), "test_accuracy", dataset, seeds="1", note=note),
        Column(1 - best / 100, "best_epoch_test_accuracy", dataset, seeds="1", split="test", note=note),
        Column(1 - train / 100, "train_accuracy", dataset, seeds="1", note=note),
        Column(curve, "test_accuracy", dataset, kind="curve", seeds="1", note=note),
        Column(params, "params", dataset),
        Column(flops, "macs", dataset, note="as published under flops"),
        Column(seeds, "seed"),
        Column(_earlier(encoded["key"]), "duplicate", note="earlier rows of the same class"),
        *(Column(values, name, unit="setting") for name, values in settings.items()),
    ]
    varying = [name for name, values in settings.items() if len(np.unique(values)) > 1]
    return (
        encoded,
        columns,
        {"nds_file": path.stem, "varying": varying, "parts": {part: len(group) for part, group in parts.items()}},
    )


def _setting(record: dict[str, Any], name: str) -> float:
    net, optim = record["net"], record["optim"]
    return {
        "width": net.get("width"),
        "depth": net.get("depth"),
        "auxiliary_head": float(bool(net.get("aux"))),
        "learning_rate": optim.get("base_lr"),
        "weight_decay": optim.get("wd"),
        "train_epochs": optim.get("max_ep", len(record["test_ep_top1"])),
    }[name]


def _curve(errors: Any) -> np.ndarray:
    """Errors after every epoch, float64 [epochs]."""
    curve = np.array(errors, np.float64)
    if curve.ndim != 1 or not len(curve):
        raise ValueError("test_ep_top1 is no list of errors")
    return curve


def _earlier(keys: list[str]) -> np.ndarray:
    """For every row the number of rows before it with the same key, int32."""
    seen: Counter[str] = Counter()
    out = np.zeros(len(keys), np.int32)
    for row, key in enumerate(keys):
        out[row] = seen[key]
        seen[key] += 1
    return out
