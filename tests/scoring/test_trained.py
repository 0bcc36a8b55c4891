"""What tells trained super-nets apart."""

import pytest

from nas_lightning.scoring.trained import checkpoint_labels


@pytest.mark.parametrize(
    ("seeds", "recipes", "expected"),
    [
        ((0, 1), ("deep", "deep"), ["seed0", "seed1"]),
        ((0, 0), ("deep", "best"), ["deep", "best"]),
        ((0, 0), ("deep", "deep"), ["checkpoint1", "checkpoint2"]),
        ((0, 0), ("deep", None), ["checkpoint1", "checkpoint2"]),
        ((0, 0), ("deep", "../best"), ["checkpoint1", "checkpoint2"]),  # would be part of a folder's name
    ],
)
def test_super_nets_are_told_apart_by_seed_then_recipe_then_number(seeds, recipes, expected):
    assert checkpoint_labels(seeds, recipes) == expected
