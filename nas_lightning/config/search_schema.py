"""Schemas of search.py's configuration: a typo in an override is an error at compose time.

The settings of an algorithm are the keyword-only arguments of its class; their schemas are made from these, so that no
default is written twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, make_dataclass
from functools import partial
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from nas_lightning.config.help import register_help
from nas_lightning.config.installed import register_installed
from nas_lightning.config.schema import (
    BenchmarkSchema,
    DataSchema,
    PlanSchema,
    SpaceSchema,
    TrainerSchema,
    open_data,
)
from nas_lightning.config.store import share_config_store
from nas_lightning.search.algorithm import (
    algorithm_class,
    installed_algorithms,
    packaged_algorithms,
    settings_of,
    target_of,
)
from nas_lightning.search.trial import SearchError


@dataclass
class BudgetSchema:
    unit: str = "evaluations"
    """evaluations (a partial one counts its share), epochs, or seconds (simulated on a table)."""
    amount: float = 100
    """How much may be spent."""


@dataclass
class BenchmarkObjectiveSchema:
    name: str = "benchmark"
    """Of the group objective."""
    value: str | None = None
    """The metric that guides the search; null takes validation accuracy where the table has it, else its default."""
    truth: str | None = None
    """The metric that is reported, at the longest training; null takes the table's default (test accuracy)."""
    fidelity: str = "auto"
    """epochs, seeds (runs that are averaged), none, or auto: epochs where there are several, else seeds, else none."""
    epochs: int | None = None
    """The longest training that an evaluation may use; null takes the table's longest."""
    measures_from: str | None = None
    """Another table of the space, for measures that this one lacks (nasbench201_hw: latencies)."""


@dataclass
class SupernetObjectiveSchema:
    name: str = "supernet"
    """Of the group objective."""
    score: str | None = None
    """null takes the task's quality, accuracy of images with classes; else accuracy, negative_cross_entropy,
    linear_probe or class_separation, with shared weights, on held-out images."""
    probe_images: int = 0
    """score=linear_probe or class_separation: training images that the probes are fitted on."""
    images: int | None = None
    """Held-out images of a full evaluation; null uses all that fill whole batches."""
    screening_batches: int = 2
    """Evaluation batches at the lowest fidelity (random_search_ws screens with them)."""
    batch_size: int = 100
    """Images per evaluation batch; with batch statistics the score depends on it."""
    architectures: str = "space"
    """space: all architectures of the space; table: those whose stand-alone accuracy is known."""
    train_top_k: bool = False
    """Train the top K by the stand-alone recipe (plan=…) for their truth, instead of looking it up in the table."""
    final_seeds: int = 1
    """Stand-alone trainings of each of the top K that the reported accuracy averages."""


@dataclass
class TrainingObjectiveSchema:
    name: str = "training"
    """Of the group objective."""
    min_epochs: int | None = None
    """Lowest fidelity; null trains every architecture in full."""
    batch_size: int = 100
    """Images per evaluation batch."""
    final_seeds: int = 1
    """Stand-alone trainings of each of the top K that the reported accuracy averages."""


@dataclass
class ZeroCostObjectiveSchema:
    name: str = "zerocost"
    """Of the group objective."""
    proxy: Any = "logsynflow"
    """What scores the untrained networks: a name of conf/predictor that needs neither a super-net nor true accuracies
    (naswot, synflow, zen, parameters …), or a class with its settings, {_target_: naswot, batch_size: 32}."""
    architectures: str | None = None
    """space: all architectures of the space; table: those whose stand-alone accuracy is known; null: table where there
    is one."""
    train_top_k: bool = False
    """Train the top K by the stand-alone recipe (plan=…) for their truth, instead of looking it up in the table."""
    batch_size: int = 100
    """train_top_k=true: images per evaluation batch."""
    final_seeds: int = 1
    """train_top_k=true: stand-alone trainings of each of the top K that the reported accuracy averages."""


@dataclass
class SearchLoggerSchema:
    name: str = "none"
    """none, csv, tensorboard or wandb: a view of search.csv and result.json, which are written in any case."""
    project: str = "nas-lightning"
    """Project of W&B that the search is shown in."""


@dataclass
class SearchConfig:
    """python search.py: search an architecture on a table, on a trained super-net, or by real training."""

    algorithm: Any = MISSING
    """A choice of the group, with its settings as fields: docs/SEARCH.md."""
    objective: Any = MISSING
    """A choice of the group, with its settings as fields: benchmark, supernet, training or zerocost."""
    budget: BudgetSchema = field(default_factory=BudgetSchema)
    space: SpaceSchema = field(default_factory=SpaceSchema)
    data: DataSchema = field(default_factory=DataSchema)
    benchmark: BenchmarkSchema = field(default_factory=BenchmarkSchema)
    plan: PlanSchema = field(default_factory=PlanSchema)
    trainer: TrainerSchema = field(default_factory=TrainerSchema)
    logger: SearchLoggerSchema = field(default_factory=SearchLoggerSchema)
    checkpoint: str | None = None
    """Run folder or .ckpt file of a super-net: what objective=supernet scores with, and what labels the candidates of
    algorithm=acenas or predictor_guided weakly under objective=training or benchmark."""
    weak_labels: str | None = None
    """File of weak labels for acenas or predictor_guided: a super-net's ranking.parquet; its truth is not read."""
    weak_columns: list[str] = field(default_factory=list)
    """Which scores of that file; empty takes all."""
    weak_images: int | None = None
    """Held-out images that checkpoint=… labels the candidates on; null uses all that fill whole batches."""
    weak_probe_images: int = 0
    """Training images that its probes are fitted on: adds linear_probe and class_separation to the weak labels."""
    candidates: str | None = None
    """Architecture set that is evaluated in full before the algorithm proposes any, and that evolution, local search
    and rankers learn from: a file such as runs/RUN/derived.txt, or a name as of evaluation.architectures."""
    single_fidelity: bool = False
    """Run algorithms that need several fidelities on full evaluations alone."""
    parallel: int = 1
    """Trials in flight; several processes started with the same command share them."""
    deterministic: bool = True
    """Tell results in the order in which they were asked for, so that timing does not matter."""
    top_k: int | None = None
    """K of the final search performance; null takes the space's (5, 10 on NAS-Bench-201)."""
    baseline_seeds: int = 20
    """Random searches at equal budget to compare with, where evaluations are look-ups; 0 for none."""
    study: str | None = None
    """Name of the study this search belongs to; its runs share a folder."""
    seed: int = 0
    """Seed of every draw of the algorithm."""
    force: bool = False
    """Repeat a search that is already complete."""
    progress_bar: bool = True
    """Show progress: a bar on a terminal, lines in a log file."""
    dry_run: bool = False
    """Only print the jobs and which of them are done; start nothing, write nothing."""
    runs: str = "runs"
    """Folder of the run folders."""


OBJECTIVES = {
    "benchmark": BenchmarkObjectiveSchema,
    "supernet": SupernetObjectiveSchema,
    "training": TrainingObjectiveSchema,
    "zerocost": ZeroCostObjectiveSchema,
}


ObjectiveSchema = BenchmarkObjectiveSchema | SupernetObjectiveSchema | TrainingObjectiveSchema | ZeroCostObjectiveSchema


def as_dict(section: Any) -> dict[str, Any]:
    """A section as a plain dict, whether a schema or a file of the user's own declared it."""
    return dict(section) if isinstance(section, Mapping) else asdict(section)


def typed_objective(section: Any) -> ObjectiveSchema:
    """The ``objective`` section as its schema. Raises SearchError for a name that does not exist."""
    settings = as_dict(section)
    name = settings.get("name")
    if name not in OBJECTIVES:
        raise SearchError(f"objective {name} is unknown: choose {', '.join(OBJECTIVES)}")
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(OBJECTIVES[name]), settings))  # type: ignore[return-value]


def algorithm_schema(name: str, target: str | None = None) -> type:
    """A dataclass with the settings of an algorithm and their defaults.

    Args:
        name: what the algorithm is called in results and in the names of run folders.
        target: the dotted path of its class; None where the name finds it.
    """
    cls = algorithm_class(target or name)
    fields: list[Any] = [("name", str, field(default=name)), ("_target_", str, field(default=target_of(cls)))]
    for key, parameter in settings_of(target or name).items():
        if parameter.default is parameter.empty:
            fields.append((key, parameter.annotation, field(default=MISSING)))
        elif parameter.annotation == dict[str, Any] | None:  # OmegaConf merges nothing into a dict that is None
            fields.append((key, dict[str, Any], field(default_factory=dict)))
        elif isinstance(parameter.default, tuple):  # OmegaConf knows lists
            kind = str if all(isinstance(value, str) for value in parameter.default) else Any
            fields.append((key, list[kind], field(default_factory=partial(list, parameter.default))))  # type: ignore[valid-type]
        else:
            fields.append((key, parameter.annotation, field(default=parameter.default)))
    return make_dataclass(f"{cls.__name__}Settings", fields, namespace={"__doc__": cls.__doc__})


def open_algorithm(name: str, target: str | None = None) -> DictConfig:
    """The schema of an algorithm, whose settings that are dicts take keys from the command line without a plus sign."""
    schema: DictConfig = OmegaConf.structured(algorithm_schema(name, target))
    for value in schema.values():
        if isinstance(value, DictConfig):
            OmegaConf.set_struct(value, False)
    return schema


def typed_algorithm(section: Mapping[str, Any]) -> dict[str, Any]:
    """The ``algorithm`` section with name, ``_target_`` and every setting, checked against the class's own arguments.

    A file of the user's own needs no more than ``_target_`` and what it sets. Raises SearchError for a class that is
    not there, OmegaConf's errors for unknown settings and values of a wrong type.
    """
    target, name = section.get("_target_"), section.get("name")
    if name is None and target is None:
        raise SearchError(
            "algorithm has neither a name nor a _target_: choose algorithm=…, or give the path of a class"
        )
    name = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(target).rpartition(".")[2]).lower()
    typed = OmegaConf.merge(OmegaConf.structured(algorithm_schema(name, target)), dict(section))
    return OmegaConf.to_container(typed, resolve=True, throw_on_missing=True)  # type: ignore[return-value]


def register() -> None:
    """Make the schemas known to Hydra, in groups of their own, so that ``algorithm=glob(*)`` does not meet them.

    An algorithm of another installed package is a choice of the group by its entry point alone.
    """
    share_config_store()
    store = ConfigStore.instance()
    store.store(name="search_schema", node=open_data(SearchConfig))
    register_installed()
    register_help("search", SearchConfig, OBJECTIVES)
    for name in packaged_algorithms():
        store.store(group="schema/algorithm", name=name, node=open_algorithm(name))
    for name, point in installed_algorithms().items():
        target = f"{point.module}.{point.attr}"
        store.store(group="algorithm", name=name, node={"name": name, "_target_": target})
        with suppress(Exception):  # what is broken in another package is said where it is chosen
            store.store(group="algorithm", name=name, node=open_algorithm(name, target))
    for name, schema in OBJECTIVES.items():
        store.store(group="schema/objective", name=name, node=schema)
