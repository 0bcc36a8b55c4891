"""NAS-Bench-101 from nothing: all 423,624 cells, their hashes and parameters, compared with the published table.

    python perf/benchmarks_enumeration.py /folder/with/nasbench101.parquet --workers 2

Without a folder the comparison is left out.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np

from nas_lightning.spaces import nasbench101_graph as graph
from nas_lightning.spaces.nasbench101_costs import nasbench101_cost
from nas_lightning.spaces.nasbench101_hashes import module_hashes


def compare(folder: Path, cells: tuple[np.ndarray, ...], hashes: np.ndarray, params: np.ndarray) -> None:
    """Row for row: cells in ascending order of hash are the table's rows."""
    import pyarrow.parquet as pq

    halves = hashes.view(">u8")
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    table = pq.read_table(folder / "nasbench101.parquet")
    published = graph.pack(
        table["n_vertices"].to_numpy(),
        table["adj_bits"].to_numpy(),
        np.stack([table[f"op{i}"].to_numpy() for i in range(1, 6)], 1),
    )
    print(f"cells equal row for row: {np.array_equal(graph.pack(*cells)[order], published)}")
    print(f"parameters equal row for row: {np.array_equal(params[order], table['params'].to_numpy())}")
    digests = pq.read_table(folder / "nasbench101_hashes.parquet")["module_hash"].combine_chunks()
    digests = digests.chunk(0) if hasattr(digests, "chunk") else digests
    same = np.array_equal(hashes[order], np.frombuffer(digests.buffers()[1], np.uint8).reshape(-1, 16))
    print(f"hashes equal row for row: {same}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    wall, processor = time.perf_counter(), time.process_time()
    cells = graph.enumerate_cells()
    print(f"{len(cells[0])} cells enumerated in {time.process_time() - processor:.2f} s of processor time")
    hashes = module_hashes(*cells, workers=args.workers)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = time.process_time() - processor + children.ru_utime + children.ru_stime
    print(
        f"enumerated and hashed in {time.perf_counter() - wall:.1f} s with {args.workers} workers "
        f"({spent:.1f} s of processor time; target 30 s on 2 cores)"
    )
    started = time.process_time()
    params, _ = nasbench101_cost(*cells)
    print(f"parameters and multiply-accumulates of all cells in {time.process_time() - started:.2f} s")
    if args.folder:
        compare(args.folder, cells, hashes, params)


if __name__ == "__main__":
    main()
