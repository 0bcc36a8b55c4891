"""Search an architecture on a table, on a trained super-net, or by real training: see docs/SEARCH.md and --help."""

from typing import Any

import hydra
from omegaconf import DictConfig

from nas_lightning.config.messages import run_main
from nas_lightning.config.search_schema import register

register()


@hydra.main(version_base="1.3", config_path="conf", config_name="search")
def main(cfg: DictConfig) -> Any:
    """Heavy imports wait until an objective needs them, so that --help and searches on tables start at once."""
    if cfg.dry_run:
        from nas_lightning.sweep.dry_run import dry_run

        return dry_run(cfg)
    from nas_lightning.modes.search import search

    return search(cfg)


if __name__ == "__main__":
    run_main(main)
