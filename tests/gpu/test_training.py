"""A step and a scoring loop on the device: same bits again, no wait for the device, memory, mixed precision."""

import os
import signal

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from scipy.stats import spearmanr

from nas_lightning.modes.main import train
from nas_lightning.processes.signals import Stopped
from nas_lightning.scoring.score import score
from nas_lightning.spaces import get_space
from nas_lightning.training.checkpoints import Checkpoints
from nas_lightning.training.module import SuperNetModule
from nas_lightning.training.trainer import new_trainer, quiet_lightning
from tests.helpers.commands import composed, only_folder
from tests.helpers.small_plans import data_for, small_plan

pytestmark = pytest.mark.gpu

WORKSPACES = 128 * 2**20
"""Bytes that cuBLAS and cuDNN may keep beside the tensors."""


def accelerator(device):
    return "gpu" if device.type == "cuda" else "cpu"


def fitted(device, plan, *callbacks, space="nasbench201", deterministic=False):
    """A super-net trained on digits for the plan's epochs, and its data."""
    module, data = SuperNetModule(space, plan, 10, 1, 0), data_for(plan)
    with quiet_lightning():
        new_trainer(
            epochs=plan.protocol.epochs,
            accelerator=accelerator(device),
            deterministic=deterministic,
            callbacks=callbacks,
            writes_checkpoints=False,
        ).fit(module, datamodule=data)
    return module.to(device), data


def test_bf16_ranks_as_float32_does(device):
    plan = small_plan("nasbench201", mapping__channels=8, protocol__epochs=6)
    module, data = fitted(device, plan)
    rng = np.random.default_rng(0)
    archs = [get_space("nasbench201").sample(rng) for _ in range(60)]
    batches = data.evaluation_batches(100, 400, device)
    found = [
        score(module.network, archs, batches, precision=p)["negative_cross_entropy"] for p in ("32-true", "bf16-mixed")
    ]
    rho = spearmanr(*found).statistic
    print(f"Spearman of bf16-mixed and 32-true: {rho:.4f}")
    assert (found[0] != found[1]).any(), "the precision acts"
    assert rho > 0.95


class StopsAt(pl.Callback):
    """Sends SIGTERM to this process after a step."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


def job_of(folder, device, *overrides):
    return composed(
        "trainer=default", f"trainer.accelerator={accelerator(device)}", "trainer.deterministic=true",
        "trainer.progress_bar=false", "plan.mapping.channels=4", "plan.mapping.layers=1", "plan.protocol.epochs=2",
        "plan.protocol.batch_size=32", "plan.protocol.train_portion=0.3", "evaluation.images=100",
        "evaluation.architectures=random10_seed0", f"runs={folder}", *overrides,
    )  # fmt: skip


@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_same_bits(device, tmp_path, monkeypatch):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    try:
        train(job_of(whole, device), quiet=True)
        before = Checkpoints.on_train_batch_end
        stops = StopsAt(5)

        def stopping(self, trainer, *rest):
            stops.on_train_batch_end(trainer)
            before(self, trainer, *rest)

        with monkeypatch.context() as patched:
            patched.setattr(Checkpoints, "on_train_batch_end", stopping)
            with pytest.raises(Stopped):
                train(job_of(cut, device), quiet=True)
        saved = only_folder(cut) / "checkpoints"
        assert [file.name for file in saved.iterdir()] == ["step-00000005.ckpt"], "in mid-epoch"
        train(job_of(cut, device), quiet=True)
    finally:
        torch.use_deterministic_algorithms(False)
    one, other = (only_folder(folder) for folder in (whole, cut))
    weights = [torch.load(run / "checkpoints" / "final.ckpt", weights_only=True) for run in (one, other)]
    assert weights[0]["global_step"] == weights[1]["global_step"] > 10
    for name, tensor in weights[0]["state_dict"].items():
        assert tensor.device.type == device.type
        assert torch.equal(tensor, weights[1]["state_dict"][name]), name
    for name in ("ranking.parquet", "metrics.csv", "result.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize("space", ["nasbench101", "nasbench_macro", "darts_nds"])
def test_two_trainings_have_the_same_bits(space, device):
    """And no operation of the space lacks a deterministic kernel, which would be an error."""
    plan = small_plan(space, protocol__epochs=1)
    try:
        one, other = (fitted(device, plan, space=space, deterministic=True)[0].network.state_dict() for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


class NoWaits(pl.Callback):
    """Every wait of the host for the device is an error from the end of the first batch on, up to the last but one.

    The first batch of an epoch brings its order to the device, and the last one asks for the loss.
    """

    def __init__(self):
        self.watched = 0

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_index):
        last = batch_index >= trainer.num_training_batches - 2
        torch.cuda.set_sync_debug_mode("default" if last else "error")
        self.watched += not last

    def on_exception(self, *_):
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(
    ("space", "edits"),
    [
        ("nasbench101", {}),
        ("nasbench101", {"mapping__dynamic_channel": "shuffle", "protocol__track_running_stats": True}),
        ("nasbench201", {}),
        ("nasbench201", {"mapping__path_dropout": 0.2, "mapping__global_dropout": 0.2}),
        ("nasbench_macro", {}),
        ("darts_nds", {}),
    ],
)
def test_no_step_waits_for_the_device(space, edits, cuda):
    watching = NoWaits()
    fitted(cuda, small_plan(space, protocol__epochs=2, **edits), watching, space=space)
    assert watching.watched >= 10


def test_the_watch_sees_a_wait(cuda):
    """Or the tests beside it would pass whatever happens."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        with pytest.raises(RuntimeError, match="synchroniz"):
            torch.ones(1, device=cuda).item()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("statistics", ["batch", "recalibrate"])
def test_no_scored_architecture_waits_for_the_device(statistics, cuda):
    plan = small_plan("nasbench201")
    module, data = SuperNetModule("nasbench201", plan, 10, 1, 0).to(cuda), data_for(plan)
    rng = np.random.default_rng(0)
    archs = [get_space("nasbench201").sample(rng) for _ in range(20)]
    batches, probe = data.evaluation_batches(100, 200, cuda), data.evaluation_batches(100, 200, cuda, split="train")
    told = []

    def watch(done):
        told.append(done)
        torch.cuda.set_sync_debug_mode("default" if done >= len(archs) - 1 else "error")

    try:
        options = {"calibration": [images for images, _ in batches]} if statistics == "recalibrate" else {}
        score(module.network, archs, batches, statistics=statistics, progress=watch, probe=probe, **options)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert told[-1] == len(archs)
    assert len(set(told)) > 10


def peak(run):
    """Bytes above those held before, at most, while `run` runs a second time."""
    run()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def at_no_image(small, large):
    """What is left of two peaks at batches of 1 and 2 parts when the part of the images is taken off."""
    return 2 * small - large


def test_memory_that_no_image_asks_for_is_a_few_times_the_parameters(cuda):
    plan = small_plan("nasbench201", mapping__channels=64, mapping__layers=5)
    module = SuperNetModule("nasbench201", plan, 10, 3, 0).to(cuda)
    weights = sum(p.numel() * p.element_size() for p in module.network.parameters())
    optimizer = module.configure_optimizers()
    archs = [get_space("nasbench201").sample(np.random.default_rng(i)) for i in range(4)]
    batches = [
        (torch.randn(n, 3, 32, 32, device=cuda), torch.zeros(n, dtype=torch.long, device=cuda)) for n in (64, 128)
    ]

    def step(images, labels):
        for arch in archs:
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(module.network(images, arch), labels).backward()
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    steps = [peak(lambda batch=batch: step(*batch)) for batch in batches]
    scorings = [peak(lambda batch=batch: score(module.network, archs, [batch])) for batch in batches]
    for name, found in (("step", steps), ("scoring", scorings)):
        print(
            f"{name}: {found[0] / 2**20:.0f} MiB at 64 images, {found[1] / 2**20:.0f} at 128, "
            f"{at_no_image(*found) / weights:.2f} times the parameters ({weights / 2**20:.0f} MiB) at none"
        )
    assert at_no_image(*steps) <= 2 * weights + WORKSPACES  # gradients, and one temporary of the optimizer's
    assert at_no_image(*scorings) <= 0.5 * weights + WORKSPACES  # no gradient, and no copy of the weights
    assert scorings[1] < steps[1]
