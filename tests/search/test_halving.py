"""Successive halving, Hyperband and ASHA against examples computed by hand."""

import numpy as np
import pytest

from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.algorithms.hyperband import hyperband_bracket
from nas_lightning.search.bracket import Bracket, halving_sizes
from nas_lightning.search.trial import Fidelities, Measurement, SearchError

LEVELS_81 = Fidelities("epochs", (1, 3, 9, 27, 81))


def test_sizes_of_a_halving_bracket():
    assert halving_sizes(81, 3, 5) == (81, 27, 9, 3, 1)
    assert halving_sizes(10, 2, 4) == (10, 5, 2, 1)


def test_hyperband_table_1():
    """Li et al. 2018, table 1: R = 81, eta = 3."""
    table = {4: (81, 27, 9, 3, 1), 3: (34, 11, 3, 1), 2: (15, 5, 1), 1: (8, 2), 0: (5,)}
    assert {s: hyperband_bracket(s, 4, 3) for s in range(5)} == table


def test_hyperband_asks_for_the_rungs_of_table_1(objective):
    algorithm = make_algorithm("hyperband", objective.space, LEVELS_81, seed=0)
    asked = {}
    for _ in range(81 + 27 + 9 + 3 + 1 + 34 + 11 + 3 + 1 + 15 + 5 + 1 + 8 + 2 + 5):
        trial = algorithm.ask()
        bracket = trial.tag[0]
        asked[bracket, trial.fidelity] = asked.get((bracket, trial.fidelity), 0) + 1
        algorithm.tell(trial, Measurement(0.5, 1.0))
    assert asked == {
        (0, 1): 81, (0, 3): 27, (0, 9): 9, (0, 27): 3, (0, 81): 1,
        (1, 3): 34, (1, 9): 11, (1, 27): 3, (1, 81): 1,
        (2, 9): 15, (2, 27): 5, (2, 81): 1,
        (3, 27): 8, (3, 81): 2,
        (4, 81): 5,
    }  # fmt: skip
    assert algorithm.ask().tag == (5, 0, 0)  # starts over with the most aggressive bracket


def first_in_line(entries, places):
    return [entry.architecture for entry in entries[:places]]


def test_bracket_promotions_by_hand():
    """Nine configurations at 1, the best three (ties by slot) at 3, the best one at 9; promoted ones resume."""
    values = {"a": 0.1, "b": 0.9, "c": 0.5, "d": 0.5, "e": 0.7, "f": 0.2, "g": 0.5, "h": 0.0, "i": 0.3}
    second = {"b": 0.4, "e": 0.8, "c": 0.8}
    bracket, names = Bracket(7, (9, 3, 1), (1, 3, 9), first_in_line), iter(values)
    first = [bracket.ask(lambda: next(names)) for _ in range(9)]
    assert bracket.ask(lambda: "never") is None
    for trial in reversed(first):  # the order in which results come in does not matter
        bracket.tell(trial, values[trial.architecture])
    rung1 = [bracket.ask(lambda: "never") for _ in range(3)]
    assert [(t.architecture, t.fidelity, t.resumed_from) for t in rung1] == [("b", 3, 1), ("e", 3, 1), ("c", 3, 1)]
    assert bracket.ask(lambda: "never") is None
    for trial in rung1:
        bracket.tell(trial, second[trial.architecture])
    final = bracket.ask(lambda: "never")
    assert (final.architecture, final.fidelity, final.resumed_from, final.tag) == ("e", 9, 3, (7, 2, 0))
    bracket.tell(final, 1.0)
    assert bracket.is_done


def test_asha_promotions_by_hand(objective):
    """Sequential ASHA, eta = 3, rungs 1, 3, 9. Values of new configurations in order: see `bottom`."""
    algorithm = make_algorithm("asha", objective.space, Fidelities("epochs", (1, 3, 9)), seed=0)
    bottom = iter([0.5, 0.9, 0.1, 0.2, 0.6, 0.3, 0.95, 0.4, 0.8, 0.05, 0.15, 0.7])
    middle = {1: 0.50, 4: 0.70, 6: 0.60, 8: 0.65, 11: 0.10}
    path = []
    for _ in range(18):
        trial = algorithm.ask()
        configuration, rung = trial.tag
        path.append((configuration, trial.fidelity))
        value = next(bottom) if rung == 0 else middle[configuration] if rung == 1 else 0.5
        algorithm.tell(trial, Measurement(value, 1.0))
    # Three told: the best third is configuration 1. After six: 1 and 4 are the best two, 4 goes up. With the seventh
    # (0.95) the best two are 6 and 1, so 6 goes up although no third of a new nine is full. That makes three at the
    # middle rung, whose best (4, with 0.70) goes to the top. After nine: 6, 1, 8 are the best three, 8 goes up. Then
    # the middle rung holds four, its best one (4) is promoted already. After twelve the best four are 6, 1, 8, 11.
    assert path == [
        (0, 1), (1, 1), (2, 1), (1, 3),
        (3, 1), (4, 1), (5, 1), (4, 3),
        (6, 1), (6, 3), (4, 9),
        (7, 1), (8, 1), (8, 3),
        (9, 1), (10, 1), (11, 1), (11, 3),
    ]  # fmt: skip


def test_asha_never_waits(objective):
    algorithm = make_algorithm("asha", objective.space, objective.fidelities, seed=0)
    assert [algorithm.ask().fidelity for _ in range(50)] == [1] * 50


def test_hyperband_waits_for_its_rung(objective):
    algorithm = make_algorithm("hyperband", objective.space, objective.fidelities, seed=0)
    trials = [algorithm.ask() for _ in range(9)]
    assert algorithm.ask() is None
    for trial in trials:
        assert algorithm.ask() is None
        algorithm.tell(trial, Measurement(0.5, 1.0))
    assert algorithm.ask().fidelity == 3


def test_random_search_with_weight_sharing_screens_sets(objective):
    algorithm = make_algorithm(
        "random_search_ws", objective.space, objective.fidelities, 0, {"set_size": 5, "keep": 2, "sets": 2}
    )
    fidelities, screened, finals = [], {}, []
    rng = np.random.default_rng(1)
    while (trial := algorithm.ask()) is not None:
        fidelities.append(trial.fidelity)
        value = rng.random()
        if trial.fidelity == 1:
            screened.setdefault(trial.tag[0], []).append((value, trial.architecture))
        else:
            finals.append((trial.tag[0], trial.architecture))
        algorithm.tell(trial, Measurement(value, 1.0))
    assert fidelities == ([1] * 5 + [9] * 2) * 2
    for number, best in screened.items():
        expected = [arch for _, arch in sorted(best, key=lambda entry: -entry[0])[:2]]
        assert [arch for which, arch in finals if which == number] == expected


@pytest.mark.parametrize("name", ["asha", "bohb", "hyperband", "successive_halving", "random_search_ws"])
def test_fidelities_are_needed_unless_one_is_asked_for(single, name):
    with pytest.raises(SearchError, match="single_fidelity=true"):
        make_algorithm(name, single.space, single.fidelities, 0)
    algorithm = make_algorithm(name, single.space, single.fidelities, 0, single_fidelity=True)
    assert algorithm.ask().fidelity == 9
    assert algorithm.notes == ["single fidelity: every evaluation at 9 epochs"]
