"""Training a super-net: what moves, what does not, and what a step's gradient is."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.nn import functional as F

from nas_lightning.nets.norm import BatchNorm
from nas_lightning.plan import Plan
from nas_lightning.scoring.score import score
from nas_lightning.spaces import get_space
from nas_lightning.training.module import StandaloneModule, SuperNetModule, load_network
from tests.helpers import small_plans
from tests.helpers.small_plans import SMALL, data_for, quiet_trainer, trained

pytestmark = pytest.mark.slow


def small_plan(space="nasbench201", **protocol):
    """One epoch of 7 steps."""
    few = {"protocol__epochs": 1, "protocol__batch_size": 50, "protocol__train_portion": 0.2}
    return small_plans.small_plan(space, **few | {f"protocol__{name}": value for name, value in protocol.items()})


def train(plan, space="nasbench201", seed=0, *callbacks, **options):
    return trained(space, plan, *callbacks, steps=None, seed=seed, **options)


@pytest.mark.parametrize("space", SMALL)
def test_two_runs_of_one_seed_are_bit_identical(space):
    plan = small_plan(space)
    first, second = (train(plan, space).network.state_dict() for _ in range(2))
    other = train(plan, space, 1).network.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_parameters_of_paths_not_sampled_do_not_move():
    plan = small_plan(epochs=2, weight_decay=0.1)

    class OnePath(SuperNetModule):
        def paths(self, step):
            from nas_lightning.training.paths import StepPaths

            # All edges are convolutions 1x1 in the first step, so that momentum is there, and pooling afterwards.
            text = "nor_conv_1x1" if step == 0 else "avg_pool_3x3"
            return StepPaths(
                (get_space("nasbench201").parse(f"|{text}~0|+|{text}~0|{text}~1|+|{text}~0|{text}~1|{text}~2|"),), 1.0
            )

    module = OnePath("nasbench201", plan, 10, 1, 0)
    start = {name: p.detach().clone() for name, p in module.network.named_parameters()}
    after_first = {}

    class Snapshot(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if not after_first:
                after_first.update({n: p.detach().clone() for n, p in pl_module.network.named_parameters()})

    quiet_trainer(Snapshot(), max_epochs=plan.protocol.epochs).fit(module, datamodule=data_for(plan))
    conv1 = {n for n in start if "places" in n and (".weights.1" in n or "norms.1" in n)}
    conv3 = {n for n in start if "places" in n and (".weights.3" in n or "norms.3" in n)}
    final = dict(module.network.named_parameters())
    assert conv1
    assert conv3
    assert all(torch.equal(final[n], start[n]) for n in conv3)  # never sampled
    assert all(not torch.equal(after_first[n], start[n]) for n in conv1 if "norms" not in n)
    assert all(torch.equal(final[n], after_first[n]) for n in conv1)  # neither momentum nor decay afterwards


@pytest.mark.parametrize("space", SMALL)
def test_fairnas_step_is_one_sgd_step_on_the_summed_gradient(space):
    plan = small_plan(space, sampling="fairnas", gradient_clip=0.0, weight_decay=0.0, momentum=0.0, schedule="constant")
    module = SuperNetModule(space, plan, 10, 1, 0)
    images, labels = data_for(plan).loader().batch(0)
    before = {n: p.detach().clone() for n, p in module.network.named_parameters()}
    expected = {n: torch.zeros_like(p) for n, p in before.items()}
    for arch in module.paths(0).architectures:
        module.network.zero_grad(set_to_none=True)
        F.cross_entropy(module.network(images, arch), labels).backward()
        for name, p in module.network.named_parameters():
            if p.grad is not None:
                expected[name] += p.grad
    steps = []

    class Count(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            steps.append(trainer.global_step)

    quiet_trainer(Count(), max_steps=1).fit(module, datamodule=data_for(plan))
    assert steps == [1]
    for name, p in module.network.named_parameters():
        torch.testing.assert_close(p, before[name] - plan.protocol.learning_rate * expected[name], rtol=1e-4, atol=1e-6)


def test_tracking_changes_evaluation_only():
    untracked, tracked = (train(small_plan(epochs=3, track_running_stats=t)).network for t in (False, True))
    weights = dict(untracked.named_parameters())
    assert all(torch.equal(p, weights[n]) for n, p in tracked.named_parameters())
    data, arch = data_for(small_plan()), get_space("nasbench201").sample(np.random.default_rng(0))
    batches = data.evaluation_batches(100, None, "cpu")
    same = [score(net, [arch], batches)["negative_cross_entropy"][0] for net in (untracked, tracked)]
    assert same[0] == same[1]
    assert score(tracked, [arch], batches, statistics="tracked")["negative_cross_entropy"][0] != same[0]
    with pytest.raises(ValueError, match="kept no running statistics"):
        score(untracked, [arch], batches, statistics="tracked")


def test_recalibrated_statistics_are_the_exact_moments(monkeypatch):
    plan, arch = (
        small_plan(),
        get_space("nasbench201").parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"),
    )
    module, data = SuperNetModule("nasbench201", plan, 10, 1, 0), data_for(plan)
    images = data.normalize(data.train_set.images[:120])
    seen = []
    module.network.stem_norm.register_forward_pre_hook(lambda m, inputs: seen.append(inputs[0].double()))
    batches = data.evaluation_batches(100, 100, "cpu")
    inner = []
    original = BatchNorm.recalibrated

    def spy(self):
        inner.append((self, original(self)))
        return inner[-1][1]

    monkeypatch.setattr(BatchNorm, "recalibrated", spy)
    score(
        module.network, [arch], batches, statistics="recalibrate", calibration=[images[:30], images[30:70], images[70:]]
    )
    # The stem's input does not depend on how the calibration images are cut into batches, deeper layers' inputs do.
    mean, variance = next(value for layer, value in inner if layer is module.network.stem_norm)
    x = torch.cat(seen[:3])
    torch.testing.assert_close(mean, x.mean((0, 2, 3)).float())
    torch.testing.assert_close(variance, x.var((0, 2, 3), correction=0).float())
    assert all(
        layer.pool is None and layer.statistics == "batch"
        for layer in module.network.modules()
        if isinstance(layer, BatchNorm)
    )


@pytest.mark.parametrize("mode", ["batch", "recalibrate"])
def test_scoring_in_between_leaves_training_bit_identical(mode):
    plan = small_plan(epochs=3, bn_evaluation=mode, track_running_stats=True)
    archs = [get_space("nasbench201").sample(np.random.default_rng(i)) for i in range(5)]
    data = data_for(plan)
    batches = data.evaluation_batches(100, None, "cpu")

    class Scorer(pl.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            torch.rand(1)  # whatever an evaluation draws must not reach the training
            score(pl_module.network, archs, batches, statistics=mode, calibration=[batches[0][0]])

    plain, scored = train(plan), train(plan, "nasbench201", 0, Scorer())
    state = scored.network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in plain.network.state_dict().items())
    assert scored.network.training


def test_checkpoint_rebuilds_the_network_without_heuristics(tmp_path):
    plan = small_plan("nasbench101")
    module = SuperNetModule("nasbench101", plan, 10, 1, 0)
    trainer = quiet_trainer(max_epochs=plan.protocol.epochs)
    trainer.fit(module, datamodule=data_for(plan))
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    network, identity = load_network(tmp_path / "a.ckpt")
    assert Plan.from_dict(identity["plan"]) == plan
    data, arch = data_for(plan), get_space("nasbench101").sample(np.random.default_rng(0))
    batches = data.evaluation_batches(100, None, "cpu")
    assert (
        score(network, [arch], batches)["negative_cross_entropy"]
        == score(module.network, [arch], batches)["negative_cross_entropy"]
    )
    (tmp_path / "cut.ckpt").write_bytes((tmp_path / "a.ckpt").read_bytes()[:1000])
    with pytest.raises(ValueError, match="damaged or not a PyTorch checkpoint"):
        load_network(tmp_path / "cut.ckpt")
    with pytest.raises(ValueError, match="does not exist"):
        load_network(tmp_path / "none.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(ValueError, match="not written by nas-lightning"):
        load_network(tmp_path / "foreign.ckpt")


def test_hooks_that_exist_are_called_and_callbacks_end_as_they_began():
    from pytorch_lightning.profilers import PassThroughProfiler, SimpleProfiler

    from nas_lightning.training.speed import STEP_HOOKS, NoProfiler

    called = []

    class Listener(pl.Callback):
        def on_train_batch_start(self, *_):
            called.append("start")

        def on_before_optimizer_step(self, *_):
            called.append("optimizer")

        def on_train_epoch_end(self, trainer, *_):
            called.append(type(trainer.profiler))

    plan = small_plan()
    for profiler, during in ((None, NoProfiler), (SimpleProfiler(), SimpleProfiler)):
        called.clear()
        listener, idle = Listener(), pl.Callback()
        trainer = quiet_trainer(listener, idle, profiler=profiler, max_epochs=plan.protocol.epochs)
        trainer.fit(SuperNetModule("nasbench201", plan, 10, 1, 0), datamodule=data_for(plan))
        assert called == ["start", "optimizer"] * trainer.global_step + [during]
        assert trainer.global_step > 1
        assert type(trainer.profiler) is (PassThroughProfiler if profiler is None else SimpleProfiler)
        assert not set(vars(listener)) & set(STEP_HOOKS)
        assert not set(vars(idle)) & set(STEP_HOOKS)


def test_standalone_network_learns():
    plan = small_plan(epochs=30, learning_rate=0.1)
    arch = get_space("nasbench201").parse(
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    )
    module, data = StandaloneModule("nasbench201", plan, 10, 1, 0, arch), data_for(plan)
    batches = data.evaluation_batches(100, split="test")
    before = score(module.network, [arch], batches)["accuracy"][0]
    quiet_trainer(max_epochs=plan.protocol.epochs).fit(module, datamodule=data)
    assert before < 0.3 < 0.6 < score(module.network, [arch], batches)["accuracy"][0]


def test_an_init_seed_fixes_the_weights_and_leaves_order_and_paths_to_the_seed():
    plan = Plan().edited({"mapping.channels": 4, "mapping.layers": 1})
    mixed = SuperNetModule("nasbench201", plan, 10, 1, seed=1, init_seed=0)
    first, second = (SuperNetModule("nasbench201", plan, 10, 1, seed=s) for s in (0, 1))
    assert all(torch.equal(a, b) for a, b in zip(mixed.parameters(), first.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(mixed.parameters(), second.parameters(), strict=True))
    assert [mixed.paths(s) for s in range(9)] == [second.paths(s) for s in range(9)]
