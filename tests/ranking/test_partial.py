"""Partial results of an evaluation: what is there is used exactly, what does not belong is named and left."""

import numpy as np
import pytest

from nas_lightning.scoring import partial as module
from nas_lightning.scoring.partial import CHUNK, PREFIX, PartialScores, own_chunks, score_in_chunks

N = 5 * CHUNK + 3
TRUE = np.random.default_rng(0).random((N, 2))


@pytest.fixture(autouse=True)
def save_at_once(monkeypatch):
    monkeypatch.setattr(module, "SAVE_EVERY_S", 0)


class Scorer:
    """Scores as `TRUE` says, counting; fails before the architecture `dies_at`."""

    def __init__(self, dies_at=None):
        self.asked, self.dies_at = [], dies_at

    def __call__(self, index, done):
        if self.dies_at is not None and self.dies_at in index:
            raise KeyError("power cut")
        self.asked += index
        for i in range(len(index)):
            done(i + 1)
        return TRUE[index]


def key(weights="w"):
    return lambda: {"weights": weights, "batch size": 100}


def test_an_interrupted_evaluation_goes_on_and_ends_the_same(tmp_path):
    with pytest.raises(KeyError, match="power cut"):
        score_in_chunks(Scorer(3 * CHUNK + 1), N, PartialScores(tmp_path, N, key()))
    assert [p.name for p in tmp_path.iterdir()] == ["evaluation.partial.rank0.npz"]
    partial, second, told = PartialScores(tmp_path, N, key()), Scorer(), []
    assert partial.resumed == 3 * CHUNK
    assert partial.notes == []
    assert np.array_equal(score_in_chunks(second, N, partial, told.append), TRUE)
    assert second.asked == list(range(3 * CHUNK, N))
    assert told[0] == 3 * CHUNK
    assert told[-1] == N
    PartialScores.remove(tmp_path)
    assert not list(tmp_path.iterdir())


def test_scores_of_something_else_are_not_used_and_the_reason_is_said(tmp_path):
    score_in_chunks(Scorer(), N, PartialScores(tmp_path, N, key()))
    other = PartialScores(tmp_path, N, key("v"))
    assert other.resumed == 0
    assert other.notes == [
        "evaluation.partial.rank0.npz holds scores of other weights and is not used; scoring starts afresh"
    ]
    assert PartialScores(tmp_path, N, key()).resumed == N


@pytest.mark.parametrize("content", [b"", b"no archive", "cut"])
def test_a_damaged_file_is_not_used(tmp_path, content):
    score_in_chunks(Scorer(), N, PartialScores(tmp_path, N, key()))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content == "cut" else content)
    partial = PartialScores(tmp_path, N, key())
    assert partial.resumed == 0
    assert "is damaged" in partial.notes[0]
    assert np.array_equal(score_in_chunks(Scorer(), N, partial), TRUE)


def test_what_ends_soon_leaves_no_file_and_computes_no_key(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SAVE_EVERY_S", 3600)
    partial = PartialScores(tmp_path, N, lambda: pytest.fail("the key is not needed"))
    assert np.array_equal(score_in_chunks(Scorer(), N, partial), TRUE)
    assert not list(tmp_path.iterdir())


def test_what_has_nothing_new_is_not_written(tmp_path):
    partial = PartialScores(tmp_path, N, key())
    partial.save()
    assert not list(tmp_path.iterdir())
    partial.add([0], TRUE[:1])
    partial.path.unlink()
    partial.save()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("world", [2, 3, 9])
def test_the_shares_of_several_processes_add_up_exactly(tmp_path, world):
    shares = [
        score_in_chunks(Scorer(), N, PartialScores(tmp_path, N, key(), rank), rank=rank, world_size=world)
        for rank in range(world)
    ]
    assert np.array_equal(sum(shares), TRUE)
    alone = Scorer()  # one process goes on with what several have saved
    assert np.array_equal(score_in_chunks(alone, N, PartialScores(tmp_path, N, key())), TRUE)
    assert alone.asked == []


def test_evaluations_of_one_folder_are_kept_apart(tmp_path):
    score_in_chunks(Scorer(), N, PartialScores(tmp_path, N, key("a"), label="seed0"))
    assert PartialScores(tmp_path, N, key("b"), label="seed1").notes == []
    PartialScores.remove(tmp_path, "seed1")
    assert PartialScores(tmp_path, N, key("a"), label="seed0").resumed == N


def test_a_file_of_another_width_is_not_used(tmp_path):
    kept = PartialScores(tmp_path, 4, lambda: {"weights": "a"}, width=3)
    kept.add([0, 2], np.ones((2, 3)))
    kept.save()
    narrow = PartialScores(tmp_path, 4, lambda: {"weights": "a"})
    assert narrow.resumed == 0
    assert "has 3 columns" in narrow.notes[0]
    assert PartialScores(tmp_path, 4, lambda: {"weights": "a"}, width=3).resumed == 2


@pytest.mark.parametrize(
    ("n", "world", "size"), [(163, 1, CHUNK), (163, 2, 20), (163, 9, 4), (163, 50, 1), (10_000, 2, CHUNK)]
)
def test_many_processes_take_chunks_of_a_quarter_of_their_share(n, world, size):
    chunks = [own_chunks(n, rank, world) for rank in range(world)]
    assert chunks[0][0] == list(range(size))
    assert chunks[-1][0] == list(range((world - 1) * size, world * size))
    assert sorted(i for own in chunks for chunk in own for i in chunk) == list(range(n))


@pytest.mark.parametrize(
    ("index", "values", "says"),
    [
        ([[0, 1]], np.ones((1, 2)), "do not fit"),
        ([0.0, 1.0], np.ones((2, 2)), "do not fit"),
        ([-1, 1], np.ones((2, 2)), "do not fit"),
        ([0, 1], np.ones((2, 2), int), "do not fit"),
        ([0, 1], np.ones(2), "do not fit"),
        ([0, 1, 2], np.ones((2, 2)), "do not fit"),
        ([0, 1], np.full((2, 2), np.nan), "do not fit"),
        ([0, 1], np.full((2, 2), np.inf), "do not fit"),
        ([0, 4], np.ones((2, 2)), "larger set"),
        ([0, 3], np.full((2, 2), -np.inf), None),
        ([], np.ones((0, 2)), None),
    ],
)
def test_arrays_that_are_no_scores_of_this_set_are_not_used(tmp_path, index, values, says):
    path = tmp_path / f"{PREFIX}.rank0.npz"
    np.savez(path, key=np.array('{"weights": "a"}'), index=np.array(index, None if index else int), values=values)
    found = PartialScores(tmp_path, 4, lambda: {"weights": "a"})
    if says is None:
        assert (found.notes, found.resumed) == ([], len(index))
    else:
        assert says in found.notes[0]
        assert found.resumed == 0
