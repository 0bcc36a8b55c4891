"""Linear probes of many sub-nets: how much of the labels a linear map reads from their features.

The shared classifier serves every path and fits none of them; a sub-net that is seldom trained is judged by a head that
was trained on the features of others. A probe gives each sub-net the head that fits it best, in closed form: least
squares from pooled features to one-hot labels, fitted on training images, judged on held-out ones. Source of the idea:
Alain, Bengio, Understanding intermediate layers using linear classifier probes (arXiv 1610.01644), section 3; that
probes rank sub-nets of a super-net is measured in docs/RESULTS.md. Probes of earlier stages judge the cell at several
depths.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nas_lightning.data.module import ImageClassification
from nas_lightning.data.task import Task
from nas_lightning.scoring.score import Meter, Seen

RIDGE = 1e-4
"""Penalty as a share of the mean square of the features: enough for constant ones, such as a disconnected cell has."""
FLOOR = 1e-9
"""Penalty of features that are zero everywhere."""
SMALLEST = 1e-4
"""Explained shares below this one are noise, or negative."""


class LinearProbes:
    """Least squares of n architectures from their second moments alone, so that no features are kept.

    With z = (features [D], 1, one-hot label [K]), the sums of z zᵀ over the images, [D + 1 + K, D + 1 + K] in float64,
    hold all that the fit and its error on other images need.
    """

    def __init__(self, n: int, num_classes: int) -> None:
        self.n, self.num_classes = n, num_classes
        self._moments: dict[bool, Tensor] = {}

    def add(self, row: int, features: Tensor, labels: Tensor, held_out: bool) -> None:
        """Count a batch of architecture `row`: features [B, D], labels int64 [B]; held-out images judge, others fit.

        Args:
            row: of the architecture, 0 … n − 1.
            features: [B, D].
            labels: classes int64 [B].
            held_out: whether the images judge; others fit.
        """
        one_hot = F.one_hot(labels, self.num_classes)
        ones = features.new_ones(len(features), 1, dtype=torch.float64)
        z = torch.cat([features.double(), ones, one_hot.double()], 1)  # [B, D + 1 + K]
        if held_out not in self._moments:
            self._moments[held_out] = z.new_zeros(self.n, z.shape[1], z.shape[1])
        self._moments[held_out][row].addmm_(z.T, z)

    def r2(self) -> Tensor:
        """Explained share of the held-out labels' variance, float64 [n]: 1 − error / variance, at most 1.

        1 is a perfect linear reading, 0 no better than the mean of the labels. Rows that were never added are 0.

        Returns:
            float64 [n], at most 1.
        """
        fit, judge = self._moments[False], self._moments[True]
        d = fit.shape[-1] - self.num_classes
        design, response = fit[:, :d, :d].clone(), fit[:, :d, d:]
        counted = design[:, -1, -1].clone()  # the constant's second moment is the number of images
        images = counted.clamp_min(1.0)
        diagonal = design.diagonal(dim1=1, dim2=2)  # a view
        power = diagonal[:, :-1].mean(1) / images
        diagonal[:, :-1] += (images * (RIDGE * power + FLOOR))[:, None]
        diagonal[:, -1] += counted == 0  # rows of zeros stay solvable
        weights = torch.linalg.solve(design, response)  # [n, D + 1, K]
        quadratic = torch.einsum("ndk,nde,nek->n", weights, judge[:, :d, :d], weights)
        error = quadratic - 2 * (weights * judge[:, :d, d:]).sum((1, 2)) + judge[:, d:, d:].diagonal(0, 1, 2).sum(1)
        counts = judge[:, d:, d:].diagonal(0, 1, 2)  # images of each class
        total = counts.sum(1)
        variance = total - counts.square().sum(1) / total.clamp_min(1.0)
        return torch.where(variance > 0, 1 - error / variance.clamp_min(FLOOR), torch.zeros_like(variance))

    def eta2(self) -> Tensor:
        """Share of a feature's variance that lies between the classes, mean over the features, float64 [n].

        The correlation ratio (Fisher), on all images that were added. Constant features count as 0.

        Returns:
            float64 [n], from 0 to 1.
        """
        moments = self._moments[False] + self._moments[True]
        d = moments.shape[-1] - self.num_classes
        counts = moments[:, d:, d:].diagonal(0, 1, 2)[:, None]  # [n, 1, K]
        images = counts.sum(-1).clamp_min(1.0)  # [n, 1]
        means = moments[:, : d - 1, d - 1] / images  # [n, D]
        total = moments.diagonal(0, 1, 2)[:, : d - 1] / images - means.square()
        of_class = moments[:, : d - 1, d:] / counts.clamp_min(1.0)  # [n, D, K]
        between = (counts * (of_class - means[:, :, None]).square()).sum(-1) / images
        return torch.where(total > FLOOR * means.square() + FLOOR, between / total.clamp_min(FLOOR), 0.0).mean(1)


class StageProbes(Meter):
    """One probe per stage of the networks, read off pooled activations at its end.

    `class_separation` takes the stages after the first, whose few channels say little of the classes.
    """

    wants_training_images = True
    wants_stages = True

    def __init__(self, n: int, num_classes: int, device: torch.device, task: type[Task] = ImageClassification) -> None:
        super().__init__(n, num_classes, device, task)
        self.stages: list[LinearProbes] = []

    def add(self, seen: Seen) -> None:
        if not self.stages:
            self.stages = [LinearProbes(self.n, self.num_classes) for _ in seen.stages]
        for probes, features in zip(self.stages, seen.stages, strict=True):
            probes.add(seen.row, features, seen.targets, seen.held_out)

    def linear_probe(self) -> Tensor:
        """Explained variance read off the classifier's features, float64 [n].

        Returns:
            float64 [n], at most 1.
        """
        return self.stages[-1].r2()

    def class_separation(self) -> Tensor:
        """Geometric mean of R² and η² over the later stages, float64 [n], from 0 to 1.

        R² asks how much of the labels the features tell, η² how much of the features the labels explain. The first
        rates architectures too high that keep all of the input, the second those that keep nothing else; their
        product errs less than either (docs/RESULTS.md).

        Returns:
            float64 [n], from 0 to 1.
        """
        later = self.stages[1:] or self.stages
        factors = [factor.clamp_min(SMALLEST) for probes in later for factor in (probes.r2(), probes.eta2())]
        return torch.stack(factors).log().mean(0).exp()
