"""The configuration of a job as the command line composes it, and train.py in a process of its own."""

import subprocess
from pathlib import Path

from omegaconf import DictConfig

from tests.helpers import process
from tests.helpers.composing import CONF, ROOT, composed_by

TINY = [
    "plan.protocol.epochs=2",
    "plan.protocol.train_portion=0.3",
    "evaluation.architectures=random20_seed0",
    "evaluation.images=250",
    "trainer=cpu",
    "trainer.progress_bar=false",
]


def composed(*overrides: str, conf: Path = CONF) -> DictConfig:
    """The configuration of one job on a CPU."""
    return composed_by("train", ("trainer=cpu", "trainer.progress_bar=false", *overrides), conf)


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
