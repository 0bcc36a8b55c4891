"""Heuristic 11, learning rate: its peak, its schedule, and its dependence on the sampled path."""

from __future__ import annotations

from nas_lightning.heuristic import Heuristic


class LearningRate(Heuristic):
    """SGD's learning rate: peak `value`, final `minimum` (`scale` multiplies both of the starting point), shape
    `schedule`, linear warm-up, and a complexity-aware factor.

    Picture::

        cosine     ██▇▇▆▅▄▃▂▂▁▁
        linear     █▇▇▆▆▅▄▄▃▃▂▁
        step       ██████▂▂▂▁▁▁
        constant   ████████████

    Mechanism: rate(step) = schedule(step) · (params(paths) / mean params)^complexity_aware. The schedule is a pure
    function of the step, with t the share of the run that is done: ``cosine`` min + (peak − min)·(1 + cos πt)/2,
    ``linear`` peak + (min − peak)·t, ``constant``, or ``step`` (a tenth at half, a hundredth at three quarters).
    With several paths per step, params is their mean. Rates that are meant for networks that read images say so in
    `inputs`, and do not apply to recurrent ones, which learn at some hundred times as much.

    Source: Yu, Ranftl, Salzmann (arXiv 2110.01154), hyper-parameters; a rate by the path's size after Jeon et al.
    (arXiv 2503.10740), whose own form of it is extra=dynas.
    Fires: at every training step (schedule read from the plan). Cost: none.
    Does not: scale with the batch size or the number of GPUs.
    Applies to: all spaces.
    """

    factor = "learning_rate"
    fields = (
        "protocol.learning_rate",
        "protocol.learning_rate_min",
        "protocol.schedule",
        "protocol.warmup_epochs",
        "protocol.complexity_aware",
    )
    scaled = 2  # peak and minimum

    def __init__(
        self,
        value: float | None = None,
        minimum: float | None = None,
        schedule: str | None = None,
        warmup_epochs: float | None = None,
        complexity_aware: float | None = None,
        scale: float | None = None,
        inputs: str | None = None,
    ) -> None:
        super().__init__(
            scale=scale,
            inputs=inputs,
            learning_rate=value,
            learning_rate_min=minimum,
            schedule=schedule,
            warmup_epochs=warmup_epochs,
            complexity_aware=complexity_aware,
        )
