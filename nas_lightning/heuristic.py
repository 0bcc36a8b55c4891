"""What a heuristic is: a Lightning callback that owns some fields of the plan and edits nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pytorch_lightning import Callback

from nas_lightning.plan import FIELDS, Plan, PlanError
from nas_lightning.spaces import Space, get_space


class NotApplicableError(PlanError):
    """The setting has no meaning on this space: an ablation records it, and trains nothing."""


class Heuristic(Callback):
    """One factor of super-net training, isolated.

    A subclass names its `factor` and the plan `fields` it owns, and hands `Heuristic.__init__` the values it sets; None
    leaves a field to the starting point of the space or recipe. `scale` multiplies the starting point's number (of its
    first `scaled` fields) in place of replacing it, so that one setting serves recipes of any size. Numbers that are
    meant for networks that read one kind of `inputs` say so: they do not apply to a space of another kind. train.py
    folds the edits of all heuristics before it builds data, network and Trainer, since Lightning's own hooks come too
    late for batch size, train portion and epochs. A heuristic that acts during training does so through Lightning's
    hooks; it knows the plan and no other heuristic. What such hooks need beyond the plan are its `options`: they count
    in the run's hash and stand in its result beside the fields.
    """

    factor: ClassVar[str]
    fields: ClassVar[tuple[str, ...]]
    changes_draws: ClassVar[bool] = False
    """Whether toggling this heuristic changes the drawn batches or paths (else two runs draw the same ones)."""
    shares_weights: ClassVar[bool] = False
    """Whether it acts on shared weights or on the choice of paths alone, so that one stand-alone network has no use for
    it: mode=standalone and mode=table refuse it where it sets anything."""
    extra_passes: ClassVar[int] = 0
    """Forward and backward passes that it adds to every step, beside those of the sampled paths."""
    scaled: ClassVar[int] = 1
    """How many of its fields, from the first on, `scale` multiplies."""
    unnamed: ClassVar[tuple[str, ...]] = ()
    """Options that do not stand in a run's name, since the rest of it, or of the run, says them."""

    def __init__(
        self,
        *,
        scale: float | None = None,
        inputs: str | None = None,
        options: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> None:
        super().__init__()
        leaves = {field.split(".")[1]: field for field in self.fields}
        assert set(values) <= set(leaves), f"{type(self).__name__} sets a field that it does not own"
        self.values: dict[str, Any] = {leaves[name]: value for name, value in values.items() if value is not None}
        self.options = {name: value for name, value in (options or {}).items() if value is not None}
        self.scale, self.inputs = scale, inputs
        twice = [field for field in self.fields[: self.scaled] if field in self.values]
        if scale is not None and twice:
            raise PlanError(
                f"heuristics.{self.factor}.scale={scale:g} multiplies {twice[0]}, which heuristics.{self.factor} "
                f"also sets, to {self.values[twice[0]]}; give only one of them"
            )
        if scale is not None and not 0 < scale <= 1000:
            raise PlanError(
                f"heuristics.{self.factor}.scale={scale:g} is out of range; it must be above 0 and at most 1000"
            )

    @property
    def active(self) -> bool:
        """Whether it sets anything."""
        return bool(self.values) or bool(self.options) or self.scale is not None

    def settings(self, plan: Plan) -> dict[str, Any]:
        """All that it sets on the starting point `plan`: fields and options.

        Args:
            plan: the starting point.

        Returns:
            Values by the field's or the option's name.
        """
        return {**self.edits(plan), **self.options}

    def changes(self, plan: Plan) -> dict[str, Any] | None:
        """What a run is called by: of its settings those that are neither the plan's own nor, where the class sets
        something by itself (a learned distribution's rates), the class's defaults. The factor's own value always
        stands.

        Args:
            plan: the starting point.

        Returns:
            Values by the field's or the option's name, empty where it is on at its defaults; None where the plan stays
            as it is.
        """
        before = plan.flat()
        found = {k: v for k, v in self.settings(plan).items() if k not in before or before[k] != v}
        if not found:
            return None
        usual = self._usual(plan)
        return {
            k: v
            for k, v in found.items()
            if k.rpartition(".")[2] == self.factor or (k not in self.unnamed and (k not in usual or usual[k] != v))
        }

    def _usual(self, plan: Plan) -> dict[str, Any]:
        try:
            return type(self)().settings(plan)
        except (TypeError, PlanError):  # a class that needs to be told has no defaults
            return {}

    def edits(self, plan: Plan) -> dict[str, Any]:
        """The fields this heuristic sets on the starting point `plan`, ``{"protocol.learning_rate": 0.05}``.

        A scaled whole number is rounded (halves up) and at least 1.

        Args:
            plan: the starting point.

        Returns:
            Values by the field's name; empty where nothing is set.

        Raises:
            NotApplicableError: scaling leaves the first field as it was.
        """
        if self.scale is None:
            return dict(self.values)
        flat, scaled = plan.flat(), {}
        for field in self.fields[: self.scaled]:
            exact = flat[field] * self.scale
            scaled[field] = exact if isinstance(flat[field], float) else max(1, math.floor(exact + 0.5))
        field = self.fields[0]
        before = flat[field]
        if scaled[field] == before:
            whole = "" if isinstance(before, float) else "rounded to a whole number "
            raise NotApplicableError(
                f"heuristics/{self.factor} with scale={self.scale:g} does not apply to {field}={before}: {whole}it "
                f"stays {before}; set heuristics.{self.factor}.value"
            )
        return {**self.values, **scaled}

    def check(self, plan: Plan, space: Space[Any]) -> None:
        """Refuse a setting that the space or the starting point `plan` does not have.

        A heuristic asks what it needs of the space's `capabilities` and other facts, never its name.

        Args:
            plan: the starting point.
            space: of the run.

        Raises:
            NotApplicableError: the space does not have it.
            PlanError: the starting point does not.
        """

    def check_folded(self, plan: Plan) -> None:
        """Refuse what another heuristic's fields contradict, on the plan after the edits of all.

        Args:
            plan: after the edits of all heuristics.

        Raises:
            PlanError: it names both.
        """

    def check_standalone(self, mode: str) -> None:
        """Refuse a setting that networks with weights of their own have no use for.

        Args:
            mode: ``standalone`` or ``table``.

        Raises:
            NotApplicableError: it acts on shared weights or paths alone.
        """
        if self.active and self.shares_weights:
            raise NotApplicableError(
                f"{self.factor} does not apply to mode={mode}, whose networks share no weights and have one path; drop "
                f"it, for example with heuristics.{self.factor}=null"
            )

    def edit(self, plan: Plan) -> Plan:
        """The plan with this heuristic's fields set.

        Args:
            plan: the starting point.

        Returns:
            Another plan; `plan` itself is frozen.
        """
        return plan.edited(self.edits(plan))


def owners(heuristics: Iterable[Heuristic]) -> dict[str, str]:
    """Plan field -> factor.

    Args:
        heuristics: all of the run.

    Returns:
        The factor by the field's name.

    Raises:
        PlanError: two heuristics own one field, or one owns what is no field of the plan.
    """
    owned: dict[str, str] = {}
    for heuristic in heuristics:
        for field in heuristic.fields:
            if field not in FIELDS:
                raise PlanError(f"heuristic {heuristic.factor} owns {field!r}, which is no field of the plan")
            if field in owned:
                raise PlanError(
                    f"heuristics {owned[field]} and {heuristic.factor} both own {field}; remove one of them, "
                    f"for example with heuristics.{heuristic.factor}=null"
                )
            owned[field] = heuristic.factor
    return owned


def fold(plan: Plan, space: str | Space[Any], heuristics: Iterable[Heuristic]) -> Plan:
    """The plan after the edits of all heuristics; their order does not matter, since no field has two owners.

    All edits are applied together, so that settings which only fit in combination (tracked statistics and their use)
    are judged once, as a whole.

    Args:
        plan: the starting point.
        space: its name, the dotted path of one's own, or the space itself.
        heuristics: all of the run.

    Returns:
        The folded plan.

    Raises:
        PlanError: fields contradict one another, or have two owners.
        NotApplicableError: a setting does not apply to the space.
    """
    heuristics, space = list(heuristics), get_space(space)
    owners(heuristics)
    edits: dict[str, Any] = {}
    for heuristic in heuristics:
        if heuristic.active:
            if heuristic.inputs not in (None, space.inputs):
                raise NotApplicableError(
                    f"{heuristic.factor} does not apply to space={space.name} as it is set: its number is meant for "
                    f"networks that read {heuristic.inputs}, and these read {space.inputs}; set "
                    f"heuristics.{heuristic.factor}.scale, or a value with heuristics.{heuristic.factor}.inputs=null"
                )
            heuristic.check(plan, space)
            own = heuristic.edits(plan)
            if (why := space.refusal(own)) is not None:
                raise NotApplicableError(
                    f"{heuristic.factor} does not apply to space={space.name} as it is set: {why}; leave it at its "
                    "default"
                )
            edits.update(own)
    folded = plan.edited(edits)
    for heuristic in heuristics:
        if heuristic.active:
            heuristic.check_folded(folded)
    return folded


def changed(before: Plan, after: Plan) -> Mapping[str, tuple[Any, Any]]:
    """Fields that differ: name -> (before, after).

    Args:
        before: a plan.
        after: another one.

    Returns:
        Pairs of values by the field's name.
    """
    a, b = before.flat(), after.flat()
    return {name: (a[name], b[name]) for name in FIELDS if a[name] != b[name]}
