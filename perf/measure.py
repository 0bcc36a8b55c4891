"""Paired measurements: two ways of doing one thing, in turns, in one process, so that a noisy machine cancels.

Times are processor seconds with one thread (other programs then count for little) and wall seconds with several.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch


def clock() -> Callable[[], float]:
    """Processor time where one thread works, wall time otherwise."""
    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def spread(values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Median and quartiles."""
    low, median, high = np.percentile(np.asarray(values, float), [25, 50, 75])
    return {"median": float(median), "q25": float(low), "q75": float(high), "n": len(values)}


def paired(
    ours: Sequence[Callable[[], Any]], reference: Sequence[Callable[[], Any]], rounds: int, warm_up: int = 1
) -> dict[str, Any]:
    """Time the two lists of equal length in turns.

    Who goes first alternates. Returns the spread of the per-pair ratio ours / reference over `rounds` times the list,
    the ratio of the total times (the throughput's), and the median milliseconds of both.
    """
    now, times = clock(), np.zeros((rounds, len(ours), 2))
    for _ in range(warm_up):
        for both in zip(ours, reference, strict=True):
            for call in both:
                call()
    gc.collect()
    gc.disable()
    try:
        for r in range(rounds):
            for i, both in enumerate(zip(ours, reference, strict=True)):
                for which in (0, 1) if (r + i) % 2 else (1, 0):
                    started = now()
                    both[which]()
                    times[r, i, which] = now() - started
    finally:
        gc.enable()
    per_item = np.median(times, axis=0)  # [item, 2]
    return {
        "ratio": spread((times[..., 0] / times[..., 1]).ravel()),
        "ratio_of_totals": float(per_item[:, 0].sum() / per_item[:, 1].sum()),
        "ours_ms": 1e3 * float(per_item[:, 0].mean()),
        "reference_ms": 1e3 * float(per_item[:, 1].mean()),
    }


def milliseconds(call: Callable[[], Any], repeats: int = 15, warm_up: int = 2) -> dict[str, float]:
    """Spread of one call's time in milliseconds."""
    now, times = clock(), []
    for i in range(warm_up + repeats):
        started = now()
        call()
        if i >= warm_up:
            times.append(1e3 * (now() - started))
    return spread(times)
