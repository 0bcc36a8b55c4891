"""NAS-Bench-201 from its official files: v1.0 and v1.1 (.pth), NATS-Bench topology (.pickle.pbz2, one or a folder).

All hold, for each architecture, results by budget (12 or 200 epochs; "less" and "full" in the older files), data set
and seed, with accuracies in percent under ``<split>@<epoch>``. The seeds are kept apart, in ascending order.
"""

from __future__ import annotations

import bz2
import hashlib
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.benchmarks.column import Column
from nas_lightning.benchmarks.convert import restricted
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.spaces import ArchitectureError, NB201Space

BUDGETS = {"12": 12, "less": 12, "200": 200, "full": 200}
# official set -> (training protocol, our data set, split); test accuracy of CIFAR-10 is that of train + validation
_SPLITS = (
    ("cifar10-valid", "x-valid", "cifar10", "validation"),
    ("cifar10", "ori-test", "cifar10", "test"),
    ("cifar100", "x-valid", "cifar100", "validation"),
    ("cifar100", "x-test", "cifar100", "test"),
    ("ImageNet16-120", "x-valid", "imagenet16_120", "validation"),
    ("ImageNet16-120", "x-test", "imagenet16_120", "test"),
)
_TRAINED = {"cifar10": "cifar10-valid", "cifar100": "cifar100", "imagenet16_120": "ImageNet16-120"}
_MAGIC = 0x1950A86A20F9469CFC6C.to_bytes(10, "little")  # the first pickle of torch's older form
_MAX_FILE = 2**26  # bytes of one unpacked file of the folder form; official ones have less than one million
_MEMORY_FACTOR = {".pth": 6, ".pbz2": 20}  # measured: memory of the unpickled objects over the size of the file


class _Collector:
    """Numbers of all architectures, by (data set, quantity, epochs): row -> one value for each seed."""

    def __init__(self, curves: bool) -> None:
        self.with_curves = curves
        self.curves: dict[tuple[str, str], dict[int, np.ndarray]] = {}
        self.archs: dict[int, str] = {}
        self.runs: dict[tuple[str, str, int], dict[int, list[float]]] = {}
        self.costs: dict[tuple[str, str], dict[int, float]] = {}

    def add(self, index: int, arch: str, budgets: Mapping[str, Any]) -> None:
        self.archs[index] = arch
        for budget, state in budgets.items():
            epochs = BUDGETS.get(str(budget))
            if epochs is None:
                continue
            results, seeds = state["all_results"], state["dataset_seed"]
            for official, split, dataset, name in _SPLITS:
                for seed in sorted(seeds.get(official, ())):
                    run = results[official, seed]
                    accuracies = run["eval_acc1es"]
                    key = f"{split}@{run['epochs'] - 1}"
                    if key in accuracies:
                        self._put(dataset, f"{name}_accuracy", epochs, index, value=float(accuracies[key]) / 100)
                if self.with_curves and epochs == 200 and seeds.get(official):
                    self._curve(
                        dataset,
                        f"{name}_accuracy",
                        index,
                        split=split,
                        runs=[results[official, seed] for seed in seeds[official]],
                    )
            for dataset, official in _TRAINED.items():
                for seed in sorted(seeds.get(official, ())):
                    self._training(dataset, epochs, index, results[official, seed])

    def _curve(self, dataset: str, quantity: str, index: int, split: str, runs: list[Mapping[str, Any]]) -> None:
        """Mean over seeds of the accuracy after every epoch, float32 [epochs], NaN where it was not evaluated."""
        each = [[run["eval_acc1es"].get(f"{split}@{epoch}", np.nan) for epoch in range(run["epochs"])] for run in runs]
        self.curves.setdefault((dataset, quantity), {})[index] = (np.mean(each, 0) / 100).astype(np.float32)

    def _training(self, dataset: str, epochs: int, index: int, run: Mapping[str, Any]) -> None:
        self._put(dataset, "train_accuracy", epochs, index, value=float(run["train_acc1es"][run["epochs"] - 1]) / 100)
        times = run.get("train_times")
        if times:
            self._put(dataset, "train_seconds", epochs, index, value=float(sum(times.values())))
        latency = run.get("latency")
        if latency and epochs == 200:
            self._put(dataset, "official_latency_ms", 200, index, value=1000 * sum(latency) / len(latency))
        self.costs.setdefault((dataset, "params"), {})[index] = float(run["params"]) * 1e6
        self.costs.setdefault((dataset, "macs"), {})[index] = float(run["flop"]) * 1e6

    def _put(self, dataset: str, quantity: str, epochs: int, index: int, value: float) -> None:
        self.runs.setdefault((dataset, quantity, epochs), {}).setdefault(index, []).append(value)

    def finish(self) -> tuple[dict[str, Any], list[Column]]:
        order = sorted(self.archs)
        space = NB201Space()
        archs = [space.parse(self.archs[i]) for i in order]
        columns = []
        for (dataset, quantity, epochs), rows in self.runs.items():
            width = max(len(values) for values in rows.values())
            table = np.full((len(order), width), np.nan)
            for place, index in enumerate(order):
                table[place, : len(rows.get(index, ()))] = rows.get(index, ())
            columns.append(
                Column(
                    table,
                    quantity,
                    dataset,
                    epochs=epochs,
                    kind="seeds",
                    seeds=f"up to {width}",
                    note="given in percent, divided by 100" if quantity.endswith("accuracy") else None,
                )
            )
        for (dataset, quantity), lines in self.curves.items():
            blank = np.full(max(map(len, lines.values())), np.nan, np.float32)
            columns.append(
                Column(
                    np.stack([lines.get(index, blank) for index in order]),
                    quantity,
                    dataset,
                    kind="curve",
                    seeds="mean of the runs",
                    note="given in percent, divided by 100",
                )
            )
        for (dataset, quantity), costs in self.costs.items():
            values = np.array([costs.get(index, np.nan) for index in order])
            columns.append(
                Column(
                    np.round(values).astype(np.int64) if np.isfinite(values).all() else values,
                    quantity,
                    dataset,
                    note="given in millions",
                )
            )
        return {"code": np.array([arch.code for arch in archs], np.int16)}, columns


def read(
    path: Path,
    memory_gb: float = 8.0,
    curves: bool = False,
    progress: Callable[[int], None] | None = None,
) -> tuple[dict[str, Any], list[Column], str]:
    """Architectures, columns, and the SHA-256 of the file (of all files, by name, for a folder).

    `curves` keeps the accuracy after each of the 200 epochs too, averaged over the seeds (75 MB more).
    Raises BenchmarkError for damaged or hostile files, and for one that would need more than `memory_gb`: the NATS
    folder form is read one architecture at a time in some 100 MB.
    """
    collector = _Collector(curves)
    digest = hashlib.sha256()
    try:
        if path.is_dir():
            for index, state in _folder(path, digest, progress):
                collector.add(index, _arch_of(state, index), state)
        else:
            data = single(path, memory_gb, digest, progress)
            names = data["meta_archs"]
            for index in sorted(data["arch2infos"]):
                collector.add(int(index), names[index], data["arch2infos"].pop(index))
        if not collector.archs:
            raise BenchmarkError(f"{path} holds no architectures; give the official file or folder")
        encoded, columns = collector.finish()
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, ArchitectureError) as error:
        if isinstance(error, BenchmarkError):
            raise
        raise BenchmarkError(
            f"{path} does not have the layout of NAS-Bench-201 or NATS-Bench topology "
            f"({type(error).__name__}: {str(error)[:120]}); give the official file"
        ) from None
    return encoded, columns, digest.hexdigest()


def _arch_of(state: Mapping[str, Any], index: int) -> str:
    first = next(iter(state.values()), None)
    if first is None:
        raise BenchmarkError(f"architecture {index} of the folder has no results; give the official folder")
    arch = first["arch_str"]
    expected = str(NB201Space().from_index(index))
    if arch != expected:
        raise BenchmarkError(
            f"architecture {index} is {arch} in the folder but {expected} in NAS-Bench-201; give the official folder"
        )
    return arch


def _folder(path: Path, digest: Any, progress: Callable[[int], None] | None) -> Iterator[tuple[int, Mapping[str, Any]]]:
    files = sorted(p for p in path.iterdir() if re.fullmatch(r"\d{6}\.pickle\.pbz2", p.name))
    if not files:
        raise BenchmarkError(
            f"{path} holds no files like 000000.pickle.pbz2; give the unpacked NATS-Bench topology folder"
        )
    done = 0
    for file in files:
        packed = file.read_bytes()
        digest.update(file.name.encode() + packed)
        unpack = bz2.BZ2Decompressor()
        try:
            raw = unpack.decompress(packed, _MAX_FILE)
        except (OSError, ValueError, EOFError):
            raw = b""
        if not unpack.eof:
            raise BenchmarkError(f"{file} is damaged, incomplete or far too large; fetch it again")
        yield int(file.name[:6]), restricted.load(raw, str(file))
        done += len(packed)
        if progress:
            progress(done)


def single(path: Path, memory_gb: float, digest: Any, progress: Callable[[int], None] | None) -> Any:
    need = path.stat().st_size * _MEMORY_FACTOR.get(path.suffix, 6) / 1e9
    if need > memory_gb:
        raise BenchmarkError(
            f"{path.name} would need about {need:.0f} GB of memory (limit {memory_gb:g}): convert the "
            "folder form of NATS-Bench topology (NATS-tss-v1_0-3ffb9-simple), which is read file by "
            f"file, or allow it with --memory-gb {need:.0f}"
        )
    with path.open("rb") as file:
        while block := file.read(2**22):
            digest.update(block)
            if progress:
                progress(file.tell())
    limit = int(2 * memory_gb * 2**30)  # the reader counts generously
    if path.suffix == ".pbz2":
        with bz2.open(path) as stream:
            return restricted.load(stream, str(path), memory=limit)
    if zipfile.is_zipfile(path):
        return _zipped(path, limit)
    with path.open("rb") as stream:  # torch's older form: magic number, version, system facts, then the object
        if _MAGIC not in stream.read(32):
            raise BenchmarkError(f"{path} is no file that torch.save wrote; give the official .pth")
        stream.seek(0)
        return restricted.load_all(stream, str(path), 4, memory=limit)[3]


def _zipped(path: Path, limit: int) -> Any:
    """The pickle in the archive that torch.save writes."""
    try:
        with zipfile.ZipFile(path) as archive:
            inner = [name for name in archive.namelist() if name.endswith("data.pkl")]
            if len(inner) != 1:
                raise BenchmarkError(f"{path} is no file that torch.save wrote; give the official .pth")
            with archive.open(inner[0]) as stream:
                return restricted.load(stream, str(path), memory=limit)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, EOFError, OSError) as error:
        raise BenchmarkError(f"{path} is damaged or incomplete ({str(error)[:80]}); fetch it again") from None
