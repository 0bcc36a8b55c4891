"""A zero-cost proxy guides a search."""

import math
from dataclasses import replace

import numpy as np
import pytest

from nas_lightning.config.schema import (
    DataSchema,
    MappingSchema,
    PlanSchema,
    ProtocolSchema,
    SpaceSchema,
    TrainerSchema,
)
from nas_lightning.config.search_schema import SearchConfig, ZeroCostObjectiveSchema
from nas_lightning.errors import UserError
from nas_lightning.objectives.candidate import task_of
from nas_lightning.objectives.zerocost import zerocost_objective
from nas_lightning.plan import Mapping, Plan
from nas_lightning.predictors.base import Context, make_predictor
from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search
from nas_lightning.search.outcome import conclude
from nas_lightning.search.trial import SearchError, Trial
from nas_lightning.spaces import get_space

PROTOCOL = {"epochs": 1, "batch_size": 40, "train_portion": 0.5, "learning_rate": 0.1}
CONFIG = SearchConfig(
    space=SpaceSchema("nasbench201"),
    data=DataSchema("digits", root="data", max_train_images=240),
    plan=PlanSchema(MappingSchema(channels=4, layers=1), ProtocolSchema(**PROTOCOL)),
    trainer=TrainerSchema(accelerator="cpu"),
    seed=3,
)
SPACE = get_space("nasbench201")
DEAD = SPACE.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|none~0|none~1|none~2|")


def objective(proxy="synflow", benchmark=None, config=None, measures=(), **settings):
    settings = ZeroCostObjectiveSchema(proxy=proxy, **settings)
    return zerocost_objective(replace(CONFIG, **(config or {})), settings, "evaluations", benchmark, measures)


def cells(n):
    rng = np.random.default_rng(0)
    return list(dict.fromkeys([SPACE.sample(rng) for _ in range(n)]))


class Table:
    """Cells with a truth of 0.1 times their place."""

    sha256 = "0" * 64

    def __init__(self, archs):
        self.archs = archs

    def __len__(self):
        return len(self.archs)

    def architectures(self):
        return self.archs

    def accuracies(self, wanted):
        return np.array([0.1 * self.archs.index(arch) if arch in self.archs else np.nan for arch in wanted])


@pytest.mark.parametrize("name", ["synflow", "naswot"])
def test_the_value_is_the_proxy_of_the_untrained_network(name):
    archs = cells(3)
    data = task_of(CONFIG.data, Plan.from_dict({"protocol": PROTOCOL}), 3)
    data.setup()
    mapping = Mapping(channels=4, layers=1)
    context = Context(
        SPACE, archs, mapping, in_channels=1, image_size=8, seed=3, batches=data.evaluation_batches(64, 64)
    )
    found = objective(name).evaluate([Trial(arch, 1) for arch in archs])
    assert [m.value for m in found] == make_predictor(name)(context).tolist()
    assert [m.cost for m in found] == [1, 1, 1]


def test_a_dead_cell_is_a_failed_evaluation_and_no_score_is_computed_twice(monkeypatch):
    judge = objective(measures=("params",))
    first = judge.evaluate([Trial(DEAD, 1), Trial(cells(1)[0], 1)])
    assert first[0].value == -math.inf
    assert math.isfinite(first[1].value)
    assert first[1].measures == {"params": SPACE.parameters(cells(1)[0], channels=4, layers=1, in_channels=1)}
    monkeypatch.setattr(judge, "_context", None)
    assert judge.evaluate([Trial(DEAD, 1)])[0] == first[0]


def test_a_search_reports_the_truth_of_the_best_score():
    archs = cells(6)
    judge = objective(benchmark=Table(archs))
    algorithm = make_algorithm("random_search", judge.space, judge.fidelities, 0)
    records = Search(algorithm, judge, Budget("evaluations", 40)).run()
    scores = [m.value for m in judge.evaluate([Trial(arch, 1) for arch in archs])]
    metrics, _ = conclude(records, judge, 2)
    best = int(np.argmax(scores))
    assert metrics["found"]["architecture"] == str(archs[best])
    assert metrics["found"]["truth"] == pytest.approx(0.1 * best)
    assert judge.all_truths().tolist() == pytest.approx([0.1 * i for i in range(len(archs))])
    assert objective(benchmark=Table(archs), architectures="space").space is not judge.space


def test_what_scores_and_what_it_looks_at_count_in_the_name():
    given = objective("naswot").identity()
    others = [
        objective("zen"),
        objective({"_target_": "naswot", "batch_size": 32}),
        objective("naswot", config={"data": replace(CONFIG.data, max_train_images=200)}),
        objective("naswot", config={"plan": PlanSchema(MappingSchema(channels=8, layers=1), CONFIG.plan.protocol)}),
        objective("naswot", benchmark=Table(cells(5))),
    ]
    assert all(other.identity() != given for other in others)
    assert objective("naswot").identity() == given


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"proxy": "linear_operation_counts"}, "fitted on true accuracies: choose a proxy without labels"),
        ({"proxy": "accuracy"}, "looks at a trained super-net: choose a proxy of initial weights"),
        ({"proxy": {"_target_": "naswot", "weights": "shared"}}, "or objective=supernet"),
        ({"proxy": "synflo"}, "did you mean synflow"),
        ({"proxy": {"batch_size": 3}}, "has no _target_"),
        ({"architectures": "all"}, "choose space or table"),
        ({"architectures": "table"}, "needs a table"),
        ({"measures": ("latency",)}, "cannot measure latency"),
        ({"config": {"space": SpaceSchema("fcnet")}}, "has tables but no network"),
    ],
)
def test_what_cannot_guide_is_refused_in_one_sentence(changed, sentence):
    with pytest.raises(UserError, match=sentence) as refused:
        objective(**changed)
    assert "\n" not in str(refused.value)


def test_scores_are_counted_in_evaluations():
    with pytest.raises(SearchError, match=r"cannot count seconds here: choose budget.unit from evaluations"):
        zerocost_objective(CONFIG, ZeroCostObjectiveSchema(), "seconds", None)
