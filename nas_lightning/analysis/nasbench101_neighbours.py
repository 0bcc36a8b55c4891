"""The neighbour graph of all NAS-Bench-101 cells with whole arrays: the same neighbours as `NB101Space.neighbours`.

Changes of a pruned cell of n vertices: another operation on a vertex; an edge added or removed between any ordered pair
that leaves the cell acyclic; below 7 vertices a new vertex with one edge in and one out. A changed cell is brought to
its canonical form by taking the smallest code over all orders of its interior vertices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import permutations

import numpy as np

from nas_lightning.analysis.neighbourhood import Neighbourhood
from nas_lightning.benchmarks import Benchmark
from nas_lightning.spaces import nasbench101_graph as graph

_BACKWARDS = float(1 << 40)  # weight of an edge that an order turns round; larger than any code
_CHUNK = 4096


@lru_cache(maxsize=8)
def _weights(n: int) -> np.ndarray:
    """Code weights of every order of the interior vertices, float64 [n * n + n - 2, (n - 2)!].

    The first n * n rows belong to the edges x->y at ``x * n + y``, the others to the interior operations; the code is
    ``adj_bits * 3**(n - 2) + operations``, exact in float64.
    """
    columns = []
    for image in permutations(range(1, n - 1)):
        new = (0, *image, n - 1)
        edges = [
            float((1 << (new[x] + new[y] * (new[y] - 1) // 2)) * 3 ** (n - 2)) if new[x] < new[y] else _BACKWARDS
            for x in range(n)
            for y in range(n)
        ]
        columns.append([*edges, *(float(3 ** (n - 2 - vertex)) for vertex in image)])
    return np.array(columns).T


def _canonical(adjacency: np.ndarray, operations: np.ndarray) -> np.ndarray:
    """Packed code of full cells, int64 [N], -1 for cyclic ones: adjacency bool [N, n, n], operations int [N, n - 2]."""
    n = adjacency.shape[1]
    features = np.concatenate([adjacency.reshape(len(adjacency), n * n), operations], axis=1).astype(np.float64)
    joint = (features @ _weights(n)).min(axis=1)
    cyclic = joint >= _BACKWARDS
    bits, code = np.divmod(np.where(cyclic, 0, joint).astype(np.int64), 3 ** (n - 2))
    return np.where(cyclic, -1, ((n << 21) | bits) * 243 + code * 3 ** (7 - n))


def _pruned(adjacency: np.ndarray, operations: np.ndarray) -> np.ndarray:
    """Packed code of acyclic cells that may have vertices on no path, int64 [N]; -1 where the output is cut off."""
    n = adjacency.shape[1]
    ahead = adjacency.astype(np.uint8)
    reached, used = np.zeros((2, len(ahead), n), np.uint8)
    reached[:, 0] = used[:, -1] = 1
    for _ in range(n - 1):
        reached |= np.einsum("ij,ijk->ik", reached, ahead) > 0
        used |= np.einsum("ijk,ik->ij", ahead, used) > 0
    kept = (reached & used).astype(bool)
    out = np.full(len(ahead), -1, np.int64)
    alive = reached[:, -1].astype(bool)
    masks = kept @ (1 << np.arange(n))
    for mask in np.unique(masks[alive]):
        rows = np.flatnonzero(alive & (masks == mask))
        vertices = np.flatnonzero(mask >> np.arange(n) & 1)
        part = adjacency[np.ix_(rows, vertices, vertices)]
        out[rows] = _canonical(part, operations[np.ix_(rows, vertices[1:-1] - 1)])
    return out


def _changed(adjacency: np.ndarray, operations: np.ndarray) -> Iterator[np.ndarray]:
    """Packed codes int64 [N] after every change, -1 where the change gives no valid cell."""
    n, edges = adjacency.shape[1], adjacency.sum(axis=(1, 2))
    for vertex in range(n - 2):
        for shift in (1, 2):
            other = operations.copy()
            other[:, vertex] = (other[:, vertex] + shift) % 3
            yield _canonical(adjacency, other)
    for x in range(n - 1):
        for y in range(1, n):
            if x == y:
                continue
            flipped = adjacency.copy()
            flipped[:, x, y] ^= True
            out = np.full(len(adjacency), -1, np.int64)
            removed = adjacency[:, x, y]
            added = ~removed & (edges < graph.MAX_EDGES)
            if removed.any():
                out[removed] = _pruned(flipped[removed], operations[removed])
            if added.any():
                out[added] = _canonical(flipped[added], operations[added])
            yield out
    if n == graph.MAX_VERTICES:
        return
    fits = np.flatnonzero(edges + 2 <= graph.MAX_EDGES)
    grown = np.zeros((len(fits), n + 1, n + 1), bool)  # the new vertex is n - 1, the output moves up
    places = [*range(n - 1), n]
    grown[np.ix_(range(len(fits)), places, places)] = adjacency[fits]
    for x in range(n - 1):
        for y in range(1, n):
            if x == y:
                continue
            wired = grown.copy()
            wired[:, x, n - 1] = wired[:, n - 1, n if y == n - 1 else y] = True
            for op in range(3):
                out = np.full(len(adjacency), -1, np.int64)
                out[fits] = _canonical(wired, np.concatenate([operations[fits], np.full((len(fits), 1), op)], axis=1))
                yield out


def nasbench101_neighbourhood(table: Benchmark, track: Callable[[range], Iterable[int]] = iter) -> Neighbourhood:
    """Neighbours of every row of a NAS-Bench-101 table; complete where the table holds all 423,624 classes."""
    cells = [(arch.n_vertices, arch.adj_bits, arch.operations) for arch in table.architectures()]
    sizes = np.array([n for n, _, _ in cells])
    found: list[np.ndarray] = [np.zeros(0, np.int32)] * len(cells)
    complete = True
    chunks = [
        (n, rows[start : start + _CHUNK])
        for n in range(2, graph.MAX_VERTICES + 1)
        for rows in [np.flatnonzero(sizes == n)]
        for start in range(0, len(rows), _CHUNK)
    ]
    for number in track(range(len(chunks))):
        n, rows = chunks[number]
        bits = np.array([cells[row][1] for row in rows])
        adjacency = np.zeros((len(rows), n, n), bool)
        for y in range(1, n):
            for x in range(y):
                adjacency[:, x, y] = bits >> (x + y * (y - 1) // 2) & 1
        operations = np.array([cells[row][2] for row in rows], np.int64).reshape(len(rows), n - 2)
        codes = np.stack(list(_changed(adjacency, operations)), axis=1)
        neighbours = np.where(codes < 0, -1, table.find(np.maximum(codes, 0).ravel()).reshape(codes.shape))
        complete &= bool((neighbours[codes >= 0] >= 0).all())
        neighbours.sort(axis=1)
        fresh = (neighbours >= 0) & (neighbours != rows[:, None])
        fresh[:, 1:] &= neighbours[:, 1:] != neighbours[:, :-1]
        for row, own, keep in zip(rows.tolist(), neighbours, fresh, strict=True):
            found[row] = own[keep].astype(np.int32)
    degree = np.array([len(own) for own in found])
    return Neighbourhood(
        np.concatenate([[0], np.cumsum(degree)]),
        np.concatenate(found),
        complete,
        "an operation, an edge or a vertex of the pruned cell changed, up to isomorphism",
    )
