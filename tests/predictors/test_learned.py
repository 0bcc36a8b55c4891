"""A ranker as a predictor: what it learns from is never judged, twins included."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from nas_lightning.plan import Mapping
from nas_lightning.predictors.base import Context, PredictorError, checked_scores
from nas_lightning.predictors.learned import Learned
from nas_lightning.predictors.ranker import RankerError
from nas_lightning.ranking.correlation import kendall_tau
from nas_lightning.spaces import get_space

SPACE = get_space("nasbench201")


def worth(archs):
    return np.array([sum(p.count("nor_conv_3x3") for p in SPACE.paths(a) if "none" not in p) / 7 for a in archs])


def context(n=300, **more):
    archs = [SPACE.from_index(i) for i in range(n)]
    return Context(SPACE, archs, Mapping(channels=16, layers=5), table=SimpleNamespace(accuracies=worth), **more)


def test_it_orders_the_others_and_judges_no_twin():
    given = context()
    scores = checked_scores(Learned(labels=40, ranker="ridge"), given)
    keys = np.array([SPACE.key(a) for a in given.architectures])
    left_out = np.isnan(scores)
    assert len(set(keys[left_out])) == 40
    assert not set(keys[left_out]) & set(keys[~left_out])
    assert kendall_tau(scores[~left_out], worth(given.architectures)[~left_out]) > 0.7


def test_columns_stand_beside_the_encoding():
    given = context(columns={"net": worth(context().architectures)})
    alone, helped = (
        checked_scores(Learned(labels=10, ranker="ridge", encoding=["operations"], columns=columns), given)
        for columns in ((), ("net",))
    )
    truth, judged = worth(given.architectures), ~np.isnan(alone)
    assert kendall_tau(helped[judged], truth[judged]) > kendall_tau(alone[judged], truth[judged])


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"labels": 5000}, PredictorError, "learns from 5000 architectures"),
        ({"columns": ["net"]}, PredictorError, "wants the column net"),
        ({"ranker": "forest"}, RankerError, "did you mean random_forest"),
    ],
)
def test_wrong_settings_are_a_sentence(settings, error, sentence):
    with pytest.raises(error, match=sentence):
        Learned(**settings)(context(100))


def test_equal_labels_teach_nothing_and_are_a_sentence_of_the_predictor():
    equal = replace(context(100), table=SimpleNamespace(accuracies=lambda archs: np.full(len(archs), 0.5)))
    with pytest.raises(PredictorError, match=r"learned: all 10 labels equal 0\.5"):
        Learned(labels=10, ranker="ridge")(equal)
