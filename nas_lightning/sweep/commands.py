"""The commands of an installed package: ``nas-train``, ``nas-search``, ``nas-report``, ``nas-bench``.

The first two are train.py and search.py with the package's own configuration files, whatever folder one is in.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from nas_lightning.config.messages import INPUT_ERROR, tell
from nas_lightning.errors import UserError
from nas_lightning.processes.launch import RankSilentError
from nas_lightning.processes.output import forgiving_output
from nas_lightning.runs.files import refused_by_disk
from nas_lightning.runs.packaged import conf_folder


def do_train(cfg: DictConfig) -> Any:
    """One job of train.py. Heavy imports wait until it starts, so that --help and --cfg answer at once."""
    return _done(cfg, "nas_lightning.modes.main", "train")


def do_search(cfg: DictConfig) -> Any:
    """One job of search.py. Heavy imports wait until an objective needs them, so that searches on tables start at
    once."""
    return _done(cfg, "nas_lightning.modes.search", "search")


def _done(cfg: DictConfig, module: str, name: str) -> Any:
    """What a job returns. Wrong input ends the process here: Hydra would add a line with all overrides to its sentence.

    In a sweep the other jobs go on, and the sweeper tells.
    """
    try:
        if cfg.dry_run:
            from nas_lightning.sweep.dry_run import dry_run

            return dry_run(cfg)
        return getattr(import_module(module), name)(cfg)
    except UserError as error:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise
        tell(error)
        sys.exit(INPUT_ERROR)
    except RankSilentError as silent:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise
        print(f"error: {silent}", file=sys.stderr)
        sys.exit(silent.exit_code)
    except OSError as error:  # a name that no file system takes, say
        if HydraConfig.get().mode == RunMode.MULTIRUN or not error.filename:
            raise
        tell(refused_by_disk(error))
        sys.exit(INPUT_ERROR)


@hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="train")
def _train(cfg: DictConfig) -> Any:
    return do_train(cfg)


@hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="search")
def _search(cfg: DictConfig) -> Any:
    return do_search(cfg)


def train() -> None:
    """nas-train."""
    import nas_lightning.processes.early  # noqa: F401  # before what takes time
    from nas_lightning.config.first_run import with_first_recipe
    from nas_lightning.config.messages import run_main
    from nas_lightning.config.schema import register
    from nas_lightning.processes.launch import silence_other_ranks

    register()
    silence_other_ranks()
    run_main(_train, with_first_recipe)


def search() -> None:
    """nas-search."""
    import nas_lightning.processes.early  # noqa: F401  # before what takes time
    from nas_lightning.config.messages import run_main
    from nas_lightning.config.search_schema import register

    register()
    run_main(_search)


def report() -> None:
    """nas-report: python -m nas_lightning.report."""
    from nas_lightning.report.__main__ import main

    forgiving_output()
    sys.exit(main())


def bench() -> None:
    """nas-bench: python -m nas_lightning.benchmarks."""
    from nas_lightning.benchmarks.__main__ import main

    forgiving_output()
    sys.exit(main())
