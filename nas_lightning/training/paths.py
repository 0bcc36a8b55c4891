"""Which paths are trained at a step. Every draw is keyed by (seed, step): the same after a resume and on every rank.

Sources: random_a and random_nas as Yu21 distinguishes them; FairNAS: Chu et al., arXiv 1907.01845, algorithm 1;
sandwich: Yu, Huang, Universally Slimmable Networks (arXiv 1903.05134), section 3; tournaments: Wang et al.,
AttentiveNAS (arXiv 2011.09011), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from nas_lightning.plan import Plan
from nas_lightning.spaces import get_space
from nas_lightning.spaces.base import Space

PATH_STREAM = 11
"""Last word of a path draw's key, so that no other draw of the same seed and step coincides with it."""

MAX_TRIES = 100_000
EXTREME_POOL = 2_000


@dataclass(frozen=True)
class StepPaths:
    """The architectures trained in one optimizer step and the weight of each one's gradient."""

    architectures: tuple[Any, ...]
    weight: float


class PathSampler:
    """Draws the paths of every step for one plan.

    ``random_a``: uniform over isomorphism classes, by the canonical member or (`random_member`) a random one.
    ``random_nas``: uniform over raw encodings. ``fairnas``: one topology and one random permutation of the operations
    per slot; gradients are summed. ``sandwich``: the largest, the smallest (see `extremes`) and `paths_per_step`
    random ones, averaged.
    """

    def __init__(self, space: str, plan: Plan, seed: int) -> None:
        self.space: Space[Any] = get_space(space)
        self.plan, self.seed = plan, seed
        self.admits = partial(self.space.admits, mapping=plan.mapping)
        self.method = plan.protocol.sampling

    def one(self, rng: np.random.Generator) -> Any:
        """The largest of the plan's tournament of draws, the first of equals."""
        drawn = [self.drawn(rng) for _ in range(self.plan.protocol.tournament)]
        return drawn[0] if len(drawn) == 1 else drawn[int(np.argmax(self.sizes(drawn)))]

    def sizes(self, architectures: list[Any]) -> np.ndarray:
        """Parameters of the stand-alone networks at the plan's width and depth, int64 [n]."""
        mapping = self.plan.mapping
        return self.space.costs(architectures, channels=mapping.channels, layers=mapping.layers)[0]

    def drawn(self, rng: np.random.Generator) -> Any:
        """One admissible architecture by the method's own distribution."""
        draw = self.space.sample_unique if self.method == "random_a" else self.space.sample
        for _ in range(MAX_TRIES):
            arch = draw(rng)
            if self.admits(arch):
                return self.member(arch, rng) if self.plan.protocol.random_member else arch
        raise RuntimeError(
            f"no admissible architecture of {self.space.name} in {MAX_TRIES} draws; widen "
            "mapping.dynamic_channel_outputs"
        )

    def member(self, arch: Any, rng: np.random.Generator) -> Any:
        """A uniformly drawn member of the class of `arch`."""
        members = self.space.members(arch)
        return members[int(rng.integers(len(members)))]

    def paths(self, step: int) -> StepPaths:
        """The paths of step `step` (0-based) with the weight of each gradient."""
        rng = np.random.default_rng((self.seed, step, PATH_STREAM))
        if self.method == "fairnas":
            return StepPaths(self.space.permuted(self.one(rng), rng), 1.0)
        if self.method == "sandwich":
            largest, smallest = self.extremes
            drawn = (largest, smallest, *(self.one(rng) for _ in range(self.plan.protocol.paths_per_step)))
        else:
            drawn = tuple(self.one(rng) for _ in range(self.plan.protocol.paths_per_step))
        return StepPaths(drawn, 1.0 / len(drawn))

    @cached_property
    def extremes(self) -> tuple[Any, Any]:
        """The architectures of most and of fewest parameters among `EXTREME_POOL` keyed draws; ties go to the first.

        A pool rather than a formula, since the extremes of NAS-Bench-101 depend on which cells the plan admits.
        """
        rng = np.random.default_rng((self.seed, PATH_STREAM, EXTREME_POOL))
        pool = [self.drawn(rng) for _ in range(EXTREME_POOL)]
        sizes = self.sizes(pool)
        return pool[int(sizes.argmax())], pool[int(sizes.argmin())]

    def passes_per_step(self) -> int:
        """Forward and backward passes of one optimizer step."""
        return len(self.paths(0).architectures)
