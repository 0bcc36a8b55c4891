"""Train one super-net and rank it, train one stand-alone network, or build a table: see README and --help."""

from typing import Any

import hydra
from omegaconf import DictConfig

from nas_lightning.config.messages import run_main
from nas_lightning.config.schema import register
from nas_lightning.processes.launch import silence_other_ranks

register()


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> Any:
    """Heavy imports wait until a job starts, so that --help and --cfg answer at once."""
    if cfg.dry_run:
        from nas_lightning.sweep.dry_run import dry_run

        return dry_run(cfg)
    from nas_lightning.modes.main import train

    return train(cfg)


if __name__ == "__main__":
    silence_other_ranks()
    run_main(main)
