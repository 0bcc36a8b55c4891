"""The reference hash of NAS-Bench-101 for arrays of cells: what `nasbench101_graph.module_hash` is for one cell.

The cost is in the md5 calls (57 per cell of seven vertices, some 0.7 µs each). Vertices of equal neighbourhood have
equal messages, within a cell by symmetry and between cells in the first rounds: each distinct message of a chunk is
digested once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from nas_lightning.spaces.nasbench101_graph import MAX_VERTICES, unpack

try:
    from _md5 import md5  # CPython's own: a quarter faster on short messages than the one that hashlib prefers
except ImportError:
    from hashlib import md5

_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_CHUNK = 16384
_MIX = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], np.uint64)  # odd, as in splitmix64


def module_hashes(
    n_vertices: np.ndarray,
    adj_bits: np.ndarray,
    operations: np.ndarray,
    workers: int = 1,
    progress: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Reference hashes of full cells, uint8 [N, 16]: n_vertices [N], adj_bits [N], operations [N, 5].

    Complexity: 8 digests a vertex at most, some 50 µs a cell on one core. `workers` processes share the chunks (a
    script that asks for several needs the usual ``if __name__ == "__main__"``). `progress` hears the share done.

    Args:
        n_vertices: [N].
        adj_bits: [N].
        operations: int8 [N, 5]; −1 where a vertex is absent.
        workers: processes.
        progress: is told the share that is done, from 0 to 1.

    Returns:
        uint8 [N, 16].
    """
    out = np.zeros((len(n_vertices), 16), np.uint8)
    parts = [
        (n, rows[i : i + _CHUNK])
        for n in range(2, MAX_VERTICES + 1)
        for rows in [np.flatnonzero(np.asarray(n_vertices) == n)]
        for i in range(0, len(rows), _CHUNK)
    ]
    tasks = [(n, np.asarray(adj_bits)[rows], np.asarray(operations)[rows]) for n, rows in parts]
    done = 0
    for (_, rows), digests in zip(parts, _results(tasks, workers), strict=True):
        out[rows] = digests
        done += len(rows)
        if progress:
            progress(done / len(n_vertices))
    return out


def _results(tasks: list[tuple[int, np.ndarray, np.ndarray]], workers: int) -> Iterator[np.ndarray]:
    if workers <= 1 or len(tasks) <= 1:
        yield from map(_hash_chunk, tasks)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_hash_chunk, tasks)


def _hash_chunk(task: tuple[int, np.ndarray, np.ndarray]) -> np.ndarray:
    """Digests uint8 [N, 16] of cells that all have n vertices."""
    n, bits, operations = task
    count = len(bits)
    edges = unpack(bits, n)
    adjacency = np.zeros((count, n, n), bool)  # [cell, source, target]
    for y in range(n):
        for x in range(y):
            adjacency[:, x, y] = edges[:, x + y * (y - 1) // 2]
    n_sources, n_targets = adjacency.sum(1), adjacency.sum(2)
    labels = np.concatenate([np.full((count, 1), -1), operations[:, : n - 2], np.full((count, 1), -2)], 1)
    triples, inverse = np.unique(
        np.stack([n_targets, n_sources, labels], -1).reshape(-1, 3), axis=0, return_inverse=True
    )
    first = _digest([str((int(a), int(b), int(c))).encode() for a, b, c in triples])
    state = first[inverse.reshape(count, n)]  # [cell, vertex, 16]
    into = np.ascontiguousarray(adjacency.transpose(0, 2, 1))  # [cell, vertex, its sources]
    for _ in range(n):
        state = _round(state, into, adjacency, n_sources=n_sources.reshape(-1), n_targets=n_targets.reshape(-1))
    text = np.take_along_axis(_hexadecimal(state), _order(state)[:, :, None], 1)
    # str() of the sorted list of hashes: ['…', '…']
    quoted = np.full((count, n, 36), ord("'"), np.uint8)
    quoted[:, :, 1:33] = text
    quoted[:, :, 34], quoted[:, :, 35] = ord(","), ord(" ")
    listed = np.full((count, 36 * n), ord("["), np.uint8)
    listed[:, 1:-1] = quoted.reshape(count, 36 * n)[:, :-2]
    listed[:, -1] = ord("]")
    return _digest_rows(listed)


def _round(
    state: np.ndarray, into: np.ndarray, out_of: np.ndarray, n_sources: np.ndarray, n_targets: np.ndarray
) -> np.ndarray:
    """Every vertex becomes the digest of its sorted sources, sorted targets and itself: uint8 [N, n, 16] to the same.

    Equal messages are found by a 64-bit sum over digest halves (md5 outputs, so sums are as good as random; in the
    whole space none collide, which the row-for-row test against the published hashes shows for good).
    """
    count, n, _ = state.shape
    keys = np.ascontiguousarray(state).view("<u8")[:, :, 0]
    sums = keys * _MIX[0]
    mixed = np.stack([keys * _MIX[1] ^ (keys >> np.uint64(31)), keys * _MIX[2] ^ (keys >> np.uint64(29))])
    for v in range(n):
        for w in range(n):
            if v != w:
                sums[:, v] += mixed[int(w > v), :, w] * (into if w < v else out_of)[:, v, w]
    _, first, inverse = np.unique(sums.reshape(-1), return_index=True, return_inverse=True)
    order = _order(state)
    cell = first // n
    # neighbours in hexadecimal order of their state, listed one vertex after the other
    sources = _listed(into.reshape(-1, n)[first], order[cell], cell * n)
    targets = _listed(out_of.reshape(-1, n)[first], order[cell], cell * n)
    text = _hexadecimal(state).reshape(-1, 32).view("V32")[:, 0]  # whole texts move faster than their letters
    source_text, target_text, own = (
        np.take(text, where).view(np.uint8).reshape(-1, 32) for where in (sources, targets, first)
    )
    a, b = n_sources[first], n_targets[first]
    source_start, target_start = np.cumsum(a) - a, np.cumsum(b) - b
    digests = np.empty((len(first), 16), np.uint8)
    for kind in np.unique(a * n + b):
        i, j = divmod(int(kind), n)
        rows = np.flatnonzero((a == i) & (b == j))
        message = np.full((len(rows), 32 * (i + j + 1) + 2), ord("|"), np.uint8)
        message[:, : 32 * i] = source_text[source_start[rows, None] + np.arange(i)].reshape(len(rows), 32 * i)
        message[:, 32 * i + 1 : 32 * (i + j) + 1] = target_text[target_start[rows, None] + np.arange(j)].reshape(
            len(rows), 32 * j
        )
        message[:, -32:] = own[rows]
        digests[rows] = _digest_rows(message)
    return np.take(digests.view("V16")[:, 0], inverse).view(np.uint8).reshape(count, n, 16)


def _order(state: np.ndarray) -> np.ndarray:
    """Order of the vertices of each cell by digest, [N, n]; hexadecimal text sorts as the bytes do."""
    high, low = np.ascontiguousarray(state).view(">u8").astype(np.uint64).transpose(2, 0, 1)
    order = np.argsort(high, 1)
    ranked_high, ranked_low = np.take_along_axis(high, order, 1), np.take_along_axis(low, order, 1)
    if ((ranked_high[:, 1:] == ranked_high[:, :-1]) & (ranked_low[:, 1:] != ranked_low[:, :-1])).any():
        return np.lexsort((low, high), 1)
    return order


def _listed(neighbours: np.ndarray, order: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Neighbours (bool [M, n]) of M vertices in the order given (int [M, n]), plus offsets [M], as one flat list."""
    rows, places = np.nonzero(np.take_along_axis(neighbours, order, 1))
    return order[rows, places] + offsets[rows]


def _hexadecimal(digests: np.ndarray) -> np.ndarray:
    """uint8 [..., 16] to lower-case text, uint8 [..., 32]."""
    return np.stack([_HEX[digests >> 4], _HEX[digests & 15]], -1).reshape(*digests.shape[:-1], 32)


def _digest(messages: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join([md5(message).digest() for message in messages]), np.uint8).reshape(-1, 16)


def _digest_rows(rows: np.ndarray) -> np.ndarray:
    """md5 of every row of bytes, uint8 [N, L] to uint8 [N, 16]."""
    width, blob = rows.shape[1], rows.tobytes()
    return _digest([blob[i : i + width] for i in range(0, len(blob), width)])
