"""The command line from Python: what train.py would do with some overrides, without doing it."""

from __future__ import annotations

from typing import Any

from hydra import compose as compose_overrides
from hydra import initialize_config_dir
from omegaconf import DictConfig

from nas_lightning.config.schema import TrainConfig, register, typed
from nas_lightning.config.shorthand import written_out
from nas_lightning.data.task import Task
from nas_lightning.modes.job import Job, compose
from nas_lightning.objectives.candidate import task_of
from nas_lightning.plan import Plan
from nas_lightning.runs.packaged import conf_folder


def composed(*overrides: str) -> DictConfig:
    """The whole configuration of train.py for these overrides.

    Args:
        overrides: as one types them behind train.py.

    Returns:
        The configuration as Hydra composes it.
    """
    register()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose_overrides("train", written_out(overrides))


def configure(*overrides: str) -> Job:
    """Plan, heuristics and run folder that ``train.py`` would take for these overrides; nothing is trained.

    Args:
        overrides: as typed on the command line, such as ``"heuristics/sampling=fairnas"``.

    Returns:
        The job. ``job.plan`` goes into `make_supernet`, ``job.heuristics`` are callbacks for a Trainer.

    Raises:
        UserError: for what the command line refuses, too.

    Examples:
        >>> from nas_lightning import configure
        >>> job = configure("space=nasbench201", "heuristics/sampling=fairnas")
        >>> job.plan.protocol.sampling, [h.factor for h in job.heuristics if h.active]
        ('fairnas', ['sampling'])
    """
    return compose(composed(*overrides))


def train_run(*overrides: str) -> dict[str, Any]:
    """Do what ``train.py`` does with these overrides, up to a complete run folder, and print nothing.

    A run that is complete is not repeated, an unfinished one goes on.

    Args:
        overrides: as typed on the command line.

    Returns:
        The content of its result.json.

    Raises:
        UserError: for what the command line refuses, too.
    """
    from nas_lightning.modes.main import train

    return train(composed("trainer.progress_bar=false", *overrides), quiet=True)


def load_data(name: str = "digits", plan: Plan | None = None, seed: int = 0, **settings: Any) -> Task:
    """The images of a data set, split and batched as a plan says: a LightningDataModule.

    Args:
        name: of the group ``data`` (``conf/data``); beside ``_target_=…``, what tables call one's own images.
        plan: its batch size and train portion count; by default those of `Plan`.
        seed: of the order of the batches and their augmentation.
        settings: further fields of the group, such as ``root``, ``image_size`` or ``max_train_images``.

    Returns:
        The data module. ``held_out()`` are the images that no training sees, uint8 [N, H, W, C].

    Raises:
        UserError: for an unknown name or setting; DataError, when the images are first asked for, for missing ones.

    Examples:
        >>> from nas_lightning import load_data
        >>> data = load_data("digits", max_train_images=500)
        >>> data.setup()
        >>> data.num_outputs, data.record()["test_images"]
        (10, 797)
    """
    chosen = f"data.name={_typed(name)}" if "_target_" in settings else f"data={name}"
    cfg = composed(chosen, *(f"data.{field}={_typed(value)}" for field, value in settings.items()))
    config: TrainConfig = typed(cfg)
    return task_of(config.data, plan or Plan(), seed)


def _typed(value: Any) -> str:
    """A value as Hydra's grammar reads it.

    Examples:
        >>> _typed(None), _typed(True), _typed("a b"), _typed(0.5)
        ('null', 'true', "'a b'", '0.5')
    """
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return f"{value}" if isinstance(value, int | float) else "'" + str(value).replace("'", "\\'") + "'"
