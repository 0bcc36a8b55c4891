"""Graphs of NAS-Bench-101 cells as integers: pruning, relabelling and the reference hash, for one cell and for arrays.

A graph of n vertices is (n, adj_bits): the edge x->y, x < y, is present iff bit ``x + y (y - 1) / 2`` is set, so the
predecessors of y are y adjacent bits. Vertex 0 is the input, vertex n - 1 the output. A *full* graph is one in which
every vertex lies on a path from input to output; pruning makes a graph full.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import md5
from itertools import permutations

import numpy as np

MAX_VERTICES = 7
MAX_EDGES = 9
_FORBIDDEN = 1 << 22  # weight of an edge that a permutation would turn round; larger than any adj_bits


def predecessors(n: int, bits: int) -> list[int]:
    """Bit mask of the direct predecessors of every vertex.

    Args:
        n: vertices.
        bits: edges as one number, `adj_bits`.

    Returns:
        One mask a vertex, bit i for vertex i.
    """
    return [(bits >> (y * (y - 1) // 2)) & ((1 << y) - 1) for y in range(n)]


def prune(n: int, bits: int) -> tuple[int, int, tuple[int, ...]] | None:
    """Drop the vertices on no input-output path: (n, adj_bits, kept vertices), or None where output is cut off.

    Args:
        n: vertices.
        bits: edges as one number, `adj_bits`.

    Returns:
        Of the pruned graph, or None.
    """
    before = predecessors(n, bits)
    reached = 1
    for y in range(1, n):
        if before[y] & reached:
            reached |= 1 << y
    if not reached >> (n - 1):
        return None
    used = 1 << (n - 1)
    for y in range(n - 1, 0, -1):
        if used >> y & 1:
            used |= before[y]
    kept = used & reached
    if kept == (1 << n) - 1:
        return n, bits, tuple(range(n))
    vertices = tuple(v for v in range(n) if kept >> v & 1)
    out = 0
    for y, vertex in enumerate(vertices):
        for x in range(y):
            if before[vertex] >> vertices[x] & 1:
                out |= 1 << (x + y * (y - 1) // 2)
    return len(vertices), out, vertices


@lru_cache(maxsize=8)
def relabelings(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Permutations of the interior vertices as weights: edge weights int64 [P, n(n-1)/2], place weights [P, n-2].

    Permutation p takes a graph to adj_bits ``edge_weights[p] @ edges`` (at least 2**22 where an edge would point
    backwards) and its operations, read as a base-3 number, to ``place_weights[p] @ operations``.

    Args:
        n: vertices.

    Returns:
        One row a permutation, (edge weights, place weights).
    """
    edge_weights, place_weights = [], []
    for image in permutations(range(1, n - 1)):
        new = (0, *image, n - 1)
        edge_weights.append(
            [
                1 << (new[x] + new[y] * (new[y] - 1) // 2) if new[x] < new[y] else _FORBIDDEN
                for y in range(n)
                for x in range(y)
            ]
        )
        place_weights.append([3 ** (n - 2 - vertex) for vertex in image])
    return (
        np.array(edge_weights, np.int64).reshape(len(edge_weights), n * (n - 1) // 2),
        np.array(place_weights, np.int64).reshape(len(place_weights), n - 2),
    )


@lru_cache(maxsize=8)
def _joint_weights(n: int) -> np.ndarray:
    """Edge and place weights of all relabelings in one, so that one minimum orders by adj_bits, then operations."""
    edge_weights, place_weights = relabelings(n)
    return np.concatenate([edge_weights * 3 ** (n - 2), place_weights], axis=1)


def unpack(bits: np.ndarray, n: int) -> np.ndarray:
    """adj_bits [N] to edges, uint8 [N, n(n-1)/2].

    Args:
        bits: `adj_bits`, [N].
        n: vertices.

    Returns:
        0 or 1 a possible edge, in the order of the bits.
    """
    shifts = np.arange(n * (n - 1) // 2, dtype=np.int64)
    return ((np.asarray(bits, np.int64)[:, None] >> shifts) & 1).astype(np.uint8)


def canonical(n: int, bits: int, operations: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """Smallest (adj_bits, operations) among the relabelings of a full graph.

    Args:
        n: vertices.
        bits: edges as one number, `adj_bits`.
        operations: of the interior vertices, n − 2.

    Returns:
        The pair.
    """
    if n <= 3:
        return bits, operations
    weights = _joint_weights(n)
    present = [i for i in range(n * (n - 1) // 2) if bits >> i & 1]
    joint = weights[:, present].sum(1)
    edges = n * (n - 1) // 2
    for place, op in enumerate(operations):
        if op:
            joint = joint + op * weights[:, edges + place]
    new_bits, code = divmod(int(joint.min()), 3 ** (n - 2))
    return new_bits, operations_from_code(code, n)


def operations_from_code(code: int, n: int) -> tuple[int, ...]:
    """Digits of a base-3 operation code, first vertex first.

    Args:
        code: operations as one number.
        n: vertices.

    Returns:
        n − 2 of 0, 1, 2.
    """
    return tuple(code // 3 ** (n - 3 - i) % 3 for i in range(n - 2))


def full_graphs(n: int) -> np.ndarray:
    """adj_bits of every labelled full graph of n vertices and at most 9 edges, ascending, int64.

    Args:
        n: vertices.

    Returns:
        int64 [graphs].
    """
    bits = np.arange(1 << (n * (n - 1) // 2), dtype=np.int64)
    bits = bits[np.bitwise_count(bits) <= MAX_EDGES]
    used = np.zeros(len(bits), np.int64)
    wired = np.ones(len(bits), bool)
    for y in range(1, n):
        before = (bits >> (y * (y - 1) // 2)) & ((1 << y) - 1)
        wired &= before > 0
        used |= before
    return bits[wired & (used == (1 << (n - 1)) - 1)]


@lru_cache(maxsize=1)
def unlabelled_graphs() -> list[tuple[int, int, np.ndarray, int]]:
    """Every full graph up to isomorphism: (n, smallest adj_bits, automorphisms, number of distinct labellings).

    Automorphisms are rows of `relabelings(n)[1]`, int64 [A, n-2]; labellings count operations up to automorphism
    (Burnside: the mean over automorphisms of 3 to the number of cycles). Some 0.3 s, then cached.

    Returns:
        One entry a graph.
    """
    graphs = []
    for n in range(2, MAX_VERTICES + 1):
        edge_weights, place_weights = relabelings(n)
        cycles = [_cycles([n - 2 - round(np.log(w) / np.log(3)) - 1 for w in row]) for row in place_weights]
        labellings = full_graphs(n)
        for start in range(0, len(labellings), 4096):
            bits = labellings[start : start + 4096]
            # float64 holds these sums exactly (below 2**31) and multiplies far faster than int64
            images = unpack(bits, n).astype(np.float64) @ edge_weights.T.astype(np.float64)
            for row in np.flatnonzero(images.min(1) == bits):
                automorphisms = np.flatnonzero(images[row] == bits[row])
                count = sum(3 ** cycles[p] for p in automorphisms) // len(automorphisms)
                graphs.append((n, int(bits[row]), place_weights[automorphisms], count))
    return graphs


def _cycles(image: list[int]) -> int:
    """Number of cycles of a permutation of range(len(image))."""
    seen: set[int] = set()
    count = 0
    for start in range(len(image)):
        if start not in seen:
            count += 1
            vertex = start
            while vertex not in seen:
                seen.add(vertex)
                vertex = image[vertex]
    return count


def enumerate_cells() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All canonical cells: n_vertices uint8 [N], adj_bits uint32 [N], operations int8 [N, 5], -1 where absent.

    N = 423,624, ordered by (n_vertices, adj_bits, operations). A labelling is canonical exactly when no automorphism of
    its (smallest) graph gives it a smaller operation code.

    Returns:
        (n_vertices, adj_bits, operations).
    """
    vertices, adjacency, operations = [], [], []
    for n, bits, automorphisms, _ in unlabelled_graphs():
        digits = np.stack(np.unravel_index(np.arange(3 ** (n - 2)), (3,) * (n - 2)), 1) if n > 2 else np.zeros((1, 0))
        images = digits.astype(np.int64) @ automorphisms.T
        kept = digits[images.min(1) == np.arange(len(digits))]
        padded = np.full((len(kept), 5), -1, np.int8)
        padded[:, : n - 2] = kept
        vertices.append(np.full(len(kept), n, np.uint8))
        adjacency.append(np.full(len(kept), bits, np.uint32))
        operations.append(padded)
    return np.concatenate(vertices), np.concatenate(adjacency), np.concatenate(operations)


def pack(n_vertices: np.ndarray, adj_bits: np.ndarray, operations: np.ndarray) -> np.ndarray:
    """One integer per cell, int64 [N]: ``(n << 21 | adj_bits) * 243 + operations`` (absent ones as 0), below 2**32.

    Two canonical cells are isomorphic exactly when these are equal.

    Args:
        n_vertices: [N].
        adj_bits: [N].
        operations: int8 [N, 5]; −1 where a vertex is absent.

    Returns:
        int64 [N].
    """
    places = 3 ** np.arange(4, -1, -1, dtype=np.int64)
    code = np.maximum(np.asarray(operations, np.int64), 0) @ places
    return ((np.asarray(n_vertices, np.int64) << 21) | np.asarray(adj_bits, np.int64)) * 243 + code


def canonical_codes(n_vertices: np.ndarray, adj_bits: np.ndarray, operations: np.ndarray) -> np.ndarray:
    """`pack` of the canonical form of full graphs given as arrays, int64 [N]; some 2 million cells a second.

    Args:
        n_vertices: [N].
        adj_bits: [N].
        operations: int8 [N, 5]; −1 where a vertex is absent.

    Returns:
        int64 [N].
    """
    out = np.zeros(len(n_vertices), np.int64)
    for n in range(2, MAX_VERTICES + 1):
        rows = np.flatnonzero(np.asarray(n_vertices) == n)
        weights = _joint_weights(n).T.astype(np.float64)
        for start in range(0, len(rows), 8192):
            part = rows[start : start + 8192]
            features = np.concatenate([unpack(adj_bits[part], n), operations[part, : n - 2]], 1).astype(np.float64)
            joint = (features @ weights).min(1).astype(np.int64)
            bits, code = np.divmod(joint, 3 ** (n - 2))
            out[part] = ((n << 21) | bits) * 243 + code * 3 ** (7 - n)
    return out


def module_hash(n: int, bits: int, operations: tuple[int, ...]) -> str:
    """The reference hash of a full graph, 32 hexadecimal digits (NAS-Bench-101, `graph_util.hash_module`).

    Vertices start from (out-degree, in-degree, label), labels -1 input, -2 output; n rounds replace each by the md5 of
    its sorted in-neighbours, sorted out-neighbours and itself; the sorted list is hashed once more.

    Args:
        n: vertices.
        bits: edges as one number, `adj_bits`.
        operations: of the interior vertices, n − 2.

    Returns:
        32 hexadecimal digits.
    """
    sources: list[list[int]] = [[] for _ in range(n)]
    targets: list[list[int]] = [[] for _ in range(n)]
    for y, mask in enumerate(predecessors(n, bits)):
        for x in range(y):
            if mask >> x & 1:
                sources[y].append(x)
                targets[x].append(y)
    labels = (-1, *operations, -2)
    state = [md5(str((len(targets[v]), len(sources[v]), labels[v])).encode()).hexdigest() for v in range(n)]
    for _ in range(n):
        state = [
            md5(
                f"{''.join(sorted([state[w] for w in sources[v]]))}|"
                f"{''.join(sorted([state[w] for w in targets[v]]))}|{state[v]}".encode()
            ).hexdigest()
            for v in range(n)
        ]
    return md5(str(sorted(state)).encode()).hexdigest()
