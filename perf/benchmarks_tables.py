"""Opening and asking tables: time, added memory, single and vectorised look-ups.

    python perf/benchmarks_tables.py /folder/with/nasbench101.parquet-and-nasbench201.parquet

Each table is converted into the cache once beforehand. "Open + first query" is measured in a fresh process, after
import, with warm file pages; memory is what the process's resident set grows by, mapped pages included. Look-ups are
in processor time, so that other programs on the machine do not count.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.benchmarks import Benchmark
from nas_lightning.ranking.correlation import kendall_tau
from nas_lightning.spaces import NB101Architecture
from nas_lightning.spaces import nasbench101_graph as graph


def resident_mb() -> float:
    """Resident set of this process in MB (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def first_query(path: str, text: str) -> dict[str, float]:
    """Open a table and read one accuracy; to be called once in a fresh process."""
    import pyarrow.parquet  # noqa: F401  (part of importing, not of opening)

    before, started, processor = resident_mb(), time.perf_counter(), time.process_time()
    accuracy = Benchmark.open(path).query(text).accuracy
    seconds, processor = time.perf_counter() - started, time.process_time() - processor
    return {
        "ms": 1000 * seconds,
        "processor_ms": 1000 * processor,
        "added_mb": resident_mb() - before,
        "accuracy": accuracy,
    }


def fresh(path: Path, text: str, repeats: int = 5) -> dict[str, float]:
    """Median over fresh processes."""
    runs = [
        json.loads(
            subprocess.run(
                [sys.executable, __file__, "--first", str(path), text], check=True, capture_output=True, text=True
            ).stdout
        )
        for _ in range(repeats)
    ]
    return {key: float(np.median([run[key] for run in runs])) for key in runs[0]}


def microseconds(ask: Callable[[Any], Any], questions: Sequence[Any]) -> float:
    """Processor time for one question."""
    ask(questions[0])
    started = time.process_time()
    for question in questions:
        ask(question)
    return 1e6 * (time.process_time() - started) / len(questions)


def millions_a_second(table: Benchmark, codes: np.ndarray) -> float:
    """Rate of vectorised look-ups of encoded architectures, accuracies gathered."""
    values = table.metric_values()
    table.find(codes[:10])
    started = time.process_time()
    out = values[table.find(codes)]
    seconds = time.process_time() - started
    assert np.isfinite(out).all()
    return len(codes) / seconds / 1e6


def report(path: Path, limit_ms: int) -> None:
    """Measure one table and print a line for each figure."""
    rng, name = np.random.default_rng(0), path.stem
    table = Benchmark.open(path)  # converts at the first time
    texts = [str(arch) for arch in table.sample(2000, 0)]
    first = fresh(path, texts[0])
    print(
        f"{name}: open + first query {first['ms']:.1f} ms, {first['processor_ms']:.1f} ms of processor time "
        f"(target {limit_ms}), "
        f"added memory {first['added_mb']:.1f} MB (target 60)"
    )
    print(
        f"{name}: query of a canonical string {microseconds(lambda text: table.query(text).accuracy, texts):.1f} µs "
        "(target 20)"
    )
    codes = rng.integers(0, 15625, 1_000_000)
    if table.space == "nasbench101":
        cells = [(arch.matrix, arch.operations) for arch in (table.domain.sample(rng) for _ in range(2000))]
        ask = microseconds(lambda cell: table.query(NB101Architecture.from_matrix(*cell)).accuracy, cells)
        print(f"{name}: query of an arbitrary 7x7 matrix {ask:.1f} µs (target 300)")
        codes = rng.permutation(graph.pack(*graph.enumerate_cells()))
        params, accuracy = table.values("params"), table.metric_values()
        started = time.process_time()
        tau = kendall_tau(params, accuracy)
        print(
            f"{name}: Kendall tau-b over {len(table)} pairs {time.process_time() - started:.2f} s (target 0.3), "
            f"parameters against accuracy {tau:.3f}"
        )
    print(
        f"{name}: vectorised {millions_a_second(table, codes):.1f} million look-ups a second in random order (target 1)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("text", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--first", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.first:
        print(json.dumps(first_query(str(args.folder), args.text)))
    else:
        report(args.folder / "nasbench201.parquet", 50)
        report(args.folder / "nasbench101.parquet", 150)


if __name__ == "__main__":
    main()
