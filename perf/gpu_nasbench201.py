"""Train the NAS-Bench-201 super-net on one GPU, rank all 15,625 architectures, say what bounds it; unattended.

    python -m perf.gpu_nasbench201 --data FOLDER --json gpu.json

Default: C = 16, N = 5, 250 epochs of 25,000 images, batch 256, bf16 autocast, through Lightning as train.py does it;
then every architecture on 1,000 held-out images. Before that: images/s of a step for each variant (eager, compiled leaf
operations, a CUDA graph an operation, wider batches), the kernels' share of the wall time, the share of peak, memory
against batch size. A variant that fails is reported with its error and stops nothing. `--device cpu --tiny` runs
everything at toy size on random images.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_lightning.data.images import Augment, ImageSet, Normalize
from nas_lightning.data.module import ImageDataModule, KeyedLoader
from nas_lightning.modes.common import quiet_lightning
from nas_lightning.nets import nasbench201
from nas_lightning.plan import Plan
from nas_lightning.ranking.evaluator import evaluation_batches, score
from nas_lightning.spaces.cost import costs
from nas_lightning.spaces.nasbench201 import NB201Architecture
from nas_lightning.training import SuperNetModule
from perf.measure import spread
from perf.run import environment

MOMENTS = Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))


def every_architecture(limit: int | None) -> list[NB201Architecture]:
    """All 15,625 in the order of their index, or the first `limit` of a keyed permutation."""
    index = np.arange(5**6) if limit is None else np.random.default_rng(0).permutation(5**6)[:limit]
    digits = index[:, None] // 5 ** np.arange(6) % 5
    return [NB201Architecture(tuple(int(o) for o in row)) for row in digits]


def synchronize(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


@contextmanager
def eager(module: SuperNetModule, images: Tensor) -> Iterator[None]:
    yield


@contextmanager
def patched(forward: Callable[..., Tensor]) -> Iterator[None]:
    """Another forward for every convolution place (ReLU is applied before it)."""
    original = nasbench201.ConvPlace.forward
    nasbench201.ConvPlace.forward = forward  # type: ignore[method-assign]
    try:
        yield
    finally:
        nasbench201.ConvPlace.forward = original  # type: ignore[method-assign]


@contextmanager
def compiled_leaves(module: SuperNetModule, images: Tensor) -> Iterator[None]:
    """torch.compile of convolution and batch-norm: one graph a shape, whatever the path."""

    def leaf(x: Tensor, kernel: Tensor, weight: Tensor | None, bias: Tensor | None, padding: int) -> Tensor:
        return F.batch_norm(F.conv2d(x, kernel, padding=padding), None, None, weight, bias, training=True)

    run = torch.compile(leaf, dynamic=False)

    def forward(self: Any, activated: Tensor, size: int) -> Tensor:
        return run(activated, self.kernel(size), *self.norms[str(size)].affine(), size // 2)

    with patched(forward):
        yield


class Leaf(nn.Module):
    """One convolution place at one kernel size, as a module of one tensor argument."""

    def __init__(self, place: nasbench201.ConvPlace, size: int) -> None:
        super().__init__()
        self.place, self.size, self.original = place, size, nasbench201.ConvPlace.forward

    def forward(self, x: Tensor) -> Tensor:
        return self.original(self.place, x, self.size)


@contextmanager
def graphed_operations(module: SuperNetModule, images: Tensor) -> Iterator[None]:
    """A CUDA graph for forward and one for backward of every convolution place; no architecture has to be captured."""
    if images.device.type != "cuda":
        raise RuntimeError("CUDA graphs need a CUDA device")
    network: Any = module.network
    leaves, samples, keys = [], [], []
    side, width = images.shape[2], network.mapping.channels
    dtype = torch.bfloat16 if torch.is_autocast_enabled("cuda") else torch.float32
    for index, cell in enumerate(network.cells):
        stage = index // network.mapping.layers
        shape = (len(images), width * 2**stage, side // 2**stage, side // 2**stage)
        for place in cell.places.values():
            for size in (1, 3):
                leaves.append(Leaf(place, size))
                sample = torch.randn(shape, device=images.device, dtype=dtype)
                samples.append((sample.to(memory_format=torch.channels_last).requires_grad_(),))
                keys.append((id(place), size))
    graphs = dict(zip(keys, torch.cuda.make_graphed_callables(tuple(leaves), tuple(samples)), strict=True))

    def forward(self: Any, activated: Tensor, size: int) -> Tensor:
        return graphs[id(self), size](activated)

    with patched(forward):
        yield


VARIANTS = {"eager": eager, "compiled leaf operations": compiled_leaves, "CUDA graph an operation": graphed_operations}


def autocast(device: str) -> Any:
    return torch.autocast(device, dtype=torch.bfloat16, cache_enabled=False)


def step_rate(plan: Plan, variant: Any, images: ImageSet, args: argparse.Namespace, steps: int) -> dict[str, Any]:
    """Images/s, share of peak and, on a GPU, kernel time and memory of one variant."""
    batch, device = plan.protocol.batch_size, args.device
    module = SuperNetModule("nasbench201", plan, 10, 3, 0).to(device)
    module.network.train()
    loader = KeyedLoader(images, batch, 0, Augment(4, True), MOMENTS, lambda: 0)
    optimizer: Any = module.configure_optimizers()
    paths = [module.sampler.paths(s).architectures[0] for s in range(2 * steps)]
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()

    def step(number: int) -> None:
        x, y = loader.batch(number % len(loader))
        optimizer.zero_grad(set_to_none=True)
        with autocast(device):
            loss = F.cross_entropy(module.network(x, paths[number]), y)
        loss.backward()
        active = [p for p in module.network.parameters() if p.grad is not None]
        torch.nn.utils.clip_grad_norm_(active, 5.0, foreach=True)
        optimizer.step()

    with autocast(device) if device != "cpu" else nullcontext():
        context = variant(module, loader.batch(0)[0])
        context.__enter__()
    try:
        for number in range(steps):  # warm-up: compilation, choice of algorithms
            step(number)
        times = []
        for number in range(steps, 2 * steps):
            synchronize(device)
            started = time.perf_counter()
            step(number)
            synchronize(device)
            times.append(time.perf_counter() - started)
        synchronize(device)
        started = time.perf_counter()
        for number in range(steps, 2 * steps):  # as in training: nobody waits
            step(number)
        synchronize(device)
        rate = steps * batch / (time.perf_counter() - started)
        kernels = kernel_share(step, range(steps, steps + 3)) if device != "cpu" else {}
    finally:
        context.__exit__(None, None, None)
    mapping = plan.mapping
    macs = costs(paths[steps:], channels=mapping.channels, layers=mapping.layers)[1].mean()
    found = {
        "images_per_second": rate,
        "step_ms": spread([1e3 * t for t in times]),
        "teraflops": 6 * macs * rate / 1e12,
        "share_of_peak": 6 * macs * rate / 1e12 / args.peak_tflops,
        **kernels,
    }
    if device != "cpu":
        found["peak_memory_mb"] = torch.cuda.max_memory_allocated() / 2**20
    return found


def kernel_share(step: Callable[[int], None], numbers: range) -> dict[str, float]:
    """Kernels a step, their mean time, and the share of wall time in which one runs: far below 1 is launch-bound."""
    from torch.profiler import ProfilerActivity, profile

    torch.cuda.synchronize()
    started = time.perf_counter()
    for number in numbers:
        step(number)
    torch.cuda.synchronize()
    wall = time.perf_counter() - started
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        for number in numbers:
            step(number)
        torch.cuda.synchronize()
    events = [e for e in profiled.events() if e.device_type == torch.autograd.DeviceType.CUDA]
    busy = sum(e.device_time for e in events) / 1e6
    return {
        "kernels_per_step": len(events) / len(numbers),
        "mean_kernel_us": 1e6 * busy / max(1, len(events)),
        "kernel_share_of_wall": busy / wall,
    }


class Epochs(pl.Callback):
    """Wall time of every epoch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        synchronize(pl_module.device.type)
        self.seconds.append(time.perf_counter() - self.started)


def whole_run(plan: Plan, data: ImageDataModule, args: argparse.Namespace) -> dict[str, Any]:
    """Training through Lightning, then the ranking of every architecture."""
    epochs, module = Epochs(), SuperNetModule("nasbench201", plan, 10, 3, 0)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, quiet_lightning():
        trainer = pl.Trainer(
            accelerator="cpu" if args.device == "cpu" else "gpu", devices=1, precision="bf16-mixed",
            max_epochs=plan.protocol.epochs, logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, limit_val_batches=0, inference_mode=False, callbacks=[epochs],
            default_root_dir=folder,
        )  # fmt: skip
        trainer.fit(module, datamodule=data)
    synchronize(args.device)
    trained = time.perf_counter()
    module.to(args.device)
    archs = every_architecture(args.architectures)
    batch = min(1000, args.eval_images)
    batches = evaluation_batches(data.held_out(), data.normalize, batch, args.eval_images, args.device)
    scores = score(module.network, archs, batches, precision="bf16-mixed")
    ended = time.perf_counter()
    mapping = plan.mapping
    macs = costs(archs, channels=mapping.channels, layers=mapping.layers)[1].mean()
    n_scored = len(archs) * sum(len(labels) for _, labels in batches)
    trained_images = trainer.global_step * plan.protocol.batch_size
    return {
        "training_s": trained - started,
        "ranking_s": ended - trained,
        "total_s": ended - started,
        "epoch_s": spread(epochs.seconds),
        "training_images_per_second": trained_images / (trained - started),
        "ranking_images_per_second": n_scored / (ended - trained),
        "ranking_share_of_peak": 2 * macs * n_scored / (ended - trained) / 1e12 / args.peak_tflops,
        "mean_accuracy": float(scores.accuracy.mean()),
        "architectures": len(archs),
    }


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data", help="folder that holds cifar-10-batches-py")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--epochs", type=int, default=250)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--architectures", type=int, help="rank so many in place of all 15,625")
    parser.add_argument("--eval-images", type=int, default=1000)
    parser.add_argument("--peak-tflops", type=float, default=989.0, help="dense bf16 peak of the device (H100: 989)")
    parser.add_argument("--steps", type=int, default=60, help="steps timed a variant")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--tiny", action="store_true", help="toy size on the embedded digits: does everything run?")
    args = parser.parse_args(arguments)
    if args.device != "cpu" and not torch.cuda.is_available():
        parser.error("no CUDA device is there; use --device cpu --tiny to check that everything runs")
    return args


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    edits: dict[str, Any] = {"protocol.epochs": args.epochs, "protocol.batch_size": args.batch}
    if args.tiny:
        edits |= {"protocol.epochs": 1, "protocol.batch_size": 32, "mapping.channels": 4, "mapping.layers": 1}
        args.architectures, args.steps, args.eval_images = 20, 3, 100
    plan = Plan().edited({**edits, "protocol.train_portion": 0.5})
    generator = torch.Generator().manual_seed(0)
    side = 16 if args.tiny else 32
    random_images = torch.randint(0, 256, (4096, side, side, 3), dtype=torch.uint8, generator=generator)
    random_labels = torch.randint(0, 10, (4096,), generator=generator)
    images = ImageSet(random_images, random_labels).to(args.device)
    results: dict[str, Any] = {"variants": {}}
    batches = [plan.protocol.batch_size * factor for factor in ((1,) if args.tiny else (1, 2, 4))]
    for name, variant in VARIANTS.items():
        for batch in batches:
            label = f"{name}, batch {batch}"
            try:
                wide = plan.edited({"protocol.batch_size": batch})
                results["variants"][label] = step_rate(wide, variant, images, args, args.steps)
            except Exception as error:  # a compiler that is missing, memory that is short: the run goes on
                results["variants"][label] = {"failed": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
            print(label, json.dumps(results["variants"][label]), flush=True)
    name = "digits" if args.tiny else "cifar10"
    data = ImageDataModule(name, args.data, plan.protocol.batch_size, 0.5, 0)
    if args.tiny:
        data.setup()
        for part in ("train_set", "validation_set"):  # digits are grey; the network of this script reads three channels
            grey = getattr(data, part)
            setattr(data, part, ImageSet(grey.images.expand(-1, -1, -1, 3).contiguous(), grey.labels))
        data.normalize = MOMENTS
    results["whole run"] = whole_run(plan, data, args)
    print("whole run", json.dumps(results["whole run"]), flush=True)
    where = environment() | ({"gpu": torch.cuda.get_device_name()} if args.device != "cpu" else {})
    if args.json:
        args.json.write_text(json.dumps({"environment": where, "results": results}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
