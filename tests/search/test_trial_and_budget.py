"""Fidelity levels, rungs and budgets."""

import pytest

from nas_lightning.search.budget import Budget
from nas_lightning.search.trial import Fidelities, SearchError


def test_rungs_of_listed_levels():
    assert Fidelities("epochs", (4, 12, 36, 108)).rungs(3) == (4, 12, 36, 108)
    assert Fidelities("epochs", (4, 12, 36, 108)).rungs(9) == (12, 108)
    assert Fidelities("epochs", (12, 200)).rungs(3) == (12, 200)
    assert Fidelities("epochs", (200,)).rungs(3) == (200,)


def test_rungs_of_a_range():
    assert Fidelities("epochs", tuple(range(1, 82)), continuous=True).rungs(3) == (1, 3, 9, 27, 81)
    assert Fidelities("seeds", tuple(range(1, 9)), continuous=True).rungs(2) == (1, 2, 4, 8)


@pytest.mark.parametrize("levels", [(), (0, 1), (3, 3), (4, 2)])
def test_bad_levels_are_refused(levels):
    with pytest.raises(SearchError, match="ascending positive"):
        Fidelities("epochs", levels)


@pytest.mark.parametrize("amount", [0, -1])
def test_a_budget_of_nothing_is_refused(amount):
    with pytest.raises(SearchError, match="leaves nothing to search with"):
        Budget("evaluations", amount)


@pytest.mark.parametrize("amount", [float("nan"), float("inf")])
def test_a_budget_without_end_is_refused(amount):
    with pytest.raises(SearchError, match="would never be spent"):
        Budget("evaluations", amount)


def test_an_unknown_unit_lists_the_known():
    with pytest.raises(SearchError, match="evaluations, epochs, seconds"):
        Budget("hours", 1)


def test_shares_of_a_third_do_not_buy_one_more():
    budget, spent, count = Budget("evaluations", 1), 0.0, 0
    while not budget.is_spent(spent):
        spent += 1 / 3 if count < 2 else 1 - 2 / 3
        count += 1
    assert count == 3
    assert not budget.is_spent(0.99)
