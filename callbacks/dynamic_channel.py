"""Heuristic 1, dynamic channel: how a shared convolution serves the widths that NAS-Bench-101 cells ask for."""

from __future__ import annotations

from typing import Any

from nas_lightning.heuristic import Heuristic, NotApplicableError
from nas_lightning.plan import Plan
from nas_lightning.spaces import Space


class DynamicChannel(Heuristic):
    """In NAS-Bench-101 a vertex's width depends on the cell: output width // number of vertices wired to the output.

    Picture::

        kernel W   ████████████   all C channels
        fixed      ████░░░░░░░░   the first w
        chunk      ░░░░████░░░░   a window of w
        shuffle    █░░█░░█░░░█░   any w

    Mechanism: the super-net keeps each convolution W [C, C, k, k] at full width and cuts its output, then its input
    axis to the width w of the sampled cell; batch-norm's scale, shift and statistics are cut by the index of the output
    axis. ``fixed`` takes the first w channels, ``shuffle`` w random ones, ``chunk`` a random window of w,
    ``interpolate`` the adaptive average over the channel axis; ``separate`` keeps one weight block per width, so that
    nothing is cut. ``off`` restricts sampling and evaluation to cells with `outputs` output-wired interior vertices,
    whose width is one number (but for the remainder's channel). Shuffle and chunk draws are keyed by (seed, step,
    vertex, axis), producer and consumer independently; evaluation uses one fixed keyed draw.

    Source: Yu, Ranftl, Salzmann, arXiv 2110.01154, section on dynamic channeling.
    Fires: before the network is built (plan). Cost: none, but for ``separate``, which keeps up to 8 blocks per vertex.
    Does not: crop activations after a full-width convolution, as a second version of the authors' code does.
    Applies to: spaces with interior_widths (nasbench101).
    """

    factor = "dynamic_channel"
    fields = ("mapping.dynamic_channel", "mapping.dynamic_channel_outputs")
    shares_weights = True
    changes_draws = True  # off restricts the sampled paths

    def __init__(self, mode: str | None = None, outputs: int | None = None) -> None:
        super().__init__(dynamic_channel=mode, dynamic_channel_outputs=outputs)

    def check(self, plan: Plan, space: Space[Any]) -> None:
        if "interior_widths" not in space.capabilities:
            raise NotApplicableError(
                f"heuristics/dynamic_channel does not apply to space={space.name}, whose widths do not depend on the "
                "cell; set heuristics/dynamic_channel=default"
            )
