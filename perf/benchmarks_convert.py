"""Converting an official-size NAS-Bench-101 file: time and peak memory, on a file written in the official layout.

    python perf/benchmarks_convert.py /tmp/folder            # 423,624 cells x 4 budgets x 3 runs, 2 GB
    python perf/benchmarks_convert.py /tmp/folder --cells 20000

The numbers in the file are made up; its framing, records and sizes are those of nasbench_full.tfrecord.
"""

from __future__ import annotations

import argparse
import base64
import json
import resource
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from nas_lightning.benchmarks import Benchmark
from nas_lightning.benchmarks.convert.nasbench101 import model_metrics
from nas_lightning.benchmarks.convert.tfrecord import masked_crc32c
from nas_lightning.spaces import NB101Architecture
from nas_lightning.spaces import nasbench101_graph as graph
from nas_lightning.spaces.nasbench101_costs import nasbench101_cost
from nas_lightning.spaces.nasbench101_hashes import module_hashes


def frame(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return b"".join((length, struct.pack("<I", masked_crc32c(length)), data, struct.pack("<I", masked_crc32c(data))))


def write(path: Path, cells: int) -> None:
    """A file in the official layout: cells x 4 budgets x 3 runs."""
    n, bits, operations = (part[:cells] for part in graph.enumerate_cells())
    hashes = module_hashes(n, bits, operations, workers=1)
    params, _ = nasbench101_cost(n, bits, operations)
    rng, message = np.random.default_rng(0), model_metrics()
    with path.open("wb") as file:
        for row in range(len(n)):
            size = int(n[row])
            arch = NB101Architecture(size, int(bits[row]), tuple(operations[row, : size - 2].tolist()))
            text, names = str(arch).split(":")
            for epochs in (4, 12, 36, 108):
                for value in rng.random(3).tolist():
                    metrics = message(trainable_parameters=int(params[row]), total_time=1000 * value)
                    for share in (0.0, 0.5, 1.0):
                        metrics.evaluation_data.add(
                            current_epoch=epochs * share,
                            training_time=1000 * value,
                            train_accuracy=value,
                            validation_accuracy=value,
                            test_accuracy=value,
                            checkpoint_path="",
                        )
                    raw = base64.b64encode(metrics.SerializeToString()).decode()
                    file.write(frame(json.dumps([bytes(hashes[row]).hex(), epochs, text, names, raw]).encode()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cells", type=int, default=423_624)
    args = parser.parse_args()
    source, out = args.folder / "nasbench_full.tfrecord", args.folder / "nasbench101_full.arrow"
    write(source, args.cells)
    print(f"wrote {source} ({source.stat().st_size / 1e9:.2f} GB)")
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "nas_lightning.benchmarks", "convert", "nasbench101", str(source), str(out)], check=True
    )
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"converted in {time.perf_counter() - started:.0f} s, peak memory {usage.ru_maxrss / 1e6:.2f} GB (target 2), "
        f"{out.stat().st_size / 1e6:.0f} MB"
    )
    started = time.perf_counter()
    table = Benchmark.open(out)
    table.query(table.encoding.architecture(7))
    print(f"opened and queried in {1000 * (time.perf_counter() - started):.1f} ms, budgets {table.epochs()}")


if __name__ == "__main__":
    main()
