"""Train the NAS-Bench-201 super-net on one GPU, rank all 15,625 architectures, say what bounds it; unattended.

    python -m perf.gpu_nasbench201 --data FOLDER --json gpu.json

First images/s of a step for each variant (`perf/variants.py`: eager, merged convolutions, compiled leaf operations, a
CUDA graph an operation) at 1, 2 and 4 times the batch; share of peak, kernels and host synchronisations a step, the
kernels' share of the wall time, what bounds it, peak memory. A variant that fails is reported with its error and stops
nothing. Then the whole run with the fastest variant: C = 16, N = 5, 250 epochs of 25,000 images, batch 256, bf16
autocast, through Lightning as train.py does it, and every architecture on 1,000 held-out images. The JSON file is
written after each of them. `--device cpu --tiny` runs everything but the CUDA graphs at toy size on random images.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional as F

from nas_lightning.data.images import Augment, ImageSet, Normalize
from nas_lightning.data.module import ImageClassification, KeyedLoader
from nas_lightning.plan import Plan
from nas_lightning.scoring.score import score
from nas_lightning.spaces import get_space
from nas_lightning.spaces.nasbench201 import NB201Architecture
from nas_lightning.training.module import SuperNetModule
from nas_lightning.training.trainer import quiet_lightning
from perf.measure import spread
from perf.run import environment
from perf.variants import VARIANTS

SPACE = get_space("nasbench201")
MOMENTS = Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))


def every_architecture(limit: int | None) -> list[NB201Architecture]:
    """All 15,625 in the order of their index, or the first `limit` of a keyed permutation."""
    index = np.arange(5**6) if limit is None else np.random.default_rng(0).permutation(5**6)[:limit]
    digits = index[:, None] // 5 ** np.arange(6) % 5
    return [NB201Architecture(tuple(int(o) for o in row)) for row in digits]


def synchronize(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def autocast(device: str) -> Any:
    return torch.autocast(device, dtype=torch.bfloat16, cache_enabled=False)


def step_rate(plan: Plan, variant: Any, images: ImageSet, args: argparse.Namespace, steps: int) -> dict[str, Any]:
    """Images/s and, on a GPU, share of peak, kernel time, synchronisations and memory of one variant."""
    batch, device = plan.protocol.batch_size, args.device
    if device != "cpu":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    module = SuperNetModule("nasbench201", plan, 10, 3, 0).to(device)
    module.network.train()
    loader = KeyedLoader(images, batch, 0, Augment(4, True), MOMENTS, lambda: 0)
    optimizer: Any = module.configure_optimizers()
    paths = [module.sampler.paths(s).architectures[0] for s in range(2 * steps)]

    def step(number: int) -> None:
        x, y = loader.batch(number % len(loader))
        optimizer.zero_grad(set_to_none=True)
        with autocast(device):
            loss = F.cross_entropy(module.network(x, paths[number]), y)
        loss.backward()
        active = [p for p in optimizer.param_groups[0]["params"] if p.grad is not None]
        torch.nn.utils.clip_grad_norm_(active, 5.0, foreach=True)
        optimizer.step()

    with opened(variant, module, loader.batch(0)[0], device):
        for number in range(steps):  # warm-up: compilation, choice of algorithms
            step(number)
        times = []
        for number in range(steps, 2 * steps):
            synchronize(device)
            started = time.perf_counter()
            step(number)
            synchronize(device)
            times.append(time.perf_counter() - started)
        started = time.perf_counter()
        for number in range(steps, 2 * steps):  # as in training: nobody waits
            step(number)
        synchronize(device)
        rate = steps * batch / (time.perf_counter() - started)
        found = {"images_per_second": rate, "step_ms": spread([1e3 * t for t in times])}
        if device == "cpu":
            return found
        memory = torch.cuda.max_memory_allocated() / 2**20  # before the profiler's
        macs = (
            get_space("nasbench201")
            .costs(paths[steps:], channels=plan.mapping.channels, layers=plan.mapping.layers)[1]
            .mean()
        )
        teraflops = 6 * macs * rate / 1e12
        found |= {"teraflops": teraflops, "share_of_peak": teraflops / args.peak_tflops, "peak_memory_mb": memory}
        return found | what_bounds(step, range(steps, min(2 * steps, steps + 10)))


@contextmanager
def opened(variant: Any, module: SuperNetModule, images: Tensor, device: str) -> Iterator[None]:
    """The variant around steps on batches like `images`; what it captures, it captures under autocast."""
    with autocast(device):
        context = variant(module.network, images)
        context.__enter__()
    try:
        yield
    finally:
        context.__exit__(None, None, None)


CONVOLUTION = ("conv", "gemm", "xmma", "cutlass", "dgrad", "wgrad", "fprop")


def what_bounds(step: Callable[[int], None], numbers: range) -> dict[str, Any]:
    """Kernels a step, their mean time, the share of wall time in which one runs, and host synchronisations.

    Far below 1, the share says that launches bound the step; near 1, it is arithmetic where convolutions take most of
    the kernels' time, and memory where batch-norm and what goes element by element do.
    """
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
    events = [
        e
        for e in profiled.events() or []
        if e.device_type == torch.autograd.DeviceType.CUDA and not getattr(e, "is_user_annotation", False)
    ]
    busy = sum(e.device_time for e in events) / 1e6
    convolving = sum(e.device_time for e in events if any(n in e.name.lower() for n in CONVOLUTION)) / 1e6
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            for number in numbers:
                step(number)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    share = busy / wall
    return {
        "kernels_per_step": len(events) / len(numbers),
        "mean_kernel_us": 1e6 * busy / max(1, len(events)),
        "kernel_share_of_wall": share,
        "convolutions_share_of_kernels": convolving / busy if busy else 0.0,
        "host_synchronisations_per_step": sum("synchroniz" in str(w.message) for w in caught) / len(numbers),
        "bound_by": "launches" if share < 0.8 else "arithmetic" if convolving > busy / 2 else "memory",
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


def whole_run(plan: Plan, data: ImageClassification, name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Training through Lightning with variant `name`, then the ranking of every architecture."""
    epochs, module = Epochs(), SuperNetModule("nasbench201", plan, 10, 3, 0)
    started = time.perf_counter()
    module.to(args.device)  # before a graph is captured
    module.train()
    sample = data.loader(args.device).batch(0)[0]
    with (
        tempfile.TemporaryDirectory() as folder,
        quiet_lightning(),
        opened(VARIANTS[name], module, sample, args.device),
    ):
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
    batches = data.evaluation_batches(batch, args.eval_images, args.device)
    scores = score(module.network, archs, batches, precision="bf16-mixed")
    ended = time.perf_counter()
    n_scored = len(archs) * sum(len(labels) for _, labels in batches)
    trained_images = trainer.global_step * plan.protocol.batch_size
    found = {
        "variant": name,
        "training_s": trained - started,
        "ranking_s": ended - trained,
        "total_s": ended - started,
        "target_s": 600.0,
        "epoch_s": spread(epochs.seconds),
        "training_images_per_second": trained_images / (trained - started),
        "ranking_images_per_second": n_scored / (ended - trained),
        "mean_accuracy": float(scores["accuracy"].mean()),
        "architectures": len(archs),
    }
    if args.device != "cpu":
        macs = SPACE.costs(archs, channels=plan.mapping.channels, layers=plan.mapping.layers)[1].mean()
        found["ranking_share_of_peak"] = 2 * macs * n_scored / (ended - trained) / 1e12 / args.peak_tflops
    return found


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
    parser.add_argument("--variant", choices=list(VARIANTS), help="of the whole run, in place of the fastest")
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
    where = environment() | ({"gpu": torch.cuda.get_device_name()} if args.device != "cpu" else {})

    def save() -> None:
        if args.json:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps({"environment": where, "results": results}, indent=1))

    for name, variant in VARIANTS.items():
        for batch in batches:
            label = f"{name}, batch {batch}"
            try:
                wide = plan.edited({"protocol.batch_size": batch})
                results["variants"][label] = step_rate(wide, variant, images, args, args.steps)
            except Exception as error:  # a compiler that is missing, memory that is short: the run goes on
                message = (str(error).splitlines() or [""])[0]
                results["variants"][label] = {"failed": f"{type(error).__name__}: {message}"}
            print(label, json.dumps(results["variants"][label]), flush=True)
            save()
    rates = {n: results["variants"][f"{n}, batch {batches[0]}"].get("images_per_second", 0.0) for n in VARIANTS}
    data = ImageClassification("digits" if args.tiny else "cifar10", args.data, plan.protocol.batch_size, 0.5, 0)
    if args.tiny:
        data.setup()
        for part in ("train_set", "validation_set"):  # digits are grey; the network of this script reads three channels
            grey = getattr(data, part)
            setattr(data, part, ImageSet(grey.images.expand(-1, -1, -1, 3).contiguous(), grey.labels))
        data.normalize = MOMENTS
    fastest = args.variant or max(rates, key=lambda name: rates[name])
    for name in dict.fromkeys((fastest, "eager")):
        try:
            results["whole run"] = whole_run(plan, data, name, args)
            break
        except Exception:
            if name == "eager":
                raise
            results[f"whole run, {name}"] = {"failed": traceback.format_exc()}
            print(f"whole run, {name}: failed, eager follows\n{traceback.format_exc()}", file=sys.stderr, flush=True)
            save()
    print("whole run", json.dumps(results["whole run"]), flush=True)
    save()
    return 0


if __name__ == "__main__":
    sys.exit(main())
