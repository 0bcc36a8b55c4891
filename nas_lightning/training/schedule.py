"""The learning rate as a pure function of the step, so that nothing about it has to be saved or resumed."""

from __future__ import annotations

import math

from nas_lightning.plan import Protocol


def learning_rate(protocol: Protocol, step: int, steps_per_epoch: int, total_steps: int) -> float:
    """Learning rate of optimizer step `step` (0-based) of `total_steps`.

    Linear warm-up over `warmup_epochs`, then from `learning_rate` to `learning_rate_min`: ``cosine``
    min + (peak − min)·(1 + cos(π·t))/2 with t the share of the remaining steps done, ``linear``, ``constant`` (stays at
    the peak), or ``step`` (a tenth at half, a hundredth at three quarters, never below the minimum).
    """
    warmup = round(protocol.warmup_epochs * steps_per_epoch)
    peak, low = protocol.learning_rate, protocol.learning_rate_min
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, total_steps - warmup)
    if protocol.schedule == "cosine":
        return low + (peak - low) * (1 + math.cos(math.pi * done)) / 2
    if protocol.schedule == "linear":
        return peak + (low - peak) * done
    if protocol.schedule == "step":
        return max(low, peak * (0.01 if done >= 0.75 else 0.1 if done >= 0.5 else 1.0))
    return peak
