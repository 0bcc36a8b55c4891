"""Heuristics beyond the 14: weight averaging, sharing curriculum, label smoothing, in-place distillation."""

import copy
import functools

import pytest
import torch
import yaml
from torch.nn import functional as F

from callbacks.label_smoothing import LabelSmoothing
from callbacks.sharing_curriculum import SharingCurriculum
from callbacks.weight_averaging import WeightAveraging
from nas_lightning.errors import UserError
from nas_lightning.heuristic import NotApplicableError, fold
from nas_lightning.modes.job import compose as compose_job
from nas_lightning.plan import PlanError
from nas_lightning.training.module import SuperNetModule
from tests.helpers.commands import composed
from tests.helpers.interrupted import assert_goes_on_with_the_same_bits
from tests.helpers.small_plans import CONF, build, data_for, small_plan, trained

EXTRA = sorted((CONF / "extra").glob("*.yaml"))
STEPS = data_for(small_plan("nasbench201")).loader().__len__()


def weights(module):
    return [p.detach().clone() for p in module.parameters()]


@pytest.mark.slow
@pytest.mark.parametrize("path", EXTRA, ids=lambda p: p.stem)
def test_an_extra_joins_the_fourteen_and_counts_in_the_hash(path):
    assert f"# @package heuristics.{path.stem}" in path.read_text()
    job, plain = compose_job(composed(f"extra={path.stem}")), compose_job(composed())
    heuristic = build(path)
    assert heuristic.factor == path.stem == path.name.removesuffix(".yaml")
    assert yaml.safe_load(path.read_text())["_target_"].startswith(f"callbacks.{path.stem}.")
    (found,) = (h.settings(job.base) for h in job.heuristics if h.active)
    # What the file takes from the rest of the configuration (${...}) is resolved in the job.
    written = {name: value for name, value in heuristic.settings(job.base).items() if "${" not in str(value)}
    assert written
    assert written.items() <= found.items()
    assert len(job.heuristics) == 15
    assert job.hash != plain.hash


@pytest.mark.slow
def test_the_average_is_ranked_and_the_training_does_not_notice():
    plan = small_plan("nasbench201")
    start = weights(SuperNetModule("nasbench201", plan, 10, 1, 0))
    runs = [weights(trained("nasbench201", plan, steps=n)) for n in range(1, STEPS + 1)]
    averaging = WeightAveraging(0.5)
    averaged = weights(trained("nasbench201", plan, averaging, steps=STEPS))
    expected = start
    for step, values in enumerate(runs, start=1):
        decay = min(0.5, (1 + step) / (10 + step))
        expected = [decay * e + (1 - decay) * v for e, v in zip(expected, values, strict=True)]
    for a, e in zip(averaged, expected, strict=True):
        torch.testing.assert_close(a, e, rtol=0, atol=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(averaging.state_dict()["raw"], runs[-1], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(averaged, runs[-1], strict=True))


def test_averaging_goes_on_after_an_interruption_with_the_same_bits(tmp_path):
    assert_goes_on_with_the_same_bits(
        tmp_path, WeightAveraging, "on_train_epoch_start", lambda self, trainer, *_: trainer.current_epoch == 2,
        "extra=weight_averaging", "plan.protocol.epochs=3", "plan.protocol.train_portion=0.3", "benchmark=none",
        "trainer.checkpoint_every=1", "evaluation.architectures=random2_seed0",
    )  # fmt: skip


def test_averaged_weights_and_tracked_statistics_exclude_each_other():
    plan = small_plan("nasbench201", protocol__track_running_stats=True)
    with pytest.raises(PlanError, match="extra=weight_averaging and heuristics/batch_norm"):
        fold(plan, "nasbench201", [WeightAveraging(0.9)])
    with pytest.raises(PlanError, match=r"decay=1.5 is out of range"):
        WeightAveraging(1.5)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ("extra=weight_averaging", "heuristics/batch_norm=tracked"),
            "extra=weight_averaging and heuristics/batch_norm",
        ),
        (
            ("extra=sharing_curriculum", "heuristics/op_placement=node"),
            "heuristics/op_placement=node exclude each other",
        ),
        (("extra=path_tournament", "heuristics/sampling=fairnas"), "extra=path_tournament. does not go with"),
        (("init_seed=-1",), "init_seed=-1 is out of range"),
        (("init_seed=0", "mode=table"), "init_seed does not go with mode=table"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(overrides, message):
    with pytest.raises(UserError, match=message):
        compose_job(composed(*overrides))


def groups_of(module, extent):
    """Parameters that `extent` ties, by the rest of their names."""
    found = {}
    for name, parameter in module.named_parameters():
        if ".places." in name:
            before, edge, rest = name.split(".places.")[0], *name.split(".places.")[1].split(".", 1)
            cell = int(before.split(".")[-1])
            where = {"node": (cell, edge[-1]), "cell": cell, "stage": cell // module.plan.mapping.layers}[extent]
            found.setdefault((where, rest), []).append(parameter)
    return [group for group in found.values() if len(group) > 1]


@pytest.mark.parametrize(("extent", "size"), [("stage", 12), ("cell", 6), ("node", 3)])
def test_tied_edges_stay_one_until_they_part(extent, size):
    plan = small_plan("nasbench201", protocol__epochs=1, mapping__layers=2)
    tied = groups_of(trained("nasbench201", plan, SharingCurriculum(extent, 1.0), steps=STEPS), extent)
    assert max(map(len, tied)) == size
    assert all(torch.equal(group[0], other) for group in tied for other in group[1:])
    parted = groups_of(trained("nasbench201", plan, SharingCurriculum(extent, 0.5), steps=STEPS), extent)
    assert not all(torch.equal(group[0], other) for group in parted for other in group[1:])


def test_tied_to_the_end_a_node_is_one_that_owns_its_operations():
    plan = small_plan("nasbench201", protocol__gradient_clip=0.0, protocol__epochs=1)
    node_plan = plan.edited({"mapping.op_placement": "node"})
    untied = SuperNetModule("nasbench201", plan, 10, 1, 0)
    owner = SuperNetModule("nasbench201", node_plan, 10, 1, 0)
    first_edge = {"node1": "0-1", "node2": "0-2", "node3": "0-3"}
    start = untied.state_dict()

    def edge_name(name):
        for node, edge in first_edge.items():
            name = name.replace(f"places.{node}.", f"places.{edge}.")
        return name

    owner.load_state_dict({name: start[edge_name(name)] for name in owner.state_dict()})
    module = trained("nasbench201", plan, SharingCurriculum("node", 1.0), steps=4)
    data = data_for(plan)
    optimizer, loader = owner.configure_optimizers(), data.loader()
    for step in range(4):
        images, labels = loader.batch(step)
        for group in optimizer.param_groups:
            group["lr"] = module.scheduled_rate(step)
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(owner(images, owner.paths(step).architectures[0]), labels).backward()
        optimizer.step()
    found = module.state_dict()
    for name, value in owner.state_dict().items():
        torch.testing.assert_close(found[edge_name(name)], value, rtol=1e-4, atol=1e-5)


def test_a_curriculum_refuses_what_it_cannot_tie():
    node = small_plan("nasbench201", mapping__op_placement="node")
    with pytest.raises(PlanError, match="extra=sharing_curriculum and heuristics/op_placement=node"):
        fold(node, "nasbench201", [SharingCurriculum("cell", 0.5)])
    with pytest.raises(NotApplicableError, match="space=darts_nds"):
        fold(small_plan("darts_nds"), "darts_nds", [SharingCurriculum("cell", 0.5)])
    for wrong, message in ((("all", 0.5), "extent='all'"), (("cell", 1.5), "until=1.5"), (("cell", None), "both")):
        with pytest.raises(PlanError, match=message):
            SharingCurriculum(*wrong)


def test_label_smoothing_sets_its_field():
    """What the field does to a step: tests/training/test_step_by_hand.py."""
    plan = fold(small_plan("nasbench201"), "nasbench201", [LabelSmoothing(0.2)])
    assert plan == small_plan("nasbench201", protocol__label_smoothing=0.2)


def test_distilled_paths_learn_the_largest_ones_predictions():
    plan = small_plan("nasbench201", protocol__sampling="sandwich", protocol__paths_per_step=2,
                      protocol__distillation=True, protocol__gradient_clip=0.0)  # fmt: skip
    module = SuperNetModule("nasbench201", plan, 10, 1, 0)
    reference = copy.deepcopy(module)
    images, labels = data_for(plan).loader().batch(0)
    largest, *others = reference.paths(0).architectures
    teacher = reference(images, largest)
    losses = [F.cross_entropy(teacher, labels)]
    losses += [-(teacher.detach().softmax(1) * reference(images, a).log_softmax(1)).sum(1).mean() for a in others]
    optimizer = reference.configure_optimizers()
    (sum(losses) / len(losses)).backward()
    done = trained("nasbench201", plan, steps=1)
    for group in optimizer.param_groups:
        group["lr"] = done.scheduled_rate(0)
    optimizer.step()
    for a, b in zip(done.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    with pytest.raises(PlanError, match="distillation=true belongs to sampling=sandwich"):
        functools.partial(small_plan, "nasbench201", protocol__distillation=True)()
