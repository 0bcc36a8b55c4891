import hashlib
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nas_lightning.errors import UserError
from nas_lightning.ranking import architecture_sets
from nas_lightning.ranking.architecture_sets import VERSION, architecture_set, identity
from nas_lightning.spaces import get_space
from nas_lightning.spaces.base import ArchitectureError
from tests.helpers.memory_table import MemoryTable

SPACE = get_space("nasbench201")


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(5)
    classes = {}
    while len(classes) < 120:
        arch = SPACE.sample_unique(rng)
        classes[SPACE.key(arch)] = arch
    return MemoryTable(SPACE, classes.values())


def digest(archs):
    return hashlib.sha256("\n".join(map(str, archs)).encode()).hexdigest()[:16]


def test_random_sets_are_frozen():
    """These digests may change only together with VERSION: a name means the same architectures for ever."""
    assert VERSION == 1
    assert digest(architecture_set("random200_seed0", SPACE)) == "95b8a4b2429b9c33"
    assert digest(architecture_set("random200raw_seed0", SPACE)) == "27bc48e51551f3dc"


@pytest.mark.parametrize("with_table", [False, True])
@pytest.mark.parametrize("kind", ["", "raw"])
def test_random_sets_repeat_nest_and_hold_no_duplicates(kind, with_table, table):
    given = table if with_table else None
    first = architecture_set(f"random100{kind}_seed3", SPACE, given)
    assert first == architecture_set(f"random100{kind}_seed3", SPACE, given)
    assert first[:40] == architecture_set(f"random40{kind}_seed3", SPACE, given)
    assert first != architecture_set(f"random100{kind}_seed4", SPACE, given)
    assert len(set(first)) == 100
    if not kind:
        assert len({SPACE.key(a) for a in first}) == 100
    if with_table:
        assert all(table.has(a) for a in first)


def test_the_order_of_the_table_does_not_matter(table):
    turned = MemoryTable(SPACE, table.architectures()[::-1])
    assert architecture_set("random50_seed0", SPACE, table) == architecture_set("random50_seed0", SPACE, turned)


def test_raw_draws_prefer_large_classes():
    """Uniform over encodings: the share of singletons among 3,000 raw draws is that of all 15,625 encodings."""
    every = architecture_set("all", SPACE)
    sizes = {}
    for arch in every:
        sizes[SPACE.key(arch)] = sizes.get(SPACE.key(arch), 0) + 1

    def alone(archs):
        return np.mean([sizes[SPACE.key(a)] == 1 for a in archs])

    assert alone(architecture_set("random3000raw_seed0", SPACE)) == pytest.approx(alone(every), abs=0.03)
    unique = np.mean([size == 1 for size in sizes.values()])
    assert alone(architecture_set("random3000_seed0", SPACE)) == pytest.approx(unique, abs=0.03)
    assert abs(unique - alone(every)) > 0.1, "else the two draws could not be told apart"


def test_whole_sets(table):
    assert len(architecture_set("all", SPACE)) == 15_625
    assert len(architecture_set("unique", SPACE)) == 6_466
    assert architecture_set("all", SPACE, table) == table.architectures()
    doubled = MemoryTable(SPACE, table.architectures() * 2)
    assert architecture_set("unique", SPACE, doubled) == table.architectures()


@pytest.mark.slow
def test_differences_are_what_another_set_left_over(table):
    every, used = architecture_set("all", SPACE), architecture_set("random1000raw_seed0", SPACE)
    held_out = architecture_set("all-random1000raw_seed0", SPACE)
    assert len(held_out) == 14_625
    assert held_out == [arch for arch in every if arch not in set(used)], "in the order of the first set"
    fresh = architecture_set("random2000raw_seed0-random1000raw_seed0", SPACE)
    assert fresh == architecture_set("random2000raw_seed0", SPACE)[1000:], "draws of one seed are nested"
    rest = architecture_set("random50_seed1-random20_seed1", SPACE, table)
    assert rest == architecture_set("random50_seed1", SPACE, table)[20:]
    assert len(architecture_set("all-top10pct", SPACE, table)) == 108


def test_differences_compare_raw_encodings_not_classes():
    """Other members of a removed class stay: 15,625 encodings less one representative of each of 6,466 classes."""
    assert len(architecture_set("all-unique", SPACE)) == 15_625 - 6_466


def test_differences_that_leave_nothing_or_cannot_be_formed_are_refused(table):
    with pytest.raises(ValueError, match="random5_seed0-all leaves no architecture, since all holds all of random5_s"):
        architecture_set("random5_seed0-all", SPACE)
    with pytest.raises(ValueError, match="largest possible is random120_seed7"):
        architecture_set("all-random121_seed7", SPACE, table)
    with pytest.raises(ValueError, match="choose a benchmark"):
        architecture_set("all-top10pct", SPACE)


def test_a_file_whose_name_looks_like_a_difference_stays_a_file(tmp_path, monkeypatch, table):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "all-unique.txt").write_text(f"{table.architectures()[3]}\n")
    assert architecture_set("all-unique.txt", SPACE, table) == [table.architectures()[3]]


def test_top_of_the_table(table):
    top = architecture_set("top10pct", SPACE, table)
    assert top == table.architectures()[::-1][:12], "accuracies rise along the table"
    assert len(architecture_set("top2.5pct", SPACE, table)) == 3
    assert architecture_set("top0.5pct", SPACE, table) == top[:1]
    with pytest.raises(ValueError, match="choose a benchmark"):
        architecture_set("top10pct", SPACE)
    with pytest.raises(ValueError, match="percentage"):
        architecture_set("top0pct", SPACE, table)
    assert len(architecture_set("top100pct", SPACE, table)) == 120
    with pytest.raises(ValueError, match="up to 100"):
        architecture_set("top100.5pct", SPACE, table)


def test_too_many_architectures_name_the_largest_possible_set(table):
    with pytest.raises(ValueError, match="largest possible is random120_seed7"):
        architecture_set("random121_seed7", SPACE, table)
    with pytest.raises(ValueError, match="largest possible is random6466_seed0"):
        architecture_set("random7000_seed0", SPACE)
    with pytest.raises(ValueError, match="largest possible is random15625raw_seed0"):
        architecture_set("random15626raw_seed0", SPACE)


@pytest.mark.parametrize(
    "name",
    ["random_seed0", "random0_seed0", "random5", "top10", "every", "random5_seed-1", "all-", "-all", "all-every",
     "all-unique-random5_seed0"],
)  # fmt: skip
def test_unknown_names_get_the_list(name):
    with pytest.raises(ValueError, match=r"names no architecture set; give random<N>_seed<S>"):
        architecture_set(name, SPACE)


def test_a_table_of_another_space_is_refused(table):
    other = MemoryTable(SPACE, table.architectures())
    other.space = "nasbench101"
    with pytest.raises(ValueError, match="of nasbench101, not of nasbench201"):
        architecture_set("all", SPACE, other)


def test_files(tmp_path, table):
    archs = table.architectures()[:5]
    strings = [str(a) for a in archs]
    text, sheet, parquet = (tmp_path / f"set.{suffix}" for suffix in ("txt", "csv", "parquet"))
    text.write_text("# chosen by hand\n\n" + "\n".join(strings) + "\n")
    sheet.write_text("name,architecture\n" + "\n".join(f"n{i},{s}" for i, s in enumerate(strings)) + "\n")
    pq.write_table(pa.table({"architecture": strings}), parquet)
    for path in (text, sheet, parquet):
        assert architecture_set(path, SPACE, table) == archs
        assert architecture_set(str(path), SPACE) == archs


def test_a_file_is_identified_by_its_contents_and_a_name_by_its_version(tmp_path, monkeypatch):
    path = tmp_path / "set.txt"
    assert identity("random200_seed0") == identity("all-unique") == identity(path) == {}
    path.write_text("a\n")
    first = identity(path)
    path.write_text("b\n")
    assert first != identity(str(path)) != {}
    monkeypatch.setattr(architecture_sets, "VERSION", 2)
    assert identity("random200_seed0") == {"architecture_set_version": 2}


def test_bad_files_name_the_line(tmp_path, table):
    path = tmp_path / "set.txt"
    good = str(table.architectures()[0])
    path.write_text(f"{good}\n|nonsense~0|\n")
    with pytest.raises(ArchitectureError, match=r"set\.txt, line 2: "):
        architecture_set(path, SPACE)
    path.write_text(f"{good}\n\n{good}\n")
    with pytest.raises(ValueError, match="lines 1 and 3 hold the same"):
        architecture_set(path, SPACE)
    absent = next(a for a in architecture_set("all", SPACE) if not table.has(a))
    path.write_text(f"{absent}\n")
    with pytest.raises(ValueError, match="line 1: the table does not hold"):
        architecture_set(path, SPACE, table)
    path.write_text("# nothing\n")
    with pytest.raises(ValueError, match="no architectures"):
        architecture_set(path, SPACE)
    with pytest.raises(ValueError, match="no architecture set file"):
        architecture_set(tmp_path / "absent.csv", SPACE)
    path.write_bytes(b"\xff\xfe no text")
    with pytest.raises(UserError, match=r"set\.txt cannot be read as a list of arch.*write one string a line"):
        architecture_set(path, SPACE)
    sheet = tmp_path / "set.csv"
    sheet.write_text("name\nx\n")
    with pytest.raises(ValueError, match="none named architecture"):
        architecture_set(sheet, SPACE)


@pytest.mark.parametrize(
    ("space", "unique", "raw"),
    [("nasbench101", "2102cc29ab3855ba", "9ab54d1e13636b04"), ("darts_nds", "503645ea1118feca", "f7084d4d9592e1d1")],
)
def test_random_sets_of_the_other_spaces_are_frozen_too(space, unique, raw):
    assert digest(architecture_set("random50_seed0", get_space(space))) == unique
    assert digest(architecture_set("random50raw_seed0", get_space(space))) == raw


def test_large_tables_are_drawn_from_without_computing_all_keys(monkeypatch, table):
    monkeypatch.setattr(architecture_sets, "_LARGE", 100)
    complete = MemoryTable(SPACE, architecture_set("all", SPACE), np.linspace(0, 1, 15_625))
    assert architecture_set("random50_seed2", SPACE, complete) == architecture_set("random50_seed2", SPACE)
    few = architecture_set("random20_seed2", SPACE, table)
    assert len({SPACE.key(a) for a in few}) == 20
    assert all(table.has(a) for a in few)
    assert len(architecture_set("random100_seed2", SPACE, table)) == 100, "above a quarter of the table"


def test_raw_draws_of_a_large_space_are_as_many_as_are_asked_for_or_none():
    """20,000 draws and 200 more for every architecture that is asked for, without copies."""
    drawn = iter([5, 7, 5, 8, 9] + [5] * 20_400 + [6])
    space = SimpleNamespace(name="large", size=10**9, cardinalities=(10,) * 9, sample=lambda rng: next(drawn), key=str)
    table = SimpleNamespace(has=lambda arch: arch != 7)
    assert architecture_sets._random_raw("two", 2, 0, space, None) == [5, 7]
    assert architecture_sets._random_raw("two", 2, 0, space, table) == [5, 8]
    assert architecture_sets._random_raw("one", 1, 0, space, table) == [9]
    with pytest.raises(ValueError, match="only 1 turned up in 20,400 draws from large"):
        architecture_sets._random_raw("two", 2, 0, space, table)
    assert next(drawn) == 6
