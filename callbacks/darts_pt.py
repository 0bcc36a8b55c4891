"""DARTS-PT: the operations of a first-order DARTS super-net are chosen by what their removal costs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nas_lightning.distributions.base import EPOCH_STREAM
from nas_lightning.distributions.mixture import Mixture
from nas_lightning.nets.relaxed import RelaxedPath
from nas_lightning.plan import PlanError


class DartsPt(Mixture):
    """First-order DARTS; in the last `share` of the steps one edge after another is decided by perturbation.

    Mechanism: decisions are spread evenly over those steps, in random order of the edges. For each operation of the
    edge its weight is set to zero, without renormalising the others, and the accuracy is taken on `batches` selection
    batches; the operation whose removal hurts most becomes the edge's only one, and the weights train on until the next
    decision. Where a node keeps some of its edges (darts_nds: two), those are decided after the operations, node by
    node, by removing whole edges. α stands still from the first decision on.

    Source: Wang et al., Rethinking Architecture Selection in Differentiable NAS (arXiv 2108.04392), algorithm 1;
    ruocwang/darts-pt (100 epochs, then 25 with 5 between decisions: share 0.2; the whole validation half).
    Fires: before every step of the weights; in the last part at every decision. Cost: as first-order DARTS, and
    `batches` scorings per operation and edge.
    Does not: lower the learning rate between decisions beyond what the schedule does.
    Applies to: spaces with relaxed_paths (nasbench201, darts_nds).
    """

    def __init__(
        self,
        share: float = 0.2,
        batches: int = 20,
        learning_rate: float = 3e-4,
        weight_decay: float = 1e-3,
        portion: float = 0.5,
    ) -> None:
        options = {"share": share, "batches": batches}
        super().__init__("darts_pt", portion, learning_rate=learning_rate, weight_decay=weight_decay, options=options)
        if not 0 < share < 1 or batches < 1:
            raise PlanError(
                f"heuristics.distribution.share={share:g} must be a share of the steps, above 0 and below 1, and "
                f"batches={batches} at least 1"
            )
        self.decided: list[tuple[int, int, int]] = []
        """(kind, edge, operation) in the order of the decisions; operation −1 for an edge that was removed."""
        self.nodes_done = 0

    # -- what is decided, and when

    def pending(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Edges (kind, edge) in the order of their decisions, then nodes (kind, target) that keep some edges only.

        Returns:
            Two lists, the same at every call.
        """
        rng = np.random.default_rng((self.module.seed, EPOCH_STREAM))
        edges = [(kind, e) for kind, (n, _) in enumerate(self.relaxation.shapes) for e in range(n)]
        nodes: list[tuple[int, int]] = []
        if (kept := self.relaxation.inputs_kept) is not None:
            for kind, pairs in enumerate(self.relaxation.edges):
                targets = [target for _, target in pairs]
                nodes += [(kind, target) for target in sorted(set(targets)) if targets.count(target) > kept]
        return [edges[i] for i in rng.permutation(len(edges))], [nodes[i] for i in rng.permutation(len(nodes))]

    def due(self, step: int) -> int:
        """How many decisions have been taken before the weights' step `step`.

        Args:
            step: of the weights, over the whole training.

        Returns:
            From 0 to the number of edges and nodes.
        """
        total = self.module.total_steps()
        first = min(round((1 - self.options["share"]) * total), total - 1)
        count = sum(map(len, self.pending()))
        return 0 if step < first else math.ceil((step - first + 1) * count / (total - first))

    def learns(self, step: int) -> bool:
        return self.due(step) == 0

    def learn(self, step: int, batch: Any) -> None:
        edges, nodes = self.pending()
        n_edges = len({(kind, edge) for kind, edge, op in self.decided if op >= 0})
        while n_edges + self.nodes_done < self.due(step):
            if n_edges < len(edges):
                self.decide_edge(*edges[n_edges], step)
                n_edges += 1
            else:
                self.decide_node(*nodes[self.nodes_done], step)
                self.nodes_done += 1
        super().learn(step, batch)

    def decide_edge(self, kind: int, edge: int, step: int) -> None:
        """Keep the operation whose removal hurts most, the first of equals.

        Args:
            kind: of cell, 0 or 1.
            edge: its number within the cell.
            step: of the weights, over the whole training.
        """
        batches = self.selection_batches(self.options["batches"], step)
        left = [self.without(kind, edge, op, batches) for op in self.relaxation.choosable]
        self.decided.append((kind, edge, self.relaxation.choosable[int(np.argmin(left))]))

    def decide_node(self, kind: int, target: int, step: int) -> None:
        """Remove the edges into a node whose removal hurts least.

        Args:
            kind: of cell, 0 or 1.
            target: the node.
            step: of the weights, over the whole training.
        """
        batches = self.selection_batches(self.options["batches"], step)
        into = [e for e, (_, t) in enumerate(self.relaxation.edges[kind]) if t == target]
        left = [self.without(kind, edge, None, batches) for edge in into]
        removed = np.argsort(left, kind="stable")[self.relaxation.inputs_kept :]
        self.decided += [(kind, into[i], -1) for i in removed]

    def without(self, kind: int, edge: int, op: int | None, batches: list[tuple[Tensor, Tensor]]) -> float:
        """Accuracy without one operation of an edge, or without the whole edge.

        Args:
            kind: of cell, 0 or 1.
            edge: its number within the cell.
            op: the operation that is left out; None leaves the edge out.
            batches: of the selection images.

        Returns:
            A fraction.
        """
        with torch.no_grad():
            weights = [w.clone() for w in self.mixing()]
            weights[kind][edge, slice(None) if op is None else op] = 0
        return self.accuracy(RelaxedPath(tuple(weights)), batches)

    def mixing(self) -> list[Tensor]:
        weights = super().mixing()
        for kind, edge, op in self.decided:
            row = torch.zeros_like(weights[kind][edge])
            if op >= 0:
                row[op] = 1
            table = list(weights[kind].unbind())
            weights[kind] = torch.stack([*table[:edge], row, *table[edge + 1 :]])
        return weights

    # -- checkpoints

    def more(self) -> dict[str, Any]:
        return {"decided": [list(entry) for entry in self.decided], "nodes_done": self.nodes_done}

    def restore(self, state: dict[str, Any]) -> None:
        self.decided = [tuple(entry) for entry in state["decided"]]
        self.nodes_done = state["nodes_done"]
