"""One job of search.py: from a composed configuration to an objective, a run folder and the lines at the end."""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from nas_lightning.benchmarks import Benchmark
from nas_lightning.config.check import check_configuration
from nas_lightning.config.effects import UNREAD_BY_SEARCHES, refuse_unread, search_kind
from nas_lightning.config.schema import typed
from nas_lightning.config.search_schema import (
    BenchmarkObjectiveSchema,
    SearchConfig,
    SupernetObjectiveSchema,
    ZeroCostObjectiveSchema,
    as_dict,
    typed_algorithm,
    typed_objective,
)
from nas_lightning.errors import UserError
from nas_lightning.logging.loggers import refuse_unknown_logger
from nas_lightning.modes.search_ending import draw_front, render
from nas_lightning.ranking.architecture_sets import architecture_set
from nas_lightning.runs.files import refused_by_disk
from nas_lightning.search.algorithm import algorithm_class, packaged_target
from nas_lightning.search.benchmark_objective import benchmark_objective, open_table
from nas_lightning.search.budget import Budget
from nas_lightning.search.objective import Objective
from nas_lightning.search.runner import SearchPlan, prepared, run_search
from nas_lightning.search.trial import SearchError
from nas_lightning.search.weak_labels import WeakLabelFile, WeakLabelSource
from nas_lightning.spaces import configured, get_space

console = Console()


def search(cfg: DictConfig) -> dict[str, Any]:
    """Run, resume or skip the search that `cfg` describes, and print what it found.

    Wrong input is a UserError whose sentence is printed here: in a sweep Hydra keeps the error of a job to itself
    until all other jobs are done.
    """
    try:
        try:
            return _search(cfg)
        except OSError as error:  # a full disk, a folder that cannot be written
            raise refused_by_disk(error, str(cfg.runs)) from error
    except UserError as error:
        Console(stderr=True).print(f"error: {error}", highlight=False, soft_wrap=True, markup=False)
        error.was_printed = True  # type: ignore[attr-defined]
        raise


def refuse_what_nothing_reads(config: SearchConfig) -> None:
    """Refuse settings that were typed and that this search has no use for. Raises UserError."""
    if HydraConfig.initialized():
        settings = as_dict(config.objective)
        kind = search_kind(settings["name"], config.checkpoint is not None, bool(settings.get("train_top_k")))
        refuse_unread(HydraConfig.get().overrides.task, UNREAD_BY_SEARCHES[kind])


def prepare_torch(config: SearchConfig) -> None:
    """Threads and determinism, where the search computes with PyTorch."""
    if as_dict(config.objective)["name"] == "benchmark" and config.checkpoint is None:
        return
    import torch

    from nas_lightning.training.trainer import ask_for_determinism, refuse_absent_gpu

    if config.trainer.threads:
        torch.set_num_threads(config.trainer.threads)
    refuse_absent_gpu(config.trainer.accelerator, config.trainer.precision)
    ask_for_determinism(config.trainer.deterministic, config.trainer.accelerator)


def _search(cfg: DictConfig) -> dict[str, Any]:
    check_configuration(cfg)
    config: SearchConfig = typed(cfg)
    typed_objective(config.objective)  # an unknown one is refused before anything asks for its settings
    refuse_what_nothing_reads(config)
    prepare_torch(config)
    plan = plan_of(config)
    objective = make_objective(config, plan)
    result, folder, was_there = run_search(
        plan,
        objective,
        study_folder(config),
        dataset=objective.dataset,
        benchmark=objective.benchmark_record(),
        config_yaml=OmegaConf.to_yaml(cfg, resolve=True),
        force=config.force,
        progress=config.progress_bar,
        weak=weak_labels_of(config, plan),
    )
    if not was_there and config.logger.name != "none":
        log_search(config, result, folder)
    draw_front(result, folder)
    if not (HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN):  # there its line is the sweep's
        render(result, folder, was_there, console)
    return result


def plan_of(config: SearchConfig) -> SearchPlan:
    """The search that the configuration asks for. Raises SearchError for settings that contradict each other."""
    settings = typed_algorithm(as_dict(config.algorithm))
    name, target = settings.pop("name"), settings.pop("_target_")
    space = get_space(configured(config.space.name, config.space._target_).name)
    return SearchPlan(
        algorithm=name,
        target=None if target == packaged_target(name) else target,
        budget=Budget(config.budget.unit, config.budget.amount),
        seed=config.seed,
        settings=settings,
        single_fidelity=config.single_fidelity,
        parallel=config.parallel,
        deterministic=config.deterministic,
        top_k=space.top_k if config.top_k is None else config.top_k,
        baseline_seeds=config.baseline_seeds,
        study=config.study,
        candidates=tuple(map(space.format, architecture_set(config.candidates, space))) if config.candidates else (),
    )


def study_folder(config: SearchConfig) -> Path:
    """The folder of the run folders."""
    return Path(config.runs) / (config.study or "search")


def describe_search(config: SearchConfig) -> Path:
    """The run folder of the search that the configuration asks for, found without searching.

    Raises:
        UserError: what the search would refuse before its first evaluation.
    """
    plan = plan_of(config)
    objective, weak = make_objective(config, plan), weak_labels_of(config, plan)
    prepared(plan, objective, weak)
    refuse_unknown_logger(config.logger.name)
    return study_folder(config) / plan.run_name(objective, weak)


def weak_labels_of(config: SearchConfig, plan: SearchPlan) -> WeakLabelSource | None:
    """Where the search's weak labels come from; None where it has none.

    ``weak_labels=`` names a file of scores; ``checkpoint=`` with an objective that is no super-net names the super-net
    that labels the algorithm's candidates. Raises SearchError where both are given, or the objective is one already.
    """
    file, checkpoint, objective = config.weak_labels, config.checkpoint, as_dict(config.objective)["name"]
    labelled = file is not None or (checkpoint is not None and objective != "supernet")
    if labelled and not algorithm_class(plan.target or plan.algorithm).takes_weak_labels:
        given = "weak_labels" if file is not None else "checkpoint"
        raise SearchError(
            f"{given}=… labels candidates weakly here, and {plan.algorithm} does not use that: drop it, choose "
            "algorithm=acenas or predictor_guided, or objective=supernet"
        )
    if file is not None and checkpoint is not None:
        raise SearchError("weak_labels and checkpoint are both given: choose the file, or the super-net that makes one")
    if file is not None:
        if config.weak_images is not None or config.weak_probe_images:
            raise SearchError("weak_images and weak_probe_images belong to checkpoint=…: a file of labels has its own")
        return WeakLabelFile(file, config.weak_columns)
    if config.weak_columns:
        raise SearchError("weak_columns chooses from the scores of weak_labels=…: give the file, or drop it")
    if checkpoint is None or objective == "supernet":
        if config.weak_images is not None or config.weak_probe_images:
            raise SearchError("weak_images and weak_probe_images say how checkpoint=… labels weakly: nothing does here")
        return None
    from nas_lightning.objectives.weak_labels import supernet_weak_labels  # imports PyTorch

    return supernet_weak_labels(config)


def log_search(config: SearchConfig, result: dict[str, Any], folder: Path) -> None:
    """Show a finished search in the logger: its incumbents over the evaluations, and the final numbers."""
    from nas_lightning.logging import RunFacts, open_logger  # imports Lightning

    facts = RunFacts(
        folder=folder,
        run_hash=result["run_hash"],
        kind="search",
        space=result["space"],
        dataset=result["dataset"],
        seed=result["seed"],
        study=result["study"],
        extra={name: result[name] for name in ("algorithm", "objective", "benchmark")},
    )
    with open_logger(config.logger.name, facts, project=config.logger.project) as logger:
        with (folder / "search.csv").open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                shown = {
                    name: row[name] for name in ("incumbent_objective", "incumbent_truth", "spent") if row.get(name)
                }
                logger.log({f"search/{name}": float(value) for name, value in shown.items()}, int(row["evaluation"]))
        logger.finish(result)


def make_objective(config: SearchConfig, plan: SearchPlan) -> Objective:
    """The objective that the configuration asks for. Imports PyTorch only where it is needed."""
    wanted = typed_objective(config.objective)
    unit, space = plan.budget.unit, config.space.name
    measures = tuple(plan.settings.get("minimise", ()))
    if isinstance(wanted, BenchmarkObjectiveSchema):
        settings = asdict(wanted)
        settings.pop("name")
        return benchmark_objective(asdict(config.benchmark), space=space, cost_unit=unit, measures=measures, **settings)
    from nas_lightning.objectives.inputs import refuse_other_inputs
    from nas_lightning.objectives.supernet import supernet_objective
    from nas_lightning.objectives.training import training_objective
    from nas_lightning.objectives.zerocost import zerocost_objective

    refuse_other_inputs(space, asdict(config.data))
    if isinstance(wanted, SupernetObjectiveSchema):
        if config.checkpoint is None:
            raise SearchError(
                "objective=supernet needs checkpoint=…, the run folder or .ckpt file of a trained super-net"
            )
        return supernet_objective(config, wanted, unit, _table_of_the_data(config), measures=measures)
    if isinstance(wanted, ZeroCostObjectiveSchema):
        return zerocost_objective(config, wanted, unit, _table_of_the_data(config), measures=measures)
    return training_objective(config, wanted, unit, measures)


def _table_of_the_data(config: SearchConfig) -> Benchmark | None:
    """The table that knows the truth of what is found; None for benchmark=none.

    Raises SearchError for one of other images.
    """
    table = open_table(asdict(config.benchmark), config.space.name)
    if table is not None and table.dataset != config.data.name:
        raise SearchError(
            f"table {config.benchmark.name} holds {table.dataset} accuracies but data={config.data.name}; choose "
            "a benchmark of the same data set, or benchmark=none"
        )
    return table
