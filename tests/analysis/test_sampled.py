"""The estimated footprint part by part, on a regression that is known, and its reading of tables with holes."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from nas_lightning.analysis import sampled
from nas_lightning.analysis.landscape_command import sampled as of_table
from nas_lightning.analysis.walks import ascend, random_walks
from nas_lightning.spaces import get_space

SPACE = get_space("nasbench201")
ENDS = tuple(map(SPACE.parse, ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
                               "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|"
                               "nor_conv_3x3~2|")))  # fmt: skip
ROWS = [SPACE.sample(np.random.default_rng(i)) for i in range(30)]


def two_hills(archs):
    """Two maxima: the better one has the smaller basin."""
    genomes = np.stack([SPACE.encode(arch) for arch in archs])
    steep, wide = ((genomes != SPACE.encode(end)).sum(1) for end in ENDS)
    return np.maximum(10 - 3.0 * steep, 9 - wide)


class Known:
    def predict(self, features):
        genes = features.reshape(len(features), 6, 5).argmax(2)
        return two_hills([SPACE.decode(genome) for genome in genes])


@pytest.fixture
def found(monkeypatch):
    monkeypatch.setattr(sampled, "_fitted", lambda features, fitness, seed: (Known(), 0.5))
    rng = np.random.default_rng(3)
    return sampled.estimated_footprint(
        SPACE, ROWS, two_hills(ROWS), rng, walks=20, steps=12, ascents=48, resamples=20
    )  # fmt: skip


def test_walks_and_ascents_are_those_of_the_regression(found):
    rng = np.random.default_rng(3)
    rng.integers(2**31)  # the regression's seed
    along = random_walks(SPACE, two_hills, rng, walks=20, steps=12)
    ends = [ascend(SPACE, two_hills, SPACE.sample(rng)) for _ in range(48)]
    best = np.mean([arch == ENDS[0] for arch, _ in ends])
    assert 0 < best < 0.5, "the better hill is not the one that most ascents end at"
    row = found.as_dict()
    assert row["basin_of_best"] == pytest.approx(best)
    assert row["mean_steps"] == pytest.approx(np.mean([steps for _, steps in ends]))

    def rho(values, lag):
        centred = values - values.mean()
        return (centred[:, lag:] * centred[:, :-lag]).mean() / centred.var()

    assert row["rho_1"] == pytest.approx(rho(along, 1))
    assert row["ruggedness"] == pytest.approx(1 / rho(along, 1))
    assert row["rank_rho_1"] == pytest.approx(rho(stats.rankdata(along).reshape(along.shape), 1))
    assert found.autocorrelation == pytest.approx([rho(along, lag) for lag in range(1, 11)])


def test_an_interval_of_a_mean_is_that_of_its_standard_error():
    values = np.random.default_rng(0).normal(size=400)
    found = sampled._of_rows(lambda rows: values[rows].mean(), 400, np.random.default_rng(1), 4000)
    assert found.value == values.mean()
    wanted = 1.96 * values.std() / 20
    assert (found.high - found.value, found.value - found.low) == pytest.approx((wanted, wanted), rel=0.1)


def test_the_tau_of_a_regression_is_of_rows_that_it_has_not_seen():
    noise = np.random.default_rng(0).random(60)
    model, tau = sampled._fitted(np.stack([SPACE.one_hot(SPACE.sample(np.random.default_rng(i))) for i in range(60)]),
                                 noise, seed=0)  # fmt: skip
    assert abs(tau) < 0.3
    assert hasattr(model, "predict")


def test_rows_without_a_number_in_some_epoch_are_left_out():
    rng = np.random.default_rng(0)
    archs = [SPACE.sample(rng) for _ in range(40)]
    late, early = rng.random(40), rng.random(40)
    late[3], early[5] = np.nan, np.nan
    table = SimpleNamespace(
        domain=SPACE, default_metric="accuracy", architectures=lambda: archs,
        epochs=lambda metric: [1, 9] if metric == "accuracy" else [],
        metric_values=lambda metric=None, epochs=None: early if epochs == 1 else late,
    )  # fmt: skip
    given = SimpleNamespace(metric=None, epochs=None, seed=0, walks=2, steps=4, ascents=16)
    found = of_table(table, given)
    assert found.rows == 38
    assert found.best == np.delete(late, [3, 5]).max()
    assert found.epochs == (1, 9)
