"""What train.py does when nothing is chosen: a recipe whose ranking is worth looking at, in place of bare defaults."""

from __future__ import annotations

from collections.abc import Sequence

RECIPE = "recipe=nasbench201_first"
CHOOSES = frozenset({"recipe", "space", "data", "benchmark", "mode", "distribution", "checkpoint"})
"""Whoever types one of these says what to run; the recipe would contradict it, or be taken for it."""
OTHER_CONFIGURATION = ("--config-name", "-cn", "--config-path", "-cp")


def with_first_recipe(arguments: Sequence[str]) -> list[str]:
    """The command line with the first run's recipe beside its overrides, unless it says what to run.

    Args:
        arguments: What was typed behind the program's name: overrides and Hydra's own flags.

    Returns:
        The same, with ``recipe=nasbench201_first`` added where no recipe, space, data, table, mode, distribution or
        checkpoint is named, by ``space=`` or any ``space.``…, and the configuration is the packaged one.

    >>> with_first_recipe(["seed=1", "-m", "heuristics/batch_norm=untracked,tracked"])
    ['recipe=nasbench201_first', 'seed=1', '-m', 'heuristics/batch_norm=untracked,tracked']
    >>> with_first_recipe(["--cfg", "job", "seed=1"])  # the parser of flags wants the overrides in one row
    ['--cfg', 'job', 'recipe=nasbench201_first', 'seed=1']
    >>> with_first_recipe(["space=nasbench101"])
    ['space=nasbench101']
    >>> with_first_recipe(["++data.name=mine"])
    ['++data.name=mine']
    """
    chosen = {argument.lstrip("+~").partition("=")[0].partition(".")[0] for argument in arguments}
    if chosen & CHOOSES or any(argument.startswith(OTHER_CONFIGURATION) for argument in arguments):
        return list(arguments)
    overrides = (at for at, argument in enumerate(arguments) if "=" in argument and not argument.startswith("-"))
    at = next(overrides, len(arguments))
    return [*arguments[:at], RECIPE, *arguments[at:]]
