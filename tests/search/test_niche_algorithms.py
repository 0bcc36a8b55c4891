"""Searches for champions of niches: whom they promote, what they propose."""

import numpy as np
import pytest

from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.bracket import Entry
from nas_lightning.search.joint_improvement import Elites
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces import get_space

FIDELITIES = Fidelities("epochs", (1, 3, 9, 27))
ENTRIES = [Entry(-9 + i, i, name) for i, name in enumerate("abcdefghi")]  # a is the best
RESOURCE = dict(zip("abcdefghi", (9, 8, 7, 3, 6, 2, 1, 5, 4), strict=True))


def made(name, **settings):
    settings = {"minimise": ["params"], "bounds": ["2", "4"]} | settings
    algorithm = make_algorithm(name, get_space("nasbench201"), FIDELITIES, 0, settings)
    algorithm._resource = RESOURCE
    return algorithm


def test_bop_elites_hb_promotes_niche_by_niche():
    algorithm = made("bop_elites_hb")
    assert algorithm.promote(ENTRIES, 3) == ["g", "d", "a"]  # the best below 2, below 4, of all
    assert algorithm.promote(ENTRIES, 5) == ["g", "d", "a", "b", "c"]
    assert algorithm.promote(ENTRIES, 2) == ["a", "b"]  # fewer places than niches
    assert algorithm.promote(ENTRIES, 6) == ["g", "d", "f", "a", "b", "c"]  # one alone is below 2


def test_qdhb_promotes_the_best_of_drawn_niches():
    algorithm = made("qdhb")
    counts = dict.fromkeys("abcdefghi", 0)
    for _ in range(3000):
        (chosen,) = algorithm.promote(ENTRIES, 1)
        counts[chosen] += 1
    assert sum(counts[name] for name in "gda") == 3000
    assert all(900 < counts[name] < 1100 for name in "gda")
    assert sorted(algorithm.promote(ENTRIES, 9)) == list("abcdefghi")
    only_empty = made("qdhb", bounds=["0.5"])
    drawn = {only_empty.promote(ENTRIES, 1)[0] for _ in range(200)}
    assert drawn == set("abcdefghi")  # an empty niche promotes anyone


@pytest.mark.parametrize("name", ["qdhb", "bop_elites", "bop_elites_hb"])
def test_bounds_are_numbers_and_the_resource_is_one(name):
    with pytest.raises(SearchError, match=r"bounds of .* are numbers"):
        made(name, bounds=["small"])
    with pytest.raises(SearchError, match="one measure to minimise, not 2"):
        made(name, minimise=["params", "macs"])


def test_the_most_promising_fills_an_empty_niche():
    space, rng = get_space("nasbench201"), np.random.default_rng(0)
    elites = Elites(space, np.array([1.5, np.inf]), 20, 0.0)
    archs = [space.sample(rng) for _ in range(40)]
    size = [1 + space.operation_counts(arch)[3] for arch in archs]  # convolutions of 3x3 are what costs
    for arch, n in zip(archs, size, strict=True):
        elites.add(arch, 0.5 + 0.05 * n, float(n))
    inside = [row for row, n in enumerate(size) if n < 1.5]
    assert elites.champions()[1] == int(np.argmax([0.5 + 0.05 * n for n in size]))
    assert elites.champions()[0] == (inside[0] if inside else -1)
    empty = Elites(space, np.array([1.5, np.inf]), 20, 0.0)
    for arch, n in zip(archs, size, strict=True):
        if n > 1.5:
            empty.add(arch, 0.5 + 0.05 * n, float(n))
    assert empty.champions()[0] == -1
    pool = "avg_pool_3x3"
    small = f"|{pool}~0|+|{pool}~0|{pool}~1|+|{pool}~0|{pool}~1|{pool}~2|"
    candidates = [space.parse(small), archs[int(np.argmax(size))]]
    assert empty.most_promising(candidates, rng) == candidates[0]


def niches(name, **settings):
    settings = {
        "minimise": ["params"],
        "bounds": ["2"],
        "startup": 2,
        "candidates": 7,
        "trees": 3,
        "empty": 0.25,
    } | settings
    return make_algorithm(name, get_space("nasbench201"), FIDELITIES, 0, settings)


def told(algorithm, value, fidelity=27, resource=1.0, number=0):
    arch = algorithm.space.from_index(100 + number)
    measured = Measurement(value, 1.0, {"params": resource})
    algorithm.tell(Trial(arch, fidelity, 0, (0, 0, number)), measured)
    return arch


def test_bop_elites_models_after_as_many_values_as_its_startup_and_forgets_no_failed_one(monkeypatch):
    algorithm, asked = niches("bop_elites"), []
    monkeypatch.setattr(algorithm.elites, "propose", lambda *given: asked.append(given) or "proposed")
    first = told(algorithm, 0.5)
    failed = told(algorithm, -np.inf, number=1)
    assert algorithm.ask().architecture != "proposed"
    second = told(algorithm, 0.7, number=2)
    assert len(algorithm.elites) == 2
    trial = algorithm.ask()
    assert (trial.architecture, trial.fidelity) == ("proposed", 27)
    assert asked == [(7, {first, failed, second}, algorithm.rng)]
    assert algorithm.elites.champions().tolist() == [1, 1]
    told(algorithm, 0.9, resource=2.0, number=3)
    assert algorithm.elites.champions().tolist() == [1, 2], "a bound is the first resource outside"


def test_bop_elites_hb_models_the_highest_fidelity_that_has_told_enough(monkeypatch):
    algorithm = niches("bop_elites_hb")
    monkeypatch.setattr("nas_lightning.search.algorithms.hyperband.Hyperband.tell", lambda *given: None)
    monkeypatch.setattr(Elites, "propose", lambda self, *given: (self, given))
    seen = [told(algorithm, 0.5, fidelity, number=n) for n, fidelity in enumerate((1, 1, 3, 3, 27))]
    seen.append(told(algorithm, np.nan, 27, number=9))
    elites, given = algorithm.draw()
    assert elites is algorithm._known[3]
    assert given == (7, set(seen), algorithm.rng)
    told(algorithm, 0.5, 27, number=7)
    assert algorithm.draw()[0] is algorithm._known[27]
    algorithm.startup = 3
    assert isinstance(algorithm.draw(), type(seen[0]))


@pytest.mark.parametrize("name", ["bop_elites", "bop_elites_hb"])
@pytest.mark.parametrize("setting", ["startup", "candidates", "trees"])
def test_counts_of_bop_elites_are_at_least_one(name, setting):
    niches(name, **{setting: 1})
    with pytest.raises(SearchError, match="startup, candidates and trees >= 1"):
        niches(name, **{setting: 0})


def test_what_is_not_set_is_as_the_docstrings_say():
    for name in ("bop_elites", "bop_elites_hb", "qdhb"):
        algorithm = make_algorithm(name, get_space("nasbench201"), FIDELITIES, 0)
        assert algorithm.measures == ("params",)
        if name != "qdhb":
            assert (algorithm.startup, algorithm.candidates) == (10, 100)
        if name != "bop_elites":
            assert list(algorithm.rungs) == [1, 3, 9, 27]
        bounds = algorithm.elites.bounds if name == "bop_elites" else algorithm.bounds
        assert list(bounds) == [np.inf]
