"""Every heuristic edits its own fields and nothing else; every YAML binds to its class; conflicts are refused."""

import pytest

from nas_lightning.heuristic import Heuristic, NotApplicableError, fold, owners
from nas_lightning.plan import Plan, PlanError
from nas_lightning.spaces import get_space
from tests.helpers.small_plans import CONF, INAPPLICABLE, build

FILES = sorted((CONF / "heuristics").glob("*/*.yaml"))
BASE = {
    "nasbench101": Plan().edited({"mapping.op_placement": "node"}),
    "nasbench201": Plan(),
    "darts_nds": Plan().edited({"mapping.layers": 12}),
}


def test_there_are_fourteen_factors_with_disjoint_fields():
    factors = sorted(p.name for p in (CONF / "heuristics").iterdir())
    assert len(factors) == 14
    heuristics = [build(CONF / "heuristics" / f / "default.yaml") for f in factors]
    assert [h.factor for h in heuristics] == factors
    owners(heuristics)
    assert all(fold(plan, space, heuristics) == plan for space, plan in BASE.items())


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_setting_changes_its_own_fields_alone(path):
    heuristic = build(path)
    applicable = 0
    for space, plan in BASE.items():
        if (path.parent.name, space) in INAPPLICABLE and path.stem != "default":
            with pytest.raises(NotApplicableError, match=f"space={space}"):
                fold(plan, space, [heuristic])
            continue
        edited = fold(plan, space, [heuristic])
        applicable += 1
        before, after = plan.flat(), edited.flat()
        assert {name for name in before if before[name] != after[name]} <= set(heuristic.fields)
        assert all(after[name] == value for name, value in heuristic.edits(plan).items())
    assert applicable


def test_a_scale_multiplies_the_starting_point_and_is_refused_where_it_changes_nothing():
    from callbacks.channels import Channels
    from callbacks.layers import Layers

    assert fold(Plan().edited({"mapping.channels": 5}), "nasbench201", [Channels(scale=0.5)]).mapping.channels == 3
    with pytest.raises(NotApplicableError, match=r"scale=0\.5 does not apply to mapping\.layers=1"):
        fold(Plan().edited({"mapping.layers": 1}), "nasbench201", [Layers(scale=0.5)])
    with pytest.raises(NotApplicableError, match="2 cells does not apply to space=darts_nds"):
        fold(Plan().edited({"mapping.layers": 4}), "darts_nds", [Layers(scale=0.5)])
    assert fold(Plan().edited({"mapping.layers": 6}), "darts_nds", [Layers(scale=0.5)]).mapping.layers == 3
    with pytest.raises(
        PlanError, match=r"scale=2 multiplies mapping\.channels, which heuristics\.channels also sets, to 8"
    ):
        Channels(value=8, scale=2)
    with pytest.raises(PlanError, match="scale=0 is out of range"):
        Channels(scale=0)


def test_a_scale_of_the_learning_rate_keeps_the_shape_of_its_schedule():
    from callbacks.learning_rate import LearningRate
    from callbacks.weight_decay import WeightDecay

    plan = Plan().edited({"protocol.learning_rate": 0.2, "protocol.learning_rate_min": 0.01})
    folded = fold(plan, "nasbench201", [LearningRate(schedule="linear", scale=0.5)]).protocol
    assert (folded.learning_rate, folded.learning_rate_min, folded.schedule) == (0.1, 0.005, "linear")
    with pytest.raises(PlanError, match=r"scale=2 multiplies protocol\.learning_rate_min"):
        LearningRate(minimum=0.1, scale=2)
    with pytest.raises(NotApplicableError, match=r"scale=10 does not apply to protocol\.weight_decay=0\.0: it stays"):
        fold(Plan().edited({"protocol.weight_decay": 0.0}), "nasbench201", [WeightDecay(scale=10)])


def test_numbers_meant_for_images_do_not_apply_to_networks_that_read_tokens():
    from callbacks.learning_rate import LearningRate

    plan = Plan().edited({"mapping.channels": 8, "mapping.layers": 1})
    with pytest.raises(NotApplicableError, match="meant for networks that read images, and these read tokens"):
        fold(plan, "rnn_ptb", [LearningRate(value=0.1, inputs="images")])
    assert fold(plan, "rnn_ptb", [LearningRate(value=10.0)]).protocol.learning_rate == 10
    assert fold(plan, "nasbench201", [LearningRate(value=0.1, inputs="images")]).protocol.learning_rate == 0.1


def test_two_owners_of_one_field_are_refused():
    class Rival(Heuristic):
        factor, fields = "rival", ("protocol.epochs",)

    with pytest.raises(PlanError, match=r"epochs and rival both own protocol\.epochs"):
        owners([build(CONF / "heuristics/epochs/default.yaml"), Rival()])


def test_settings_that_contradict_each_other_are_refused():
    from callbacks.batch_norm import BatchNorm

    with pytest.raises(PlanError, match="track_running_stats=false"):
        fold(Plan(), "nasbench201", [BatchNorm(evaluation="tracked", track=False)])


def test_one_kernel_for_all_sizes_is_refused_where_there_is_one_size_alone():
    from callbacks.ofa_kernel import OFAKernel

    plan = Plan().edited({"mapping.layers": 8})
    with pytest.raises(NotApplicableError, match="space=nasbench_macro, where no two operations differ in the kernel"):
        OFAKernel("crop").check(plan, get_space("nasbench_macro"))
    OFAKernel("crop").check(plan, get_space("nasbench201"))
