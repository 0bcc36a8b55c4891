"""Published searches as one choice: every file composes, and says what it reproduces."""

import pytest

from tests.helpers.composing import CONF, composed_by

RECIPES = sorted(p.stem for p in (CONF / "search_recipe").glob("*.yaml"))


def composed(*overrides):
    return composed_by("search", overrides)


def test_the_default_recipe_changes_nothing():
    assert composed() == composed("search_recipe=none")


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "none"])
def test_a_recipes_header_has_its_command_and_the_numbers_to_expect(recipe):
    header = [s for s in (CONF / "search_recipe" / f"{recipe}.yaml").read_text().splitlines() if s.startswith("#")]
    assert any(f"python search.py search_recipe={recipe}" in line for line in header)
    assert any("perplexity" in line for line in header)


def test_random_search_with_weight_sharing_is_the_papers():
    cfg = composed("search_recipe=rnn_ptb_ws", "data=ptb")
    assert (cfg.space.name, cfg.data.name, cfg.benchmark.name) == ("rnn_ptb", "ptb", None)
    assert (cfg.algorithm.name, cfg.objective.name, cfg.budget.amount) == ("random_search", "supernet", 2000)
    assert cfg.objective.train_top_k
    assert (cfg.plan.mapping.channels, cfg.plan.protocol.epochs) == (850, 300)
    assert cfg.plan.protocol.learning_rate == 20


def test_asha_starts_at_one_epoch_and_ends_at_three_hundred():
    cfg = composed("search_recipe=rnn_ptb_asha")
    assert (cfg.data.name, cfg.algorithm.name, cfg.algorithm.eta) == ("topics", "asha", 4)
    assert (cfg.objective.name, cfg.objective.min_epochs, cfg.plan.protocol.epochs) == ("training", 1, 300)
    assert (cfg.budget.unit, cfg.budget.amount) == ("epochs", 2400)
