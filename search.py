"""Search an architecture on a table, on a trained super-net, or by real training: see docs/SEARCH.md and --help."""

from typing import Any

import nas_lightning.processes.early  # noqa: F401  # isort: skip: before what takes time
import hydra
from omegaconf import DictConfig

from nas_lightning.config.messages import run_main
from nas_lightning.config.search_schema import register
from nas_lightning.sweep.commands import do_search

register()


@hydra.main(version_base="1.3", config_path="conf", config_name="search")
def main(cfg: DictConfig) -> Any:
    """One job."""
    return do_search(cfg)


if __name__ == "__main__":
    run_main(main)
