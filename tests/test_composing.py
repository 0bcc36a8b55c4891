"""What the tests compose quickly is what Hydra composes: equal values of equal types, and the same refusals."""

import pytest
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from tests.helpers.composing import PLAIN, composed_anew, composed_by

TYPED = (
    ("train", ("recipe=nasbench201_quick", "plan.protocol.epochs=3", "seed=4", "runs=/some/where-1", "study=mine")),
    ("train", ("space=nasbench101", "plan.protocol.learning_rate=1e-3", "plan.protocol.momentum=0.5", "force=true")),
    ("train", ("heuristics/sampling=fairnas", "evaluation.every=1", "benchmark=none", "data.image_size=null")),
    ("train", ("trainer.devices='2'", "evaluation.fuse=[parameters]", "seed=3", "+heuristics.mine.x=1")),
    ("train", ("seed=1", "evaluation={every: 3}", "evaluation.every=2")),
    ("search", ("algorithm=nsga2", "budget.amount=12", "objective.fidelity=none", "algorithm.population=7")),
)


def kinds(config):
    return {key: type(value) for key, value in OmegaConf.to_container(config, resolve=False).items()}


@pytest.mark.parametrize(("script", "overrides"), TYPED, ids=[overrides[0] for _, overrides in TYPED])
def test_it_equals_hydras(script, overrides):
    expected = composed_anew(script, overrides)
    for _ in range(2):  # the second shares the first one's composition, which the first one's owner has changed
        found = composed_by(script, overrides)
        assert found == expected
        assert kinds(found) == kinds(expected)
        assert OmegaConf.is_struct(found) == OmegaConf.is_struct(expected)
        found.seed = 77


def test_what_hydra_refuses_is_refused_in_its_words():
    for override in ("plan.protocol.lerning_rate=1", "seed=mine", "plan.protocol.epochs=0.5"):
        assert PLAIN.fullmatch(override)
        said = []
        for compose in (composed_anew, composed_by):
            with pytest.raises(ConfigCompositionException) as refusal:
                compose("train", (override,))
            said.append(str(refusal.value))
        assert said[0] == said[1]
