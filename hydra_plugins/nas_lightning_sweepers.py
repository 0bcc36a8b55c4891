"""Sweepers of nas-lightning: Hydra accepts plugins from this namespace alone, so they are named here and live there."""

from nas_lightning.sweep.adaptive import AdaptiveSweep
from nas_lightning.sweep.sweeper import StudySweep


class StudySweeper(StudySweep):
    """hydra/sweeper=study, the default: every combination."""


class OptunaSweeper(AdaptiveSweep):
    """hydra/sweeper=optuna: settings proposed by Optuna."""
