"""From a composed configuration to plan, heuristics, folder and hash: everything decided before any data is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from nas_lightning.heuristic import Heuristic, fold
from nas_lightning.nets.build import check_mapping
from nas_lightning.plan import Plan, PlanError
from nas_lightning.runs import run_hash
from nas_lightning.spaces import get_space

MODES = ("supernet", "standalone", "table")


@dataclass
class Job:
    """One run, fully decided: `config` is the resolved configuration as plain dicts and lists."""

    config: dict[str, Any]
    base: Plan
    plan: Plan
    heuristics: list[Heuristic]
    determining: dict[str, Any]
    folder: Path

    @property
    def hash(self) -> str:
        return run_hash(self.determining)


def refuse_double_choice(config: dict[str, Any], overrides: list[str]) -> None:
    """A heuristic given both by the ablation file and on the command line: the second would silently win."""
    if not config["ablation"]:
        return
    factor = config["ablation"]["factor"]
    for override in overrides:
        name = override.split("=")[0].lstrip("+~")
        if name == f"heuristics/{factor}" or name.startswith(f"heuristics.{factor}"):
            raise PlanError(
                f"{override} and ablation={factor}_{config['ablation']['setting']} both set heuristic {factor}; "
                "give only one of them"
            )


def build_heuristics(config: dict[str, Any]) -> list[Heuristic]:
    """The callbacks of conf/heuristics; a key set to null removes one. Raises PlanError for what is no heuristic."""
    found = []
    for name, entry in config["heuristics"].items():
        if entry is None:
            continue
        heuristic = instantiate(entry, _convert_="all")
        if not isinstance(heuristic, Heuristic):
            raise PlanError(
                f"heuristics.{name} builds a {type(heuristic).__name__}, which is no Heuristic; let its class "
                "derive from nas_lightning.heuristic.Heuristic"
            )
        found.append(heuristic)
    return found


def refuse_several_processes(trainer: dict[str, Any]) -> None:
    """Lightning's DDP wrapper expects every parameter to have a gradient, which a sampled path never gives."""
    for name, allowed in (
        ("strategy", trainer["strategy"] == "single"),
        ("num_nodes", trainer["num_nodes"] == 1),
        ("devices", re.fullmatch(r"1|\[\d+\]", trainer["devices"]) is not None),
    ):
        if not allowed:
            raise PlanError(
                f"trainer.{name}={trainer[name]} is not supported yet; train with strategy=single, num_nodes=1 and "
                "devices=1 (or one GPU by its index, such as devices='[0]')"
            )


def compose(cfg: DictConfig) -> Job:
    """Resolve, fold the heuristics into the plan, check it, and name the folder.

    Raises PlanError (one sentence) for contradictions and ValueError for an unknown space or mode.
    """
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    if config["mode"] not in MODES:
        raise PlanError(f"mode={config['mode']} is unknown; choose one of {', '.join(MODES)}")
    space = config["space"]["name"]
    get_space(space)
    if HydraConfig.initialized():
        refuse_double_choice(config, list(HydraConfig.get().overrides.task))
    heuristics = build_heuristics(config)
    base = Plan.from_dict(config["plan"])
    plan = fold(base, space, heuristics)
    check_mapping(space, plan)
    refuse_several_processes(config["trainer"])
    if config["seed"] < 0:
        raise PlanError(f"seed={config['seed']} is negative; seeds are 0 or larger")
    data = {k: v for k, v in config["data"].items() if k not in ("root", "download")}
    benchmark = {k: v for k, v in config["benchmark"].items() if k != "root"}
    determining = {
        "mode": config["mode"],
        "space": space,
        "plan": plan.as_dict(),
        "data": data,
        "benchmark": benchmark,
        "evaluation": {k: v for k, v in config["evaluation"].items() if k != "diagnostics"},
        "seed": config["seed"],
        "precision": config["trainer"]["precision"],
        "world_size": 1,  # results depend on it: every rank normalises its own shard
        "architecture": config["architecture"],
        "ablation": config["ablation"],
    }
    if config["mode"] == "table":
        determining["table"] = {k: v for k, v in config["table"].items() if k not in ("workers", "out", "seeds")}
    label = "_".join(
        filter(
            None,
            [
                config["mode"] if config["mode"] != "supernet" else "",
                space,
                config["data"]["name"],
                f"{config['ablation']['factor']}-{config['ablation']['setting']}" if config["ablation"] else "",
                f"seed{config['seed']}",
            ],
        )
    )
    folder = Path(config["runs"]) / (config["study"] or "") / f"{label}_{run_hash(determining)}"
    return Job(config, base, plan, heuristics, determining, folder)
