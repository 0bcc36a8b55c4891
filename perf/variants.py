"""Other ways to run the NAS-Bench-201 super-net's convolutions: merged, compiled, replayed from CUDA graphs.

Each is a context that patches the network while it is open, and computes the same (tests/test_perf.py). Measured by
`perf/tried.py` on a CPU and by `perf/gpu_nasbench201.py` on a GPU; docs/PERFORMANCE.md says what they gave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_lightning.nets import nasbench201
from nas_lightning.nets.nasbench201 import CONV1, CONV3, KERNEL_SIZE, POOL, nodes_of
from nas_lightning.nets.norm import EPSILON
from nas_lightning.nets.pooling import average_pool


@contextmanager
def patched(owner: type, forward: Callable[..., Tensor]) -> Iterator[None]:
    """Another forward for all modules of class `owner`."""
    original = owner.forward  # type: ignore[attr-defined]
    owner.forward = forward  # type: ignore[attr-defined]
    try:
        yield
    finally:
        owner.forward = original  # type: ignore[attr-defined]


@contextmanager
def eager(network: Any, images: Tensor) -> Iterator[None]:
    """The network as it is."""
    yield


def convolutions(cell: Any, activated: Tensor, u: int, targets: list[int], size: int) -> list[Tensor]:
    """What the convolutions of one size give that lead from node `u` to `targets`, by one convolution and one norm."""
    places = [cell.places[nasbench201.place_of((u, v), cell.placement)] for v in targets]
    kernel = torch.cat([place.kernel(size) for place in places])
    affine = [place.norms[str(size)].affine() for place in places]
    weight, bias = (None, None) if affine[0][0] is None else (torch.cat(both) for both in zip(*affine, strict=True))
    wide = F.conv2d(activated, kernel, padding=size // 2)
    normed = F.batch_norm(wide, None, None, weight, bias, training=True, eps=EPSILON)
    return list(normed.split(activated.shape[1], dim=1))


def merged_cell(cell: Any, x: Tensor, operations: tuple[int, ...], prefix: Any = None) -> Tensor:
    """A cell's forward in training: convolutions of one size that read one node run as one."""
    nodes, edges = nodes_of(operations), {}  # (u, v) -> output
    for u in range(4):
        value = x if u == 0 else sum_of([edges[source, u] for source, _, _ in nodes[u - 1].edges])
        if u == 3:
            return torch.zeros_like(x) if value is None else value
        leaving = [(v, o) for v, node in enumerate(nodes, start=1) for source, o, _ in node.edges if source == u]
        if value is None:
            value = torch.zeros_like(x)
        pooled = average_pool(value) if any(o == POOL for _, o in leaving) else None
        activated = F.relu(value) if any(o in KERNEL_SIZE for _, o in leaving) else None
        for v, o in leaving:
            edges[u, v] = pooled if o == POOL else value
        for o in (CONV1, CONV3):
            targets = [v for v, operation in leaving if operation == o]
            if targets:
                outputs = convolutions(cell, activated, u, targets, KERNEL_SIZE[o])  # type: ignore[arg-type]
                edges.update({(u, v): y for v, y in zip(targets, outputs, strict=True)})
    raise AssertionError("a cell ends at node 3")


def sum_of(tensors: list[Any]) -> Tensor | None:
    total = None
    for y in tensors:
        total = y if total is None else total + y
    return total


@contextmanager
def merged_convolutions(network: Any, images: Tensor) -> Iterator[None]:
    """Fused edges: see `merged_cell`."""
    with patched(nasbench201.Cell, merged_cell):
        yield


def compiled_forward() -> Callable[..., Tensor]:
    """A convolution place's forward whose convolution and batch-norm are compiled: one graph a shape, any path."""

    def leaf(x: Tensor, kernel: Tensor, weight: Tensor | None, bias: Tensor | None, padding: int) -> Tensor:
        return F.batch_norm(F.conv2d(x, kernel, padding=padding), None, None, weight, bias, training=True, eps=EPSILON)

    torch._dynamo.reset()  # graphs of another batch size would count towards the limit
    run = torch.compile(leaf, dynamic=False, fullgraph=True)

    def forward(self: Any, activated: Tensor, size: int) -> Tensor:
        return run(activated, self.kernel(size), *self.norms[str(size)].affine(), size // 2)

    return forward


def as_often_as_needed() -> AbstractContextManager[Any]:
    """Compile for every shape and kind of input that occurs; raise where torch would fall back silently."""
    return torch._dynamo.config.patch(recompile_limit=64, fail_on_recompile_limit_hit=True)


@contextmanager
def compiled_leaves(network: Any, images: Tensor) -> Iterator[None]:
    """torch.compile of every leaf operation."""
    with as_often_as_needed(), patched(nasbench201.ConvPlace, compiled_forward()):
        yield


class Leaf(nn.Module):
    """One convolution place at one kernel size, as a module of one tensor argument that owns what it uses alone."""

    def __init__(self, place: nasbench201.ConvPlace, size: int) -> None:
        super().__init__()
        self.kernel, self.norm, self.size = place.kernel.weights[str(size)], place.norms[str(size)], size

    def forward(self, activated: Tensor) -> Tensor:
        return self.norm(F.conv2d(activated, self.kernel, padding=self.size // 2))


@contextmanager
def graphed_operations(network: Any, images: Tensor, capture: Any = None) -> Iterator[None]:
    """A CUDA graph for forward and one for backward of every convolution place; no architecture has to be captured.

    Captured in the order in which a forward pass meets them, since they share memory: a path replays some of them in
    this order and their backward graphs in the reverse one. `capture` is make_graphed_callables, or a test's.
    """
    if capture is None:
        if images.device.type != "cuda":
            raise RuntimeError("CUDA graphs need a CUDA device")
        capture = torch.cuda.make_graphed_callables
    leaves, samples, keys = [], [], []
    side, width, kind = images.shape[2], network.mapping.channels, images.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
    for index, cell in enumerate(network.cells):
        stage = index // network.mapping.layers
        shape = (len(images), width * 2**stage, side // 2**stage, side // 2**stage)
        for place in cell.places.values():
            for size in (1, 3):
                leaves.append(Leaf(place, size))
                sample = torch.randn(shape, device=images.device, dtype=dtype)
                samples.append((sample.to(memory_format=torch.channels_last).requires_grad_(),))
                keys.append((id(place), size))
    graphs = dict(zip(keys, capture(tuple(leaves), tuple(samples)), strict=True))

    def forward(self: Any, activated: Tensor, size: int) -> Tensor:
        return graphs[id(self), size](activated)

    with patched(nasbench201.ConvPlace, forward):
        yield


VARIANTS = {
    "eager": eager,
    "merged convolutions": merged_convolutions,
    "compiled leaf operations": compiled_leaves,
    "CUDA graph an operation": graphed_operations,
}
