"""From a composed configuration to plan, heuristics, folder and hash: everything decided before any data is read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig

from nas_lightning.benchmarks.locate import content_of, sha256_of
from nas_lightning.config.check import check_configuration
from nas_lightning.config.effects import UNREAD, refuse_unread
from nas_lightning.config.schema import (
    BenchmarkSchema,
    DataSchema,
    EvaluationSchema,
    TrainConfig,
    TrainerSchema,
    plan_of,
    typed,
)
from nas_lightning.data.find import name_of, task_class
from nas_lightning.data.images import settled_augment
from nas_lightning.data.module import ImageClassification
from nas_lightning.errors import did_you_mean
from nas_lightning.heuristic import Heuristic, fold
from nas_lightning.nets.build import check_mapping
from nas_lightning.objectives.candidate import task_of
from nas_lightning.objectives.inputs import refuse_other_inputs
from nas_lightning.plan import Plan, PlanError
from nas_lightning.predictors import CHEAP
from nas_lightning.processes.launch import world_size
from nas_lightning.ranking.architecture_sets import identity
from nas_lightning.runs.folder import folder_of, run_hash
from nas_lightning.runs.labels import file_name, folder_part, short, with_typed
from nas_lightning.runs.packaged import heuristic_target
from nas_lightning.scoring.trained import Trained, find_trained
from nas_lightning.spaces import configured, get_space
from nas_lightning.spaces.dotted_path import found_at

MODES = ("supernet", "standalone", "table", "evaluate")
UNCHANGED = "baseline"
"""The ablation that changes nothing."""


@dataclass
class Job:
    """One run, fully decided."""

    config: TrainConfig
    base: Plan
    plan: Plan
    heuristics: list[Heuristic]
    determining: dict[str, Any]
    folder: Path
    checkpoints: list[Trained] = field(default_factory=list)
    """mode=evaluate: the super-nets that score."""
    changes: dict[str, str] = field(default_factory=dict)
    """What the heuristics change of the starting point, by factor, in the words that the run is called by."""
    typed: dict[str, str] = field(default_factory=dict)
    """Fields of the plan that were typed, ``protocol.epochs``: the recipe has another starting point."""

    @property
    def hash(self) -> str:
        return run_hash(self.determining)


def refuse_double_choice(config: TrainConfig, overrides: list[str]) -> None:
    """A heuristic given both by the ablation and on the command line: the second would silently win."""
    if not config.ablation:
        return
    factor = config.ablation.factor
    for override in overrides:
        name = override.split("=")[0].lstrip("+~")
        if name == f"heuristics/{factor}" or name.startswith(f"heuristics.{factor}"):
            raise PlanError(
                f"{override} and ablation={factor}_{config.ablation.setting} both set heuristic {factor}; "
                "give only one of them"
            )


def build_heuristics(config: TrainConfig) -> list[Heuristic]:
    """The callbacks of conf/heuristics; a key set to null removes one. Raises PlanError for what is no heuristic."""
    found = []
    for name, entry in config.heuristics.items():
        if entry is None:
            continue
        if not isinstance(entry, Mapping):
            raise PlanError(
                f"heuristics.{name}={str(entry)[:80]} is no heuristic; say heuristics/{name}={str(entry)[:80]}"
            )
        given: Any = dict(entry)
        if isinstance(given.get("_target_"), str):
            given["_target_"] = heuristic_target(given["_target_"])
        kind = found_at(str(given.get("_target_")), said=f"heuristics.{name}._target_", error=PlanError)
        if not (isinstance(kind, type) and issubclass(kind, Heuristic)):  # before it is called
            raise PlanError(
                f"heuristics.{name} is a {getattr(kind, '__name__', type(kind).__name__)}, which is no Heuristic; let "
                "its class derive from nas_lightning.heuristic.Heuristic"
            )
        refuse_wrong_types(name, given)
        found.append(instantiate(given, _convert_="all"))
    return found


def refuse_wrong_types(name: str, entry: Any) -> None:
    """A text where a heuristic's class takes a number or a truth value. Raises PlanError."""
    target = entry.get("_target_") if isinstance(entry, Mapping) else None
    if not isinstance(target, str):
        return
    try:
        kind: Any = get_class(target)
        hints = get_type_hints(kind.__init__)
    except Exception:  # what is wrong with the class, `instantiate` says
        return
    for key, value in entry.items():
        wanted = set(get_args(hints.get(key))) or {hints.get(key)}
        if isinstance(value, str | list | dict) and wanted <= {int, float, bool, type(None)}:
            words = "true or false" if bool in wanted else "a number"
            raise PlanError(f"heuristics.{name}.{key}={str(value)[:60]!r} is of the wrong kind; give {words}")


def architecture_in(text: str | None) -> str | None:
    """The architecture as typed, or the one that a .txt file holds, such as a run's derived.txt. Raises PlanError."""
    if text is None or not text.endswith(".txt"):
        return text
    try:
        if not os.path.isfile(text):  # a pipe would be waited for without end
            raise FileNotFoundError(text)
        lines = Path(text).read_text().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"architecture={text} cannot be read; give a file with one architecture") from error
    found = [line.strip() for line in lines if line.strip()]
    if len(found) != 1:
        raise PlanError(f"architecture={text} holds {len(found)} lines; give a file with one architecture")
    return found[0]


def check_ranks(config: TrainConfig, plan: Plan) -> int:
    """The number of processes that train together; PlanError for what several of them cannot do."""
    trainer, mode, batch_size = config.trainer, config.mode, plan.protocol.batch_size
    size = world_size(trainer)
    if trainer.strategy == "ddp" and mode not in ("supernet", "standalone"):
        instead = "table.workers sets its processes" if mode == "table" else "it scores on one device"
        raise PlanError(f"trainer.strategy=ddp trains one network together, which mode={mode} does not; {instead}")
    if batch_size % size:
        raise PlanError(
            f"protocol.batch_size={batch_size} is global and does not divide by {size} processes; choose a multiple"
        )
    if trainer.sync_batchnorm and size == 1:
        raise PlanError(
            "trainer.sync_batchnorm=true has no effect on one process; drop it, or say trainer=ddp trainer.devices=2"
        )
    if trainer.sync_batchnorm and "batch_norm" in get_space(config.space.name).lacks:
        raise PlanError(
            f"trainer.sync_batchnorm=true has no effect on space={config.space.name}, where nothing normalises; drop it"
        )
    if trainer.sync_batchnorm and plan.mapping.wsbn != "off":
        raise PlanError(
            f"trainer.sync_batchnorm=true and heuristics/wsbn={plan.mapping.wsbn} exclude each other: layers share "
            "their moments between the processes, and WSBN keeps a bank for every pattern of inputs; switch one off"
        )
    return size


def determining_evaluation(evaluation: EvaluationSchema) -> dict[str, Any]:
    """The settings of an evaluation that its numbers depend on; later ones count where they are set, so that runs from
    before keep their names."""
    later = ("fuse", "batch_norm", "probe_images", "skip", "predictors")
    counting = {k: v for k, v in asdict(evaluation).items() if k != "diagnostics" and (v or k not in later)}
    if counting["baselines"] == list(CHEAP):
        del counting["baselines"]
    for name in ("predictors", "baselines"):  # a file that one of them reads counts by its content
        if name in counting:
            counting[name] = [_contents(one) for one in counting[name]]
    found = identity(evaluation.architectures)
    if "architectures_sha256" in found:  # its content, wherever it lies
        del counting["architectures"]
    return found | counting


def determining_benchmark(benchmark: BenchmarkSchema, is_read: bool = True) -> dict[str, Any]:
    """What of a table a result depends on: its content, not its name or place, so that a table that is made anew gives
    another run. The package's own tables are known by their names, as runs from before call them; so is a table that
    the mode does not read. Raises BenchmarkError where the table is missing."""
    content = content_of(benchmark.name, benchmark.root) if is_read and benchmark.name is not None else None
    if content is None:
        return {"name": benchmark.name, "dataset": benchmark.dataset}
    return {"sha256": content, "dataset": benchmark.dataset}


def settle_data(config: TrainConfig) -> None:
    """Name the data set as its class does, and the score that null stands for. Raises DataError."""
    config.data.name = name_of(asdict(config.data))
    config.data.augment = settled_augment(config.data.augment)
    config.evaluation.score = config.evaluation.score or task_class(asdict(config.data)).quality.name


def determining_data(data: DataSchema, plan: Plan, seed: int) -> dict[str, Any]:
    """What of the data a result depends on: of the package's own sets their name, of others their content and not their
    place. Raises DataError for data that is not there."""
    counting = {k: v for k, v in asdict(data).items() if k not in ("root", "download", "_target_", "settings")}
    task = task_of(data, plan, seed)
    content = task.identity()
    if content is None:
        return counting
    settings = {k: v for k, v in data.settings.items() if k not in task.places}
    of_images = isinstance(task, ImageClassification)  # whose settings make the images, and are in their hash
    return counting | content | ({} if of_images or not settings else {"settings": settings})


def determining_options(heuristics: list[Heuristic]) -> dict[str, dict[str, Any]]:
    """The options of heuristics that a result depends on: an option that names a file counts by the file's content, as
    a heuristic's table does, and one that names none as it is."""
    found = {}
    for heuristic in heuristics:
        if heuristic.options:
            root = getattr(heuristic, "root", None)
            found[heuristic.factor] = {k: _content_or(v, k, root) for k, v in heuristic.options.items()}
    return found


def _contents(predictor: Any) -> Any:
    if not isinstance(predictor, Mapping):
        return predictor
    return {key: value if key == "_target_" else _content_or(value, str(key), None) for key, value in predictor.items()}


def _content_or(value: Any, key: str, root: str | None) -> Any:
    if not isinstance(value, str):
        return value
    if key == "benchmark":
        content = content_of(value, root)
    else:
        content = sha256_of(Path(value)) if Path(value).suffix and Path(value).is_file() else None
    return value if content is None else {"sha256": content}


def check_checkpoints(trainer: TrainerSchema) -> None:
    """Refuse intervals that no clock has."""
    for name, unit in (
        ("checkpoint_every", "epochs"),
        ("checkpoint_every_steps", "steps"),
        ("checkpoint_minutes", "minutes"),
    ):
        value = getattr(trainer, name)
        if value is not None and not value > 0:
            raise PlanError(f"trainer.{name}={value} is no number of {unit}; give one above 0")


def compose(cfg: DictConfig) -> Job:
    """Resolve, fold the heuristics into the plan, check it, and name the folder.

    Raises PlanError (one sentence) for contradictions and ValueError for an unknown space or mode.
    """
    check_configuration(cfg)
    config: TrainConfig = typed(cfg)
    if config.mode not in MODES:
        raise PlanError(
            f"mode={config.mode} is unknown; {did_you_mean(config.mode, MODES)}choose one of {', '.join(MODES)}"
        )
    space = configured(config.space.name, config.space._target_).name
    get_space(space).network_class()  # refuses one that has tables alone
    settle_data(config)
    refuse_other_inputs(space, asdict(config.data))
    overrides = list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
    if config.mode in ("supernet", "evaluate"):
        get_space(space).check_supernet()
    if config.mode == "evaluate":
        return compose_evaluation(config, overrides)
    config.architecture = architecture_in(config.architecture)
    if config.checkpoint is not None:
        raise PlanError(f"checkpoint belongs to mode=evaluate, not to mode={config.mode}; drop one of the two")
    if config.init_seed is not None and config.mode == "table":
        raise PlanError("init_seed does not go with mode=table, whose trainings have seeds of their own; drop it")
    refuse_double_choice(config, overrides)
    heuristics = build_heuristics(config)
    base = plan_of(config.plan)
    if config.mode in ("standalone", "table"):
        for heuristic in heuristics:
            heuristic.check_standalone(config.mode)
    plan = fold(base, space, heuristics)
    check_mapping(space, plan)
    size = check_ranks(config, plan)
    refuse_unread(overrides, UNREAD[config.mode])
    check_checkpoints(config.trainer)
    determining = {
        "mode": config.mode,
        "space": space,
        "plan": plan.as_dict(),
        "data": determining_data(config.data, plan, config.seed),
        "benchmark": determining_benchmark(config.benchmark, is_read=config.mode == "supernet"),
        "evaluation": determining_evaluation(config.evaluation),
        "seed": config.seed,
        **({} if config.init_seed is None else {"init_seed": config.init_seed}),
        "precision": config.trainer.precision,
        "world_size": size,  # results depend on it: every rank normalises its own shard
        **({"sync_batchnorm": True} if config.trainer.sync_batchnorm else {}),
        "architecture": config.architecture,
        "ablation": config.changed_factor,
        **({"options": options} if (options := determining_options(heuristics)) else {}),
    }
    if config.mode == "table":
        determining["table"] = {k: v for k, v in asdict(config.table).items() if k not in ("workers", "out", "seeds")}
    changes = _changes(config, base, heuristics)
    typed_as = config.changed_factor or {"factor": UNCHANGED}  # also where the plan has that setting anyway
    shown = {typed_as["factor"]: typed_as["setting"]} if typed_as["factor"] != UNCHANGED else {}
    typed_fields = typed_plan(overrides)
    label = "_".join(filter(None, _label(config, space, changes=with_typed(changes | shown, typed_fields))))
    folder = folder_of(Path(config.runs) / (config.study or ""), label, run_hash(determining))
    return Job(
        config,
        base,
        plan,
        heuristics=heuristics,
        determining=determining,
        folder=folder,
        changes=changes,
        typed=typed_fields,
    )


def _changes(config: TrainConfig, base: Plan, heuristics: list[Heuristic]) -> dict[str, str]:
    """What the heuristics change of the starting point, by factor; an ablation's own under the name that it gives,
    where it changes something."""
    settings = {h.factor: h.changes(base) for h in heuristics if h.active}
    found = {factor: short(values, factor) for factor, values in settings.items() if values is not None}
    named = config.ablation
    if named is None or not found or named.factor == UNCHANGED:
        return found
    if named.factor in found or named.factor not in settings:  # the second: a file that changes several factors
        return found | {named.factor: str(named.setting)}
    return found


def typed_plan(overrides: list[str]) -> dict[str, str]:
    """Fields of the plan among the overrides of a command line.

    >>> typed_plan(["seed=1", "plan.protocol.epochs=3"])
    {'protocol.epochs': '3'}
    """
    found = (override.removeprefix("plan.").partition("=") for override in overrides if override.startswith("plan."))
    return {name: value for name, _, value in found}


def _label(config: TrainConfig, space: str, changes: dict[str, str]) -> list[str]:
    """The parts of a folder's name: what the run is, for people; `changes` are typed fields of the plan, too."""
    recipe = file_name((config.recipe or "").removeprefix(f"{space}_"))
    mode = config.mode if config.mode != "supernet" else ""
    return [mode, space, config.data.name, recipe, folder_part(changes), f"seed{config.seed}"]


def compose_evaluation(config: TrainConfig, overrides: list[str]) -> Job:
    """A job of mode=evaluate: plan and seed come from the checkpoints, the run is named by their weights.

    Raises ValueError, in one sentence, for what the checkpoints decide or contradict.
    """
    refuse_unread(overrides, UNREAD["evaluate"])
    space, found = config.space.name, find_trained(config.checkpoint)
    check_ranks(config, found[0].plan)
    for trained in found:
        if trained.identity["space"] != space:
            held = trained.identity["space"]
            raise PlanError(f"{trained.path} holds a super-net of {held}, not of {space}: say space={held}")
        images = trained.scored_on(asdict(config.data))  # refuses other images than its run's
        trained.refuse_other_content(task_of(replace(config.data, **images), trained.plan, trained.seed))
    determining = {
        "mode": "evaluate",
        "space": space,
        "data": determining_data(config.data, found[0].plan, found[0].seed),
        "benchmark": determining_benchmark(config.benchmark),
        "evaluation": determining_evaluation(replace(config.evaluation, every=0, snapshots=0)),
        "precision": config.trainer.precision,
        "checkpoints": [[t.weights_sha256, t.plan.as_dict(), t.seed] for t in found],
    }
    label = "_".join(["evaluate", space, config.data.name, *(t.label for t in found[:4])])
    folder = folder_of(Path(config.runs) / (config.study or ""), label, run_hash(determining))
    return Job(
        config, found[0].plan, found[0].plan, heuristics=[], determining=determining, folder=folder, checkpoints=found
    )
