"""Heuristic 10, batch norm: tracked statistics, affine parameters, and the statistics used at evaluation."""

from __future__ import annotations

from nas_lightning.heuristic import Heuristic


class BatchNorm(Heuristic):
    """Two switches on every batch-norm, `track` and `affine`, and what `evaluation` normalises with. Where the starting
    point sets mapping.bn_affine_outside, `affine` speaks of the cells alone.

    Picture::

        batch         the evaluation batch's own mean
        tracked       one mean over all paths that were trained
        recalibrate   path by path, from a few training batches

    Mechanism: training always normalises with the batch; `track` adds running averages (momentum 0.1) on the side, so
    that tracked and untracked runs have bit-identical weights. Evaluation uses ``batch`` (the evaluation batch's own
    statistics), ``tracked`` (the running ones, which mix all sampled paths), or ``recalibrate`` (statistics reset, then
    pooled over `batches` training batches for each architecture, exactly, on copies).

    Per channel of [B, C, H, W]: y = scale·(x − mean)/√(var + 1e-5) + shift, scale and shift [C] where `affine` is on.

    Source: Yu, Ranftl, Salzmann (arXiv 2110.01154), section on batch normalisation; Bender et al. 2018 (recalibration);
    Guo et al., SPOS (arXiv 1904.00420).
    Fires: before the network is built (plan) and at evaluation. Cost: tracking moves two more
    vectors per layer and step; recalibration takes `batches` extra forward passes per scored architecture.
    Does not: share moments between processes, which trainer.sync_batchnorm does.
    Applies to: all spaces.
    """

    factor = "batch_norm"
    fields = (
        "mapping.bn_affine",
        "protocol.track_running_stats",
        "protocol.bn_evaluation",
        "protocol.bn_recalibration_batches",
    )

    def __init__(
        self,
        track: bool | None = None,
        affine: bool | None = None,
        evaluation: str | None = None,
        batches: int | None = None,
    ) -> None:
        super().__init__(
            track_running_stats=track, bn_affine=affine, bn_evaluation=evaluation, bn_recalibration_batches=batches
        )
