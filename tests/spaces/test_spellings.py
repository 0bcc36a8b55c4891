"""Architectures as other tools print them; what is none is refused in one short sentence."""

import json
from collections import namedtuple

import numpy as np
import pytest

from nas_lightning.spaces import ArchitectureError, NB101Architecture, NB201Architecture, get_space
from nas_lightning.spaces.reading import literal, whole

NB101, NB201, DARTS = get_space("nasbench101"), get_space("nasbench201"), get_space("darts_nds")
CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"
GENOTYPE = "Genotype(normal={0}, normal_concat=range(2, 6), reduce={0}, reduce_concat=range(2, 6))"
PAIRS = [("sep_conv_3x3", 0), ("skip_connect", 1)] * 4
MATRIX = [[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
OPS = ["input", "conv3x3-bn-relu", "maxpool3x3", "output"]


@pytest.mark.parametrize(
    "spelling",
    [
        f"Structure(4 nodes with {CELL})",
        CELL.replace("+", " + ").replace("|n", "| n"),
        "|nor_conv_3x3~0|+|nor_conv_1x1~1|none~0|+|nor_conv_3x3~2|skip_connect~0|avg_pool_3x3~1|",
        "((('nor_conv_3x3', 0),), (('none', 0), ('nor_conv_1x1', 1)), "
        "(('skip_connect', 0), ('avg_pool_3x3', 1), ('nor_conv_3x3', 2)))",
        [
            [["nor_conv_3x3", 0]],
            [["nor_conv_1x1", 1], ["none", 0.0]],
            [["skip_connect", 0], ["avg_pool_3x3", 1], ["nor_conv_3x3", 2]],
        ],
        "(2, 1, 0, 3, 4, 2)",  # NASLib: edges by source; skip, none, conv3x3, conv1x1, avg_pool
        (2, 1, 0, 3, 4, 2),
        str(NB201.index(NB201.parse(CELL))),
        NB201.index(NB201.parse(CELL)),
        np.int64(NB201.index(NB201.parse(CELL))),
        NB201.parse(CELL),
    ],
)
def test_spellings_of_nasbench201(spelling):
    assert str(NB201.parse(spelling)) == CELL


def test_naslib_tuples_have_their_parameters(shared_table):
    table, suite = shared_table("nasbench201.parquet"), shared_table("zerocost_naslib_suite.parquet")
    params = table["c10_params"].to_numpy()
    rows = [
        r for r in suite.select(["space", "dataset", "arch", "table_index"]).to_pylist() if r["space"] == "nasbench201"
    ]
    for row in rows[:300]:
        arch = NB201.parse(row["arch"])
        assert NB201.index(arch) == row["table_index"]
        assert NB201.parameters(arch) == params[row["table_index"]] or row["dataset"] != "cifar10"


@pytest.mark.parametrize(
    "spelling",
    [
        {"module_adjacency": MATRIX, "module_operations": OPS},
        {"matrix": np.array(MATRIX), "ops": OPS},
        str({"module_adjacency": MATRIX, "module_operations": OPS}),
        json.dumps({"matrix": MATRIX, "ops": OPS}),
        "{'matrix': array([[0, 1, 1, 0],\n [0, 0, 0, 1],\n [0, 0, 0, 1],\n [0, 0, 0, 0]], dtype=int8), 'ops': "
        + f"{OPS}}}",
        namedtuple("ModelSpec", "matrix ops")(MATRIX, OPS),
        f"({MATRIX}, {OPS})",
        [float(x) for row in MATRIX for x in row] + [0, 4, 2, 1],  # NASLib's flat tuple
        str((*tuple(x for row in MATRIX for x in row), 0, 4, 2, 1)),
    ],
)
def test_spellings_of_nasbench101(spelling):
    assert NB101.parse(spelling) == NB101Architecture.from_matrix(MATRIX, OPS)


@pytest.mark.parametrize(
    "spelling",
    [
        "DARTS_V2 = " + GENOTYPE.format(PAIRS),
        GENOTYPE.format([PAIRS[i : i + 2] for i in range(0, 8, 2)]),
        f"Genotype({PAIRS}, [2, 3, 4, 5], {PAIRS}, range(2, 6))",
        {"normal": PAIRS, "reduce": PAIRS, "normal_concat": "range(2, 6)", "reduce_concat": range(2, 6)},
        json.dumps({"normal": PAIRS, "reduce": PAIRS, "normal_concat": [2, 3, 4, 5], "reduce_concat": None}),
        namedtuple("Genotype", "normal normal_concat reduce reduce_concat")(PAIRS, [2, 3, 4, 5], PAIRS, [2, 3, 4, 5]),
    ],
)
def test_spellings_of_darts(spelling):
    assert DARTS.parse(spelling) == DARTS.parse(GENOTYPE.format(PAIRS))


def refused(space, value):
    with pytest.raises(ArchitectureError) as error:
        space.parse(value)
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("entry", [0.5, 1.2, float("nan"), float("inf"), "1", None, [0]])
def test_half_edges_of_nasbench101_are_no_edges(entry):
    refused(NB101, {"matrix": [[0, entry], [0, 0]], "ops": ["input", "output"]})
    refused(NB101, {"matrix": [[0, 1, 0], [0, 0, 1], [0, 0, 0]], "ops": [entry if entry != "1" else "x"]})


@pytest.mark.parametrize("source", [0.9, "0", None, 1e400, -1, 7, [0], float("nan")])
def test_inputs_of_darts_are_whole_numbers(source):
    pairs = [("sep_conv_3x3", source), *PAIRS[1:]]
    refused(DARTS, {"normal": pairs, "reduce": PAIRS})
    refused(DARTS, GENOTYPE.format(str(pairs).replace("inf", "1e400").replace("nan", "0.5")))


@pytest.mark.parametrize(
    "value",
    [
        {"normal": PAIRS},
        {"normal": PAIRS, "reduce": None},
        {"normal": PAIRS, "reduce": PAIRS, "normal_concat": 4},
        {"normal": PAIRS, "reduce": PAIRS, "normal_concat": "range(2, 7)"},
        {"normal": PAIRS, "reduce": PAIRS, "reduce_concat": "__import__('os')"},
        {"normal": [(op, source, 1) for op, source in PAIRS], "reduce": PAIRS},
        {"normal": PAIRS, "reduce": PAIRS, "extra": 1},
        [],
        None,
        17,
        "x" * 100_000,
        "[" * 100_000,
        "Genotype(normal=Genotype(), reduce=1)",
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_genotype(value):
    refused(DARTS, value)


@pytest.mark.parametrize(
    "value",
    [
        "15625",
        "-1",
        15625,
        3.5,
        True,
        None,
        {},
        (0, 1, 2, 3, 4),
        (0, 1, 2, 3, 4, 5),
        "Structure(4 nodes with |none~0|)",
        CELL[:-2],
        CELL.replace("none~0", "none~1"),
        CELL.replace("none", "zero"),
        "1e400",
        "|none~0|+" * 50000,
        [[["none", 0.5]]] * 3,
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_cell_of_nasbench201(value):
    refused(NB201, value)


@pytest.mark.parametrize(
    "value", [None, 3, {}, {"matrix": MATRIX}, {"matrix": 3, "ops": OPS}, (1, 2, 3), "0" * 32, [[1, 2]] * 2]
)
def test_what_is_no_cell_of_nasbench101(value):
    refused(NB101, value)


def test_a_node_that_reads_one_input_twice_is_an_extension():
    twice = DARTS.parse(GENOTYPE.format([("sep_conv_3x3", 0), ("skip_connect", 0), *PAIRS[2:]]))
    with pytest.raises(ArchitectureError, match="reads one input twice"):
        DARTS.encode(twice)
    assert DARTS.key(twice)


def test_whole_numbers_alone():
    assert [whole(v, "x") for v in (3, 3.0, np.int8(3), np.float64(3))] == [3] * 4
    for wrong in (3.5, "3", None, float("nan"), float("inf"), 1e300, 3j):
        with pytest.raises(ArchitectureError, match="no whole number"):
            whole(wrong, "x")


def test_literals_are_read_and_nothing_is_run():
    assert literal("A = {'x': (1, -2, 'y'), 'z': range(2, 6)}") == {"x": (1, -2, "y"), "z": [2, 3, 4, 5]}
    assert len(literal("range(10 ** 9)" if False else "range(1000000000)")) == 9
    for text in ("[open('x')]", "1 + x", "lambda: 0", "f'{x}'", "{**{}}", "a.b", "x[0]"):
        with pytest.raises(ArchitectureError):
            literal(text)


def test_sampled_cells_round_trip_through_every_spelling():
    rng = np.random.default_rng(0)
    for _ in range(200):
        cell = NB201.sample(rng)
        assert NB201.parse(f"Structure(4 nodes with {cell})") == NB201.parse(NB201.index(cell)) == cell
        graph = NB101.sample(rng)
        spec = {
            "matrix": graph.matrix.tolist(),
            "ops": ["input", *(NB101.operations[o] for o in graph.operations), "output"],
        }
        assert NB101.parse(repr(spec)) == graph
        genotype = DARTS.sample(rng)
        assert DARTS.parse(f"BEST = {genotype}") == genotype
    assert isinstance(NB201.parse("0"), NB201Architecture)
