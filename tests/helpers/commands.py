"""The configuration of a job as the command line composes it, and train.py in a process of its own."""

import functools
import subprocess
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from nas_lightning.config.schema import register
from tests.helpers import process

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"
TINY = [
    "plan.protocol.epochs=2",
    "plan.protocol.train_portion=0.3",
    "evaluation.architectures=random20_seed0",
    "evaluation.images=250",
    "trainer=cpu",
    "trainer.progress_bar=false",
]


once = functools.cache(register)
"""The schemas are the same for all compositions of a process."""


def composed(*overrides: str, conf: Path = CONF) -> DictConfig:
    """The configuration of one job on a CPU."""
    once()
    with initialize_config_dir(str(conf), version_base="1.3"):
        return compose("train", ["trainer=cpu", "trainer.progress_bar=false", *overrides])


def job(folder: Path, *overrides: str) -> DictConfig:
    """One tiny job whose run folders lie in `folder`."""
    return composed(*TINY, f"runs={folder}", *overrides)


def command(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """train.py as a user starts it."""
    return process.run([ROOT / "train.py", *arguments], cwd=cwd)


def only_folder(folder: Path) -> Path:
    """The one folder inside `folder`."""
    (found,) = [path for path in folder.iterdir() if path.is_dir()]
    return found
