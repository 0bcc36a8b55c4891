"""Path tournaments: the largest of the draws is trained, and nothing else changes."""

import numpy as np
import pytest

from callbacks.path_tournament import PathTournament
from nas_lightning.heuristic import fold
from nas_lightning.plan import PlanError
from nas_lightning.spaces import get_space
from nas_lightning.training.paths import PATH_STREAM, PathSampler
from tests.helpers.small_plans import small_plan


def size(space, arch, plan):
    return get_space(space).parameters(arch, channels=plan.mapping.channels, layers=plan.mapping.layers)


@pytest.mark.parametrize("space", ["nasbench101", "nasbench201", "darts_nds"])
def test_the_largest_of_the_draws_is_trained(space):
    plain = small_plan(space)
    plan = fold(plain, space, [PathTournament(3)])
    assert plan == plain.edited({"protocol.tournament": 3})
    sampler, single = PathSampler(space, plan, seed=4), PathSampler(space, plain, seed=4)
    for step in range(20):
        rng = np.random.default_rng((4, step, PATH_STREAM))
        draws = [single.drawn(rng) for _ in range(3)]
        (trained,) = sampler.paths(step).architectures
        assert size(space, trained, plan) == max(size(space, arch, plan) for arch in draws)
        assert trained in draws
        assert draws[0] == single.paths(step).architectures[0]
    assert sampler.passes_per_step() == 1


def test_several_paths_have_tournaments_of_their_own_and_the_extremes_none():
    plan = small_plan("nasbench201", protocol__paths_per_step=2, protocol__tournament=4)
    mean = {
        t: np.mean(
            [
                size("nasbench201", arch, plan)
                for step in range(60)
                for arch in PathSampler("nasbench201", plan.edited({"protocol.tournament": t}), 0)
                .paths(step)
                .architectures
            ]
        )
        for t in (1, 4)
    }
    assert mean[4] > 1.3 * mean[1]
    assert len(PathSampler("nasbench201", plan, 0).paths(0).architectures) == 2
    sandwich = {"protocol.sampling": "sandwich"}
    extremes = [
        PathSampler("nasbench201", plan.edited(sandwich | {"protocol.tournament": t}), 0).extremes for t in (1, 4)
    ]
    assert extremes[0] == extremes[1]


def test_a_tournament_and_fairnas_exclude_each_other():
    plan = small_plan("nasbench201", protocol__sampling="fairnas")
    with pytest.raises(PlanError, match=r"extra=path_tournament. does not go with sampling=fairnas"):
        fold(plan, "nasbench201", [PathTournament(2)])
    with pytest.raises(PlanError, match=r"tournament=2 .* does not go with sampling=fairnas"):
        plan.edited({"protocol.tournament": 2})
    with pytest.raises(PlanError, match="tournament=0 is out of range"):
        fold(small_plan("nasbench201"), "nasbench201", [PathTournament(0)])
