"""One-shot training with path dropout: all operations are summed, and drop out more and more often."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import Trainer

from nas_lightning.heuristic import Heuristic, NotApplicableError
from nas_lightning.nets.relaxed import RelaxedPath
from nas_lightning.plan import Plan, PlanError
from nas_lightning.spaces import Space
from nas_lightning.training.paths import StepPaths

DROP_STREAM = 13


class OneShot(Heuristic):
    """Every node sums all operations of all its edges; each of these k paths is dropped with probability r^(1/k).

    Mechanism: all k paths of a node vanish together with probability r, whatever k. r rises linearly from 0 at the
    first step to `rate` at the last. What is kept is not rescaled. One draw a step, for all cells of a kind. An
    architecture is scored by dropping all but its own operations, which is the super-net's ranking as it always is;
    there is nothing to learn and no derived architecture.

    Source: Bender et al., Understanding and Simplifying One-Shot Architecture Search (ICML 2018), section 3.2. It is
    not heuristics/dropout, whose path dropout zeroes the output of a whole cell for single samples, with fixed rates
    that grow with depth, and rescales.
    Fires: at every step. Cost: the operations that are kept.
    Does not: split the batch into ghost batches with moments and drops of their own; leave out weight decay of what is
    dropped otherwise than by giving it no gradient.
    Applies to: spaces with relaxed_paths (nasbench201, darts_nds).
    """

    factor = "distribution"
    fields = ("protocol.distribution",)
    shares_weights = True
    changes_draws = True

    def __init__(self, rate: float = 0.1) -> None:
        super().__init__(options={"rate": rate}, distribution="one_shot")
        if not 0 <= rate < 1:
            raise PlanError(
                f"heuristics.distribution.rate={rate:g} is out of range; it is a probability, at least 0 and below 1"
            )

    def check(self, plan: Plan, space: Space[Any]) -> None:
        if space.relaxation is None:
            raise NotApplicableError(
                f"distribution=one_shot does not apply to space={space.name}, whose network does not sum the "
                "operations of an edge; set distribution=none"
            )
        self.relaxation = space.relaxation

    def check_folded(self, plan: Plan) -> None:
        if plan.mapping.few_shot_edge is not None:
            raise PlanError(
                "extra=few_shot and distribution=one_shot exclude each other: a sum of operations lies in all parts of "
                "a split super-net at once; drop one of the two"
            )
        if plan.protocol.complexity_aware:
            raise PlanError(
                "heuristics/learning_rate=complexity_aware and distribution=one_shot exclude each other: a sum of "
                "operations has no parameter count of its own; choose another learning rate"
            )

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.module = pl_module
        pl_module.path_source = self.paths

    def paths(self, step: int) -> StepPaths:
        """One relaxed path that sums the operations which this step keeps.

        Args:
            step: of the weights, over the whole training.

        Returns:
            The path, of weight 1.
        """
        rate = self.options["rate"] * step / max(1, self.module.total_steps() - 1)
        generator = torch.Generator().manual_seed((self.module.seed * 1_000_003 + step) * 16 + DROP_STREAM)
        like = next(self.module.network.parameters())
        kept = [kept_paths(edges, len(self.relaxation.operations), rate, generator) for edges in self.relaxation.edges]
        return StepPaths((RelaxedPath(tuple(k.to(like) for k in kept)),), 1.0)


def kept_paths(
    edges: tuple[tuple[int, int], ...], operations: int, rate: float, generator: torch.Generator
) -> torch.Tensor:
    """1 where a path is kept and 0 where it is dropped, [edges, operations]; a node's paths are those of all its edges,
    k of them, each dropped with probability rate^(1/k).

    Args:
        edges: (source, target) of each.
        operations: candidates an edge.
        rate: at which a node loses all of its paths.
        generator: the draws of this step.

    Returns:
        float32 of zeros and ones.
    """
    targets = [target for _, target in edges]
    each = torch.tensor([rate ** (1 / (operations * targets.count(t))) if rate else 0.0 for t in targets])
    drawn = torch.rand(len(edges), operations, generator=generator, dtype=torch.float64)
    return (drawn >= each.double()[:, None]).double()
