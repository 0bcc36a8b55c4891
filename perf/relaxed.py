"""What a weighted sum of all operations costs beside one sampled path: a step's time, and memory kept for its backward.

Times are paired with the sampled path's (forward and backward; of the weights, or of α alone). Memory is the bytes of
all tensors that autograd keeps for the backward pass, counted once a storage: the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_lightning.nets.relaxed import RelaxedPath
from nas_lightning.plan import Plan
from nas_lightning.spaces import get_space
from nas_lightning.training.module import SuperNetModule
from perf.measure import paired
from perf.step import drawn

CASES: dict[str, tuple[str, dict[str, Any], int, int]] = {
    "NAS-Bench-201, C=8, N=1, 16 x 16, batch 64": ("nasbench201", {"mapping.channels": 8, "mapping.layers": 1}, 16, 64),
    "NAS-Bench-201, C=16, N=5, 32 x 32, batch 64": (
        "nasbench201",
        {"mapping.channels": 16, "mapping.layers": 5},
        32,
        64,
    ),
    "DARTS, C=16, 8 cells, 32 x 32, batch 16": (
        "darts_nds",
        {"mapping.channels": 16, "mapping.layers": 8, "mapping.bn_affine": False},
        32,
        16,
    ),
}
"""Recipe nasbench201_differentiable_cpu, and the published search networks of the two spaces; DARTS's batch of 64 would
keep four times as much, 6 GB."""


def kept_bytes(loss: Callable[[], Tensor], parameters: set[int]) -> int:
    """Bytes that autograd keeps for the backward pass of `loss`, but for the parameters themselves."""
    seen: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # of its own result a node would else hold itself, which nothing ever frees

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = loss()
    del result  # only now may a storage be used again
    return sum(seen.values())


def measure_case(space: str, edits: dict[str, Any], side: int, batch: int, n: int, rounds: int) -> dict[str, Any]:
    """Every kind of path against the sampled one, over `n` architectures."""
    plan = Plan().edited({**edits, "protocol.batch_size": batch})
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, side, side, generator=generator).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (batch,), generator=generator)
    network = SuperNetModule(space, plan, 10, 3, 0).network.train()
    relaxation = get_space(space).relaxation
    assert relaxation is not None
    alphas = [torch.zeros(shape, requires_grad=True) for shape in relaxation.shapes]
    archs = drawn(space, n)

    def sampled(arch: Any) -> Any:
        return arch

    def one_hot(arch: Any) -> RelaxedPath:
        return RelaxedPath.of(relaxation.one_hot(arch), images)

    def constant(_: Any) -> RelaxedPath:
        return RelaxedPath(tuple(alpha.detach().softmax(-1) for alpha in alphas))

    def learned(_: Any) -> RelaxedPath:
        return RelaxedPath(tuple(alpha.softmax(-1) for alpha in alphas))

    kinds: dict[str, tuple[Callable[[Any], Any], bool]] = {
        "a one-hot path": (one_hot, True),
        "the sum, gradient of the weights": (constant, True),
        "the sum, gradient of α": (learned, False),
    }
    own = {p.untyped_storage().data_ptr() for p in network.parameters()}
    own |= {tensor.untyped_storage().data_ptr() for tensor in (images, labels, *alphas)}

    def loss(path: Callable[[Any], Any], arch: Any) -> Tensor:
        return F.cross_entropy(network(images, path(arch)), labels)

    def step(path: Callable[[Any], Any], arch: Any, of_weights: bool = True) -> None:
        _switch(network, of_weights)
        loss(path, arch).backward()

    found: dict[str, Any] = {}
    _switch(network, True)
    before = sum(kept_bytes(partial(loss, sampled, arch), own) for arch in archs) / n
    found["a sampled path"] = {"kept_mb": before / 1e6}
    for name, (path, of_weights) in kinds.items():
        _switch(network, of_weights)
        kept = sum(kept_bytes(partial(loss, path, arch), own) for arch in archs) / n
        result = paired(
            [partial(step, path, arch, of_weights) for arch in archs],
            [partial(step, sampled, arch) for arch in archs],
            rounds,
        )
        # A sum costs the same whatever is drawn beside it; the mean over draws is what a training sees.
        found[name] = {
            "times a sampled path": result["ratio_of_totals"],
            "ms": result["ours_ms"],
            "sampled_ms": result["reference_ms"],
            "kept_mb": kept / 1e6,
            "memory, times a sampled path": kept / before,
        }
    return found


def _switch(network: nn.Module, of_weights: bool) -> None:
    """Whether the parameters ask for a gradient; it is cleared."""
    for parameter in network.parameters():
        parameter.requires_grad_(of_weights)
        parameter.grad = None


def measure(quick: bool) -> dict[str, Any]:
    """All cases; the smallest alone where quick."""
    n, rounds = (3, 1) if quick else (4, 2)
    chosen = list(CASES.items())[:1] if quick else list(CASES.items())
    return {name: measure_case(*case, n=n, rounds=rounds) for name, case in chosen}
