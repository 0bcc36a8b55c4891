"""Heuristic 14, sampling: which paths are trained at a step."""

from __future__ import annotations

from nas_lightning.heuristic import Heuristic


class Sampling(Heuristic):
    """``random_a``, ``random_nas``, ``fairnas``, or ``sandwich``; `paths_per_step` random paths with averaged
    gradients.

    Picture::

        random_nas   ● ○ ○ ○ ○   one path a step
        fairnas      ● ● ● ● ●   every operation once, one step
        sandwich     ▲ ● ▽       largest, random, smallest

    Mechanism: ``random_a`` is uniform over isomorphism classes (`random_member` trains a random member of the class in
    place of its canonical one), ``random_nas`` uniform over raw encodings. ``fairnas`` draws one topology and one
    random permutation of the operations per slot, m paths for m operations, in which every operation of every slot
    occurs once; gradients are SUMMED and ONE optimizer step is taken. ``sandwich`` trains the largest, the smallest and
    `paths_per_step` random architectures, averaged; with `distillation` the others learn the largest one's predictions
    of the same step (soft cross-entropy, in place) instead of the labels. All draws are keyed by (seed, step), the same
    on every rank.

    Source: Yu, Ranftl, Salzmann (arXiv 2110.01154); Li, Talwalkar (arXiv 1902.07638); Chu et al., FairNAS (arXiv
    1907.01845), algorithm 1; Yu, Huang (arXiv 1903.05134), sections 3.2 (sandwich) and 3.3 (in-place distillation).
    Fires: at every training step. Cost: one forward and backward pass per path (FairNAS: 3 on nasbench101, 5 on
    nasbench201, 7 on darts_nds).
    Does not: repeat batches; all paths of a step see the same images.
    Applies to: all spaces.
    """

    factor = "sampling"
    fields = ("protocol.sampling", "protocol.paths_per_step", "protocol.random_member", "protocol.distillation")
    shares_weights = True
    changes_draws = True

    def __init__(
        self,
        method: str | None = None,
        paths_per_step: int | None = None,
        random_member: bool | None = None,
        distillation: bool | None = None,
    ) -> None:
        super().__init__(
            sampling=method, paths_per_step=paths_per_step, random_member=random_member, distillation=distillation
        )
