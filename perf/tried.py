"""What was tried beyond the plain network, each thing with and without, paired: NAS-Bench-201's step, and scoring.

A ratio below 1 means that what the name says is faster. Under `kept` is what the networks do, against the same network
that does without; under `left out` what they do not do, against the network as it is. Random architectures, so that a
thing which few of them have weighs as little as it does in training. docs/PERFORMANCE.md says what follows.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional as F

from nas_lightning.nets import nasbench201, pooling
from nas_lightning.nets.prefix import Prefix
from nas_lightning.plan import Plan
from nas_lightning.scoring import score as evaluator
from nas_lightning.training.memory import keep_freed_memory
from nas_lightning.training.module import SuperNetModule
from perf.measure import milliseconds, paired, spread
from perf.step import drawn
from perf.variants import as_often_as_needed, compiled_forward, merged_convolutions, patched

SIZES = {"C=8, N=1, batch 128": (8, 1, 128), "C=16, N=5, batch 64": (16, 5, 64)}


def module_of(channels: int, layers: int) -> SuperNetModule:
    plan = Plan().edited({"mapping.channels": channels, "mapping.layers": layers})
    return SuperNetModule("nasbench201", plan, 10, 3, 0)


def images(batch: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, 3, 32, 32, generator=generator).to(memory_format=torch.channels_last)


def without_sharing(what: str) -> AbstractContextManager[Any]:
    """Every edge computes its own ReLU (``relu``) or pooling (``pool``)."""
    edge = nasbench201.Cell.edge

    def alone(self: Any, u: int, v: int, operation: int, values: Any, keys: Any, shared: Any, prefix: Any) -> Tensor:
        shared.pop((u, what), None)
        return edge(self, u, v, operation, values, keys, shared, prefix)

    return mock.patch.object(nasbench201.Cell, "edge", alone)


@contextmanager
def bfloat16() -> Iterator[None]:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        yield


KEPT: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "one ReLU a node": partial(without_sharing, "relu"),
    "one pooling a node": partial(without_sharing, "pool"),
    "no dead edges": lambda: mock.patch.object(nasbench201, "live", lambda operations: operations),
    "pooling as depthwise convolution": lambda: mock.patch.object(pooling, "WIDEST", 0),
}
"""Name, and how to do without."""

LEFT_OUT: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "merged convolutions": lambda: merged_convolutions(None, torch.empty(0)),
    "bf16 autocast": bfloat16,
}
"""Name, and how to do it."""


def step_ratio(context: Callable[[], AbstractContextManager[Any]], inverse: bool, size: tuple[int, int, int], n: int,
               rounds: int) -> dict[str, float]:  # fmt: skip
    """Step under the context over the step without it, or the inverse, over `n` architectures."""
    channels, layers, batch = size
    module, x, y = module_of(channels, layers), images(batch), torch.arange(batch) % 10
    network = module.network.train()
    optimizer: Any = module.configure_optimizers()

    def step(arch: Any) -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network(x, arch), y).backward()
        optimizer.step()

    def changed(arch: Any) -> None:
        with context():
            step(arch)

    archs = drawn("nasbench201", n)
    with_it, without = ([partial(call, arch) for arch in archs] for call in (changed, step))
    result = paired(without, with_it, rounds) if inverse else paired(with_it, without, rounds)
    return told({"ratio": result["ratio"], "ratio_of_totals": result["ratio_of_totals"]})


def told(ratios: dict[str, Any]) -> dict[str, Any]:
    """The same, said at once: the whole part takes minutes."""
    print(f"  {json.dumps(ratios)}", file=sys.stderr, flush=True)
    return ratios


def prefix_ratio(size: tuple[int, int, int], n: int, rounds: int) -> dict[str, float]:
    """Scoring with maps kept between architectures over scoring without."""
    channels, layers, batch = size
    network, batches = module_of(channels, layers).network, [(images(batch), torch.arange(batch) % 10)]
    archs = drawn("nasbench201", n)

    def alone() -> None:
        with mock.patch.object(evaluator, "Prefix", partial(Prefix, 0)):
            evaluator.score(network, archs, batches)

    result = paired([partial(evaluator.score, network, archs, batches)], [alone], rounds)
    return told({"ratio": result["ratio"], "ratio_of_totals": result["ratio_of_totals"]})


def operations(repeats: int) -> dict[str, Any]:
    """Single operations, forward and backward, in milliseconds."""
    found: dict[str, Any] = {}
    for channels, side in ((8, 32), (16, 32), (32, 16), (64, 8)):
        x = torch.randn(128, channels, side, side).to(memory_format=torch.channels_last).requires_grad_()
        ways = {
            "pooling": lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
            "pooling as depthwise convolution": pooling.DepthwiseMean.apply,
            "batch norm": lambda x: F.batch_norm(x, None, None, training=True),
            "moments by var_mean": lambda x: torch.stack(torch.var_mean(x, (0, 2, 3))),
        }
        for name, way in ways.items():
            y = way(x)
            upstream = torch.randn_like(y)
            found[f"{name}, {channels} channels of {side}x{side}"] = {
                "forward_ms": milliseconds(partial(way, x), repeats),
                "backward_ms": milliseconds(
                    lambda y=y, x=x, up=upstream: torch.autograd.grad(y, x, up, retain_graph=True), repeats
                ),
            }
    return found


def optimizers(repeats: int) -> dict[str, Any]:
    """The optimizer's step of C = 16, N = 5 in milliseconds: foreach, fused, a loop, and all parameters.

    Another path has been stepped before, so that some parameters have a momentum and others have not.
    """
    found: dict[str, Any] = {}
    for name, options, everything in (
        ("foreach, sampled parameters", {"foreach": True}, False),
        ("a loop, sampled parameters", {"foreach": False}, False),
        ("fused, sampled parameters", {"fused": True}, False),
        ("foreach, all parameters", {"foreach": True}, True),
    ):
        network = module_of(16, 5).network.train()
        optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4, **options)
        try:
            for arch in drawn("nasbench201", 2):
                optimizer.zero_grad()
                network(images(2), arch).sum().backward()
                if everything:
                    for parameter in network.parameters():
                        parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                optimizer.step()
            found[name] = milliseconds(optimizer.step, repeats)
        except (RuntimeError, TypeError) as error:
            print(f"optimizer, {name}: {type(error).__name__}: {str(error).splitlines()[0]}", file=sys.stderr)
    return found


ENVIRONMENTS: dict[str, tuple[str, dict[str, str]]] = {
    "glibc as it comes": ("leave", {}),
    "freed memory kept": ("keep", {}),
    "freed memory kept, huge pages": ("keep", {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}),
}


def memory_child(mode: str, n: int) -> None:
    """Processor milliseconds and page faults of a step and of a forward pass; printed as JSON by a fresh process."""
    torch.set_num_threads(1)
    if mode == "keep":
        keep_freed_memory()
    archs, found = drawn("nasbench201", n), {}

    def measure(name: str, call: Callable[[Any], Any]) -> None:
        for arch in archs[:2]:
            call(arch)
        faults, started = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.process_time()
        for arch in archs:
            call(arch)
        found[f"{name}, ms"] = 1e3 * (time.process_time() - started) / n
        found[f"{name}, faults"] = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults) / n

    for label, (channels, layers, batch) in SIZES.items():
        network, x = module_of(channels, layers).network.train(), images(batch)
        measure(f"step at {label}", lambda arch, network=network, x=x: network(x, arch).sum().backward())
    network, x = module_of(16, 5).network.eval(), images(250)
    with torch.inference_mode():
        measure("forward pass at C=16, N=5, batch 250", lambda arch: network(x, arch))
    print(json.dumps(found))


def memory(n: int, repeats: int) -> dict[str, Any]:
    """Medians over fresh processes, in turns."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ENVIRONMENTS}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    for _ in range(repeats):
        for name, (mode, environment) in ENVIRONMENTS.items():
            code = f"from perf.tried import memory_child; memory_child({mode!r}, {n})"
            run = subprocess.run(
                [sys.executable, "-c", code], env=inherited | environment, capture_output=True, text=True, check=True
            )
            runs[name].append(json.loads(run.stdout))
    return {name: {key: spread([r[key] for r in found]) for key in found[0]} for name, found in runs.items()}


def measure(quick: bool) -> dict[str, Any]:
    """Everything."""
    n, rounds, repeats = (2, 1, 3) if quick else (12, 2, 15)
    found: dict[str, Any] = {"kept": {}, "left out": {}}
    for label, size in SIZES.items():
        few = n if size[0] < 16 else max(2, n // 3)
        for name, context in KEPT.items():
            found["kept"][f"{name}, {label}"] = step_ratio(context, True, size, few, rounds)
        for name, context in LEFT_OUT.items():
            found["left out"][f"{name}, {label}"] = step_ratio(context, False, size, few, rounds)
        found["kept"][f"prefixes while scoring, {label}"] = prefix_ratio(size, n, rounds)
    found["operations"] = operations(repeats)
    found["optimizer"] = optimizers(repeats)
    label = "C=8, N=1, batch 128"
    compiled = partial(patched, nasbench201.ConvPlace, compiled_forward())
    try:
        with as_often_as_needed():
            found["left out"][f"compiled leaf operations, {label}"] = step_ratio(
                compiled, False, SIZES[label], n, rounds
            )
    except RuntimeError as error:  # no C++ compiler
        print(f"compiled leaf operations: {str(error).splitlines()[0]}", file=sys.stderr)
    found["memory"] = memory(2 if quick else 6, 1 if quick else 2)
    return found
