from itertools import permutations

import numpy as np
import pytest
from scipy.stats import chisquare

from nas_lightning.spaces import ArchitectureError, NB101Architecture, NB101Space
from nas_lightning.spaces import nasbench101_graph as graph
from nas_lightning.spaces.nasbench101 import vertex_widths
from nas_lightning.spaces.nasbench101_hashes import module_hashes

SPACE = NB101Space()
# the cell of the nasbench README: Inception-like, hash and channels known from the reference implementation
INCEPTION = NB101Architecture.from_matrix(
    [
        [0, 1, 1, 1, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0],
    ],
    ["input", "conv1x1-bn-relu", "conv3x3-bn-relu", "conv3x3-bn-relu", "conv3x3-bn-relu", "maxpool3x3", "output"],
)


@pytest.fixture(scope="module")
def cells():
    return graph.enumerate_cells()


def arch_of(cells, row):
    n = int(cells[0][row])
    return NB101Architecture(n, int(cells[1][row]), tuple(cells[2][row, : n - 2].tolist()))


def test_matrix_and_edges_agree():
    rng = np.random.default_rng(0)
    for _ in range(20):
        arch = SPACE.sample(rng)
        assert {(int(x), int(y)) for x, y in np.argwhere(arch.matrix)} == set(arch.edges)
        assert NB101Architecture.from_matrix(arch.matrix, arch.operations) == arch


def test_both_text_forms():
    assert SPACE.parse(str(INCEPTION)) == INCEPTION
    labels = ["input", *(SPACE.operations[op] for op in INCEPTION.operations), "output"]
    assert SPACE.parse(str((INCEPTION.matrix.tolist(), labels))) == INCEPTION


@pytest.mark.parametrize(
    ("matrix", "operations", "message"),
    [
        ([[0, 1], [0]], [], "square"),
        ([[0, 2], [0, 0]], [], "zeros and ones"),
        ([[0, 1], [1, 0]], [], "upper-triangular"),
        ([[0, 0], [0, 0]], [], "not reachable"),
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], [], "tuple of 1 interior"),
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["conv5x5"], "no operation"),
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], [3], "no operation index"),
        ([[0]], [], "2 to 7 vertices"),
        (np.triu(np.ones((8, 8), int), 1), [0] * 6, "2 to 7 vertices"),
        (np.triu(np.ones((7, 7), int), 1), [0] * 5, "21 edges"),
    ],
)
def test_malformed_cells_are_named(matrix, operations, message):
    with pytest.raises(ArchitectureError, match=message):
        NB101Architecture.from_matrix(matrix, operations)


@pytest.mark.parametrize(
    "fields", [(7, -1, (0,) * 5), (7, 1 << 21, (0,) * 5), (2, 1, [0]), (2, True, ()), (2.0, 1, ())]
)
def test_malformed_fields(fields):
    with pytest.raises(ArchitectureError):
        NB101Architecture(*fields)


def test_edges_beyond_nine_are_allowed_where_pruning_removes_them():
    dense = np.triu(np.ones((7, 7), int), 1)
    dense[:, 6] = 0
    dense[0, 6] = 1
    arch = NB101Architecture.from_matrix(dense, [0] * 5)
    assert SPACE.canonical(arch) == NB101Architecture(2, 1, ())


def naive_canonical(arch):
    best = None
    arch = arch.pruned()
    n = arch.n_vertices
    for image in permutations(range(1, n - 1)):
        new = (0, *image, n - 1)
        if all(new[x] < new[y] for x, y in arch.edges):
            operations = [0] * (n - 2)
            for v in range(1, n - 1):
                operations[new[v] - 1] = arch.operations[v - 1]
            bits = sum(1 << (new[x] + new[y] * (new[y] - 1) // 2) for x, y in arch.edges)
            best = min(filter(None, (best, (bits, tuple(operations)))))
    return NB101Architecture(n, *best)


def test_canonical_is_the_smallest_relabelling():
    rng = np.random.default_rng(1)
    for _ in range(100):
        arch = SPACE.sample(rng)
        assert SPACE.canonical(arch) == naive_canonical(arch)


def test_enumeration_has_the_published_size_and_only_canonical_cells(cells):
    codes = graph.pack(*cells)
    assert len(codes) == len(np.unique(codes)) == SPACE.unique_size == 423624
    assert (graph.canonical_codes(*cells) == codes).all()
    assert sum(count for *_, count in graph.unlabelled_graphs()) == 423624


def test_raw_size():
    valid = sum(
        pruned is not None and pruned[1].bit_count() <= 9
        for pruned in (graph.prune(6, bits) for bits in range(1 << 15))
    )
    # 6 vertices by the slow path here; the 7-vertex count below by the same rule on arrays
    bits = np.arange(1 << 21)
    before = {y: bits >> (y * (y - 1) // 2) & ((1 << y) - 1) for y in range(1, 7)}

    def count(n):
        rows = slice(0, 1 << (n * (n - 1) // 2))
        reached, used = np.ones_like(bits[rows]), np.full_like(bits[rows], 1 << (n - 1))
        for y in range(1, n):
            reached |= np.where(before[y][rows] & reached, 1 << y, 0)
        for y in range(n - 1, 0, -1):
            used |= np.where(used >> y & 1, before[y][rows], 0)
        kept = used & reached
        edges = sum(np.where(kept >> y & 1, np.bitwise_count(before[y][rows] & kept), 0) for y in range(1, n))
        return int(((reached >> (n - 1) & 1 == 1) & (edges <= 9)).sum())

    assert count(6) == valid
    assert count(7) * 3**5 == SPACE.size


@pytest.mark.slow
def test_raw_sampling_is_uniform_over_the_classes_of_a_small_corner():
    """Among raw draws whose matrix has its output wired to the input alone, all other edges are free."""
    rng = np.random.default_rng(2)
    draws = np.array([SPACE.sample(rng).adj_bits for _ in range(60000)])
    direct = draws[draws >> 15 == 1]
    assert len(direct) > 800
    assert chisquare(np.bincount(direct & 31, minlength=32)).pvalue > 1e-3


def test_sample_unique_is_uniform_over_classes(cells):
    """Chi-square over bins of classes, and over single classes of at most 5 vertices."""
    rng = np.random.default_rng(3)
    codes = np.sort(graph.pack(*cells))
    draws = [SPACE.sample_unique(rng) for _ in range(30000)]
    packed = np.array(
        [
            graph.pack(
                np.array([a.n_vertices]), np.array([a.adj_bits]), np.array([a.operations + (-1,) * (7 - a.n_vertices)])
            )[0]
            for a in draws
        ]
    )
    place = np.searchsorted(codes, packed)
    assert (codes[place] == packed).all()
    counts, _ = np.histogram(place, bins=np.linspace(0, len(codes), 201))
    expected = np.diff(np.ceil(np.linspace(0, len(codes), 201))) / len(codes) * counts.sum()
    assert chisquare(counts, expected).pvalue > 1e-3


@pytest.mark.slow
def test_sample_unique_is_uniform_where_symmetry_is_high(monkeypatch):
    """Restricted to graphs of at most 5 vertices (2,532 cells, most graphs symmetric), class by class."""
    from nas_lightning.spaces import nasbench101

    small = [entry for entry in graph.unlabelled_graphs() if entry[0] <= 5]
    total = sum(entry[3] for entry in small)
    monkeypatch.setattr(graph, "unlabelled_graphs", lambda: small)
    monkeypatch.setattr(nasbench101, "_class_counts", lambda: np.cumsum([entry[3] for entry in small]))

    class Within(np.random.Generator):
        def integers(self, low, *args, **kwargs):
            return super().integers(total if low == 423624 else low, *args, **kwargs)

    rng = Within(np.random.PCG64(4))
    draws = [SPACE.sample_unique(rng) for _ in range(20 * total)]
    _, counts = np.unique([str(arch) for arch in draws], return_counts=True)
    assert len(counts) == total
    assert chisquare(counts).pvalue > 1e-3


def test_hash_of_known_cells(cells):
    rows = np.random.default_rng(5).permutation(len(cells[0]))[:200]
    rows = np.append(rows, np.flatnonzero(cells[0] <= 4))
    hashes = module_hashes(cells[0][rows], cells[1][rows], cells[2][rows])
    assert [SPACE.key(arch_of(cells, row)) for row in rows] == [bytes(digest).hex() for digest in hashes]


def test_hash_does_not_depend_on_labels_or_dead_vertices():
    rng = np.random.default_rng(6)
    for _ in range(30):
        arch = SPACE.sample(rng)
        assert SPACE.key(arch) == SPACE.key(SPACE.canonical(arch))


def test_vertex_widths_by_hand():
    assert vertex_widths(INCEPTION, 128) == (32, 32, 32, 32, 32)
    three = NB101Architecture.from_matrix(
        np.array([[0, 1, 1, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]), [0, 0, 0]
    )
    assert vertex_widths(three, 128) == (43, 43, 42)
    chain = NB101Architecture.from_matrix([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]], [0, 1])
    assert vertex_widths(chain, 64) == (64, 64)
    assert vertex_widths(NB101Architecture(2, 1, ()), 64) == ()
    with pytest.raises(ValueError, match="at least 3"):
        vertex_widths(three, 2)
    with pytest.raises(ArchitectureError, match="prune"):
        vertex_widths(NB101Architecture.from_matrix([[0, 1, 1], [0, 0, 0], [0, 0, 0]], [0]), 8)


def test_neighbours_do_not_depend_on_the_labelling():
    rng = np.random.default_rng(7)
    for _ in range(5):
        arch = SPACE.sample(rng)
        assert SPACE.neighbours(arch) == SPACE.neighbours(SPACE.canonical(arch))
        assert all(SPACE.canonical(other) == other for other in SPACE.neighbours(arch))


def test_neighbours_grow_and_shrink():
    smallest = NB101Architecture(2, 1, ())
    assert [a.n_vertices for a in SPACE.neighbours(smallest)] == [3, 3, 3]
    assert smallest in [SPACE.canonical(a) for a in SPACE.neighbours(SPACE.neighbours(smallest)[0])]


def test_depth_and_counts():
    assert SPACE.operation_counts(INCEPTION).tolist() == [3, 1, 1]
    assert SPACE.depth(INCEPTION) == 2
    assert SPACE.depth(NB101Architecture(2, 1, ())) == 0


def test_small_genomes_are_isomorphic():
    arch = NB101Architecture.from_matrix([[0, 1, 1], [0, 0, 1], [0, 0, 0]], [1])
    assert SPACE.canonical(SPACE.decode(SPACE.encode(arch))) == SPACE.canonical(arch)


@pytest.mark.slow
def test_shared_rows_are_canonical_and_hash_as_published(shared_table, cells):
    table, hashes = shared_table("nasbench101.parquet"), shared_table("nasbench101_hashes.parquet")
    n, bits = table["n_vertices"].to_numpy(), table["adj_bits"].to_numpy()
    operations = np.stack([table[f"op{i}"].to_numpy() for i in range(1, 6)], 1)
    codes = graph.pack(n, bits, operations)
    assert np.array_equal(np.sort(codes), np.sort(graph.pack(*cells)))
    assert (graph.canonical_codes(n, bits, operations) == codes).all()
    rows = np.random.default_rng(8).permutation(len(n))[:30000]  # all rows: perf/benchmarks_enumeration.py
    published = [hashes["module_hash"][int(row)].as_py() for row in rows]
    assert [bytes(d) for d in module_hashes(n[rows], bits[rows], operations[rows])] == published
