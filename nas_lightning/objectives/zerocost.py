"""A zero-cost proxy as the objective of a search: scores of networks that nobody trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from nas_lightning.config.schema import plan_of
from nas_lightning.config.search_schema import SearchConfig, ZeroCostObjectiveSchema
from nas_lightning.data.task import Task
from nas_lightning.objectives.candidate import CostMeasures, StandaloneTrainer, task_of
from nas_lightning.objectives.truth import ScoreObjective, standalone_trainer
from nas_lightning.plan import Plan
from nas_lightning.predictors.base import Context, Predictor, checked_scores, make_predictor
from nas_lightning.search.objective import check_cost_unit
from nas_lightning.search.subspaces import ListedSpace
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces import get_space

if TYPE_CHECKING:
    from nas_lightning.benchmarks import Benchmark


class ZeroCostObjective(ScoreObjective):
    """The value of an architecture is what a proxy says of its stand-alone network at the plan's size, untrained.

    There is one fidelity. Dead networks have minus infinity, which every algorithm takes for a failed evaluation.

    Args:
        space: name of the space.
        plan: its mapping is the size of the networks.
        data: its first held-out images are those that the proxy looks at, where it looks at any.
        proxy: a predictor that needs neither a trained super-net nor true accuracies.
        seed: of the initial weights.
        device: where the networks are.
        cost_unit: evaluations.
        architectures: ``space``, ``table``, or None: the table's where there is a table.
        benchmark, standalone: see `ScoreObjective`.
        measures: of `CostMeasures`.

    Raises:
        SearchError: a predictor of another kind, an unknown choice of architectures, another unit.
        PlanError: a space without networks, or a mapping that its networks do not have.
    """

    name = "zerocost"
    fidelities = Fidelities("networks", (1,))

    def __init__(
        self,
        space: str,
        plan: Plan,
        data: Task,
        *,
        proxy: Predictor,
        seed: int,
        device: torch.device,
        cost_unit: str,
        architectures: str | None = None,
        benchmark: Benchmark | None = None,
        standalone: StandaloneTrainer | None = None,
        measures: Sequence[str] = (),
    ):
        check_cost_unit(cost_unit, ("evaluations",), self.name)
        if "truth" in proxy.needs:
            raise SearchError(
                f"objective.proxy={proxy.name} is fitted on true accuracies: choose a proxy without labels, such as "
                "logsynflow, or algorithm=predictor_guided, which learns from what it measures"
            )
        if "weights" in proxy.needs:
            raise SearchError(
                f"objective.proxy={proxy.name} looks at a trained super-net: choose a proxy of initial weights, such "
                "as logsynflow, or objective=supernet"
            )
        whole = get_space(space)
        whole.network_class()
        whole.check_mapping(plan.mapping)
        data.setup()
        self.plan, self.data, self.proxy, self.seed, self.cost_unit = plan, data, proxy, seed, cost_unit
        self.benchmark, self.standalone, self.dataset = benchmark, standalone, data.name
        images = int(getattr(proxy, "batch_size", 64))
        self.batches = data.evaluation_batches(images, images, device) if "images" in proxy.needs else []
        self._measures = CostMeasures(whole, plan, data, measures)
        self.architectures = architectures or ("space" if benchmark is None else "table")
        self.space = self._searched_space(whole)
        self._known: dict[Any, float] = {}

    def _searched_space(self, whole: Any) -> Any:
        if self.architectures == "space":
            return whole
        if self.architectures != "table":
            raise SearchError(f"objective.architectures={self.architectures} is unknown: choose space or table")
        if self.benchmark is None:
            raise SearchError("objective.architectures=table needs a table: choose benchmark=…")
        if len(self.benchmark) in (whole.size, whole.unique_size):
            return whole
        return ListedSpace(whole, list(dict.fromkeys(self.benchmark.architectures())))

    def evaluate(self, trials: Sequence[Trial]) -> list[Measurement]:
        archs = [trial.architecture for trial in trials]
        if todo := [arch for arch in dict.fromkeys(archs) if arch not in self._known]:
            self._known.update(zip(todo, checked_scores(self.proxy, self._context(todo)).tolist(), strict=True))
        return [
            Measurement(self._known[arch], 1.0, measured)
            for arch, measured in zip(archs, self._measures.of(archs), strict=True)
        ]

    def _context(self, architectures: Sequence[Any]) -> Context:
        return Context(
            get_space(self.space.name),
            architectures,
            self.plan.mapping,
            num_outputs=self.data.num_outputs,
            in_channels=self.data.in_channels,
            image_size=self.data.image_size,
            seed=self.seed,
            batches=self.batches,
            task=type(self.data),
        )

    @property
    def value_name(self) -> str:
        return f"{self.proxy.name} of the untrained network"

    def planned_cost(self, trial: Trial) -> float:
        return 1.0

    def worst_value(self) -> float:
        return min((value for value in self._known.values() if value > float("-inf")), default=0.0)

    def identity(self) -> dict[str, Any]:
        return {
            "score": self.proxy.name,
            "settings": self.proxy.settings(),
            "class": f"{type(self.proxy).__module__}.{type(self.proxy).__qualname__}",
            "mapping": self.plan.as_dict()["mapping"],
            "data": self.data.record(),
            "architectures": self.architectures,
            "measures": list(self._measures.names),
            "truth": self.truth_identity(),
            **self.data.quality.record(),
        }


def zerocost_objective(
    config: SearchConfig,
    settings: ZeroCostObjectiveSchema,
    cost_unit: str,
    benchmark: Benchmark | None,
    measures: Sequence[str] = (),
) -> ZeroCostObjective:
    """The objective of ``objective=zerocost``: the plan's mapping is the size of the networks."""
    plan = plan_of(config.plan)
    proxy = settings.proxy
    gpu = config.trainer.accelerator != "cpu" and torch.cuda.is_available()
    return ZeroCostObjective(
        config.space.name,
        plan,
        task_of(config.data, plan, config.seed),
        proxy=make_predictor(dict(proxy) if isinstance(proxy, Mapping) else proxy),
        seed=config.seed,
        device=torch.device("cuda" if gpu else "cpu"),
        cost_unit=cost_unit,
        architectures=settings.architectures,
        benchmark=benchmark,
        standalone=standalone_trainer(config, batch_size=settings.batch_size, final_seeds=settings.final_seeds)
        if settings.train_top_k
        else None,
        measures=measures,
    )
