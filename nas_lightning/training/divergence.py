"""A training that diverges is no measurement: it ends at once, and says at which step, and what to lower."""

from __future__ import annotations

import math

from nas_lightning.errors import UserError
from nas_lightning.plan import Protocol

LIMIT = 100.0
"""An epoch's mean loss above so many times that of a uniform guess (ln K nats for K outputs) has diverged. A network
whose outputs are sensible starts near that of a guess, a badly scaled one at a few times it, and training lowers it."""


class DivergedError(UserError):
    """A training whose loss is no number, or far above that of a guess. `step` is the optimizer's, `loss` in nats."""

    def __init__(self, step: int, loss: float, protocol: Protocol) -> None:
        lower = f"lower plan.protocol.learning_rate (now {protocol.learning_rate:g})"
        if not protocol.gradient_clip:
            lower += " or set plan.protocol.gradient_clip, which is off"
        super().__init__(f"the training diverged at step {step}: its loss is {loss:.4g}; {lower}")
        self.step, self.loss = step, loss

    def with_checkpoint(self, name: str) -> None:
        """Say, too, which checkpoint from before that step is kept."""
        self.args = (f"{self.args[0]}; {name} is from before that step",)


def refuse_no_number(loss: float, step: int, protocol: Protocol) -> None:
    """Raises DivergedError for a step's loss that is infinite or no number."""
    if not math.isfinite(loss):
        raise DivergedError(step, loss, protocol)


def refuse_far_above_a_guess(loss: float, step: int, guess: float, protocol: Protocol) -> None:
    """Raises DivergedError for an epoch's mean loss that ends at `step`, no number or beyond `LIMIT` times `guess`, the
    loss of an uninformed one (`Task.guess_loss`)."""
    if not (math.isfinite(loss) and loss <= LIMIT * guess):
        raise DivergedError(step, loss, protocol)
