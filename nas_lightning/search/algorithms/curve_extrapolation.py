"""Learning-curve extrapolation around an algorithm that knows full trainings alone.

Yan, White, Savani, Hutter, "NAS-Bench-x11 and the Power of Learning Curves", NeurIPS 2021, arXiv 2111.03602, section 5:
every architecture is trained for a few epochs, its last value is extrapolated, and only those that promise to be among
the best go on to the end; the algorithm inside learns the extrapolated value of the others.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from itertools import pairwise
from typing import Any

import numpy as np

from nas_lightning.errors import did_you_mean
from nas_lightning.search.algorithm import Algorithm, algorithm_class, known_settings
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces.base import Space

METHODS = ("svr", "families", "last")


class CurveExtrapolation(Algorithm):
    """A trial is asked at several fidelities, each going on where the one before stopped, so that its values are the
    first points of its learning curve. Real training stops early by the same means.

    inner: the algorithm, one of full trainings.
    inner_settings: its settings; those not named take their defaults.
    stop: share of the full fidelity at which a curve is extrapolated.
    points: at most so many points of a curve are asked for until then, evenly spread.
    keep: share of the architectures so far that the extrapolated value has to be among to be trained to the end.
    method: svr (a regression on the curves that ended), families (parametric curves, fitted one by one), last (the last
        value as it is).
    startup: architectures that are trained to the end before any is stopped.
    """

    needs_fidelities = True

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        inner: str = "regularized_evolution",
        inner_settings: dict[str, Any] | None = None,
        stop: float = 0.2,
        points: int = 10,
        keep: float = 0.5,
        method: str = "svr",
        startup: int = 10,
    ):
        super().__init__(space, rng, fidelities)
        if not 0 < stop < 1 or not 0 < keep <= 1 or points < 3 or startup < 6:
            raise SearchError(
                "curve_extrapolation needs stop between 0 and 1, keep above 0 and up to 1, points >= 3, startup >= 6"
            )
        if method not in METHODS:
            raise SearchError(
                f"algorithm.method={method} is unknown: {did_you_mean(method, METHODS)}"
                f"choose one of {', '.join(METHODS)}"
            )
        cls = algorithm_class(inner)
        if cls.needs_fidelities or cls.measures:
            raise SearchError(f"algorithm.inner={inner} has fidelities of its own; choose one of full trainings alone")
        self.inner = cls(space, rng, fidelities.only_full(), **known_settings(inner, inner_settings))
        self.measures = self.inner.measures
        self.keep, self.method, self.startup = keep, method, startup
        self.levels = self._levels(stop, points)
        self._next: deque[Trial] = deque()  # what goes on, before anything new
        self._asked = 0
        self._curves: dict[int, list[float]] = {}  # by number of the architecture
        self._whole: list[tuple[list[float], float]] = []  # first points, last value
        self._expected: list[float] = []  # ascending: last values, known or extrapolated
        self._trials: dict[int, Trial] = {}  # as the inner algorithm asked
        self._model: tuple[int, Any] | None = None  # curves that it was fitted on, regression

    def _levels(self, stop: float, points: int) -> tuple[int, ...]:
        """Fidelities of the first points, then the full one."""
        early = [level for level in self.fidelities.levels[:-1] if level <= stop * self.fidelities.full]
        if not early:
            if self.fidelities.is_single:
                return self.fidelities.levels
            raise SearchError(f"no fidelity is below stop={stop} of the full one; raise algorithm.stop")
        places = np.unique(np.linspace(0, len(early) - 1, min(points, len(early))).round().astype(int))
        return (*(early[place] for place in places), self.fidelities.full)

    def ask(self) -> Trial | None:
        if self._next:
            return self._next.popleft()
        trial = self.inner.ask()
        if trial is None:
            return None
        number = self._asked
        self._asked += 1
        self._trials[number], self._curves[number] = trial, []
        return Trial(trial.architecture, self.levels[0], 0, (number, 0))

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        number, place = trial.tag
        curve = self._curves[number]
        if place + 1 == len(self.levels):
            self._end(number, measurement, measurement.value)
            if np.isfinite([*curve, measurement.value]).all():
                self._whole.append((curve, measurement.value))
            return
        curve.append(measurement.value)
        last_point = place + 2 == len(self.levels)
        if not np.isfinite(measurement.value):
            self._end(number, measurement, measurement.value)  # it has failed
        elif last_point and len(self._whole) >= self.startup:
            value = self._extrapolated(curve)
            rank = len(self._expected) - bisect_left(self._expected, value)
            if rank < self.keep * (len(self._expected) + 1):
                self._go_on(trial)
            else:
                self._end(number, measurement, value)
        else:
            self._go_on(trial)

    def _go_on(self, trial: Trial) -> None:
        number, place = trial.tag
        self._next.append(Trial(trial.architecture, self.levels[place + 1], self.levels[place], (number, place + 1)))

    def _end(self, number: int, measurement: Measurement, value: float) -> None:
        del self._curves[number]
        if np.isfinite(value):
            insort(self._expected, value)
        self.inner.tell(self._trials.pop(number), measurement._replace(value=value))

    def _extrapolated(self, curve: list[float]) -> float:
        if self.method == "last" or len(curve) < 3:
            return curve[-1]
        from nas_lightning.predictors.extrapolation import fitted_svr, parametric_extrapolation

        if self.method == "families":
            steps = [b - a for a, b in pairwise(self.levels[:-1])]
            epochs = np.arange(self.levels[0], self.levels[-2] + 1, max(1, min(steps)))
            dense = np.interp(epochs, self.levels[:-1], curve)
            total = 1 + round((self.levels[-1] - self.levels[0]) / max(1, min(steps)))
            return parametric_extrapolation(dense, total)
        if self._model is None or len(self._whole) >= 1.2 * self._model[0]:  # a fit takes a tenth of a second
            known = np.array([values for values, _ in self._whole])
            last = np.array([value for _, value in self._whole])
            self._model = (len(last), fitted_svr(known, last, settings=20))
        return float(self._model[1].predict(np.array([curve]))[0])
