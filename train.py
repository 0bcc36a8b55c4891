"""Train one super-net and rank it, train one stand-alone network, or build a table: see README and --help."""

from typing import Any

import nas_lightning.processes.early  # noqa: F401  # isort: skip: before what takes time
import hydra
from omegaconf import DictConfig

from nas_lightning.config.first_run import with_first_recipe
from nas_lightning.config.messages import run_main
from nas_lightning.config.schema import register
from nas_lightning.processes.launch import silence_other_ranks
from nas_lightning.sweep.commands import do_train

register()


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> Any:
    """One job."""
    return do_train(cfg)


if __name__ == "__main__":
    silence_other_ranks()
    run_main(main, with_first_recipe)
