"""Trained super-nets that are scored again: where they lie, what identifies them, which images may score them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nas_lightning.data.find import task_class
from nas_lightning.data.task import Task
from nas_lightning.errors import UserError
from nas_lightning.plan import Plan
from nas_lightning.runs.files import parse_json
from nas_lightning.scoring.score import digest
from nas_lightning.training.checkpoint_file import checkpoint_at
from nas_lightning.training.module import load_network

SAME_IMAGES = ("name", "split_seed", "max_train_images", "image_size")
"""Settings of ``data`` that decide, with the plan, which images trained a super-net and which it never saw."""


@dataclass(frozen=True)
class Trained:
    """One checkpoint of a super-net; `label` tells it apart from the others of one evaluation, `data` is the section
    that its run was configured with, None where no run folder lies around it."""

    path: Path
    label: str
    identity: Mapping[str, Any]
    weights_sha256: str
    data: Mapping[str, Any] | None

    def refuse_other_content(self, task: Task) -> None:
        """See `refuse_other_content`.

        Args:
            task: whose content is compared with what the checkpoint recorded.
        """
        refuse_other_content(self.path, self.identity, task)

    @property
    def plan(self) -> Plan:
        """The plan that the super-net was trained by."""
        return Plan.from_dict(self.identity["plan"])

    @property
    def seed(self) -> int:
        """The seed of its paths."""
        return int(self.identity["seed"])

    def scored_on(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The ``data`` section whose images score it: `given`, where a null ``image_size`` takes the run's own.

        Super-nets of several image sizes can thus be evaluated together.

        Args:
            given: a ``data`` section, by key.

        Returns:
            The section, by key.

        Raises:
            UserError: images of another run.
        """
        images = dict(given)
        if self.data is not None:
            if images.get("image_size") is None:
                images["image_size"] = self.data.get("image_size")
            refuse_other_images(self.path, self.data, images)
        return images

    def record(self) -> dict[str, Any]:
        """What a result file says of it.

        Returns:
            Plain values: label, file, run, seed, hash of the weights, plan.
        """
        return {
            "label": self.label,
            "file": self.path.name,
            "run": self.path.resolve().parent.parent.name,
            "seed": self.seed,
            "weights_sha256": self.weights_sha256,
            "plan": self.plan.as_dict(),
        }


def find_trained(given: Any) -> list[Trained]:
    """The super-nets of ``checkpoint=…``: a .ckpt file, a run folder (its final checkpoint), or a list of these.

    They are labelled by their seeds where these differ (``seed0``), else by their runs' recipes where these do, else by
    number (``checkpoint1``).

    Args:
        given: what was typed: a path, or a list of paths.

    Returns:
        One entry a checkpoint, in their order.

    Raises:
        UserError: nothing was given, a stand-alone network, the same weights twice, and a file that cannot be read.
    """
    paths = [Path(text) for text in ([given] if isinstance(given, str | os.PathLike) else given or ())]
    if not paths:
        raise UserError(
            "mode=evaluate needs checkpoint=…, a .ckpt file or run folder of a trained super-net, or a list"
        )
    read = []
    for path in paths:
        file = checkpoint_at(path)
        network, identity = load_network(file)
        if identity["architecture"] is not None:
            raise UserError(f"{file} holds one stand-alone network; give the checkpoint of a super-net")
        read.append((file, identity, digest(network.state_dict().values())))
    if repeated := [file for file, _, weights in read if sum(weights == other for _, _, other in read) > 1]:
        raise UserError(f"{repeated[0]} and {repeated[1]} hold the same weights; give each super-net once")
    runs = [run_config(file) for file, _, _ in read]
    recipes = [(run or {}).get("recipe") for run in runs]
    labels = checkpoint_labels([identity["seed"] for _, identity, _ in read], recipes)
    return [
        Trained(file, label, identity, weights_sha256=weights, data=data_of(file, run))
        for (file, identity, weights), run, label in zip(read, runs, labels, strict=True)
    ]


def checkpoint_labels(seeds: Sequence[int], recipes: Sequence[Any]) -> list[str]:
    """What tells super-nets apart: seed, else recipe, else number. A recipe's name becomes part of file names.

    Args:
        seeds: of the super-nets.
        recipes: names, or None, of their runs.

    Returns:
        Distinct labels, in their order.
    """
    if len(set(seeds)) == len(seeds):
        return [f"seed{seed}" for seed in seeds]
    names = [name for name in recipes if isinstance(name, str) and re.fullmatch(r"\w{1,40}", name)]
    return names if len(set(names)) == len(seeds) else [f"checkpoint{i}" for i in range(1, len(seeds) + 1)]


def run_config(checkpoint: Path) -> dict[str, Any] | None:
    """The configuration of the run folder around a checkpoint, or None where there is none.

    Plain values, never instantiated.

    Args:
        checkpoint: a ``.ckpt`` file.

    Returns:
        The content of ``config.yaml``.

    Raises:
        UserError: the file is no YAML.
    """
    config = checkpoint.resolve().parent.parent / "config.yaml"
    if not config.is_file():
        return None
    try:
        # Not by OmegaConf, which copies what YAML's aliases share: a few lines can ask for all memory.
        loaded = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(
            f"{config} is damaged ({type(error).__name__}); move the checkpoint out of this run folder, or "
            "restore the file"
        ) from error
    return loaded if isinstance(loaded, dict) else None


def data_of(checkpoint: Path, run: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The ``data`` section that a super-net was trained with, from its run's configuration, or None.

    Args:
        checkpoint: a ``.ckpt`` file.
        run: the configuration of `run_config`.

    Returns:
        Keys and plain values.

    Raises:
        UserError: what decides the images is no plain value there.
    """
    data = None if run is None else run.get("data")
    if not isinstance(data, dict):
        return None
    if wrong := [key for key in SAME_IMAGES if not isinstance(data.get(key), str | int | None)]:
        config = checkpoint.resolve().parent.parent / "config.yaml"
        raise UserError(f"{config} is damaged (data.{wrong[0]} is no plain value); restore the file")
    return data


def check_same_images(checkpoint: Path, given: Mapping[str, Any]) -> None:
    """`refuse_other_images` for the run around `checkpoint`, if there is one.

    Args:
        checkpoint: a ``.ckpt`` file.
        given: a ``data`` section, by key.
    """
    trained = data_of(checkpoint, run_config(checkpoint)) if checkpoint.is_file() else None
    if trained is not None:
        refuse_other_images(checkpoint, trained, given)


def refuse_other_content(checkpoint: Path, identity: Mapping[str, Any], task: Task) -> None:
    """Refuse data whose content is no longer what trained a super-net, whatever it is called.

    Args:
        checkpoint: the file of the super-net.
        identity: what is read in it (`nas_lightning.training.module.load_network`); one of an earlier version does not
            say what it was trained on, its run folder's environment.json does.
        task: the data that would score it.

    Raises:
        UserError: in one sentence. Data that is known by its name has one content, and is never refused here.
    """
    recorded = identity.get("data") or _data_on_record(checkpoint)
    before = recorded.get("content_sha256") if isinstance(recorded, Mapping) else None
    if not isinstance(before, str) or task.identity() is None:
        return
    if (now := task.content_sha256()) != before:
        raise UserError(
            f"the data of data={task.name} is not what trained the super-net of {checkpoint} (its hash was "
            f"{before[:12]} and is {now[:12]}): bring the old data back or train anew, or what trained it would "
            "score it"
        )


def _data_on_record(checkpoint: Path) -> Any:
    try:
        recorded = parse_json((checkpoint.resolve().parent.parent / "environment.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return recorded.get("data") if isinstance(recorded, dict) else {}


def refuse_other_images(checkpoint: Path, trained: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse a ``data`` section that names other images than the one that `checkpoint` was trained with: the split
    would be another one, and images that trained the weights would score them.

    Args:
        checkpoint: a ``.ckpt`` file.
        trained: the ``data`` section that the weights saw.
        given: a ``data`` section, by key.

    Raises:
        UserError: it says what to type.
    """
    for key in SAME_IMAGES:
        if trained.get(key) != given.get(key):
            right = "null" if trained.get(key) is None else trained[key]
            setting = f"{'data' if key == 'name' else f'data.{key}'}={right}"
            raise UserError(
                f"the super-net of {checkpoint} was trained with {setting}, not {given.get(key)}: say {setting}, or "
                "images that trained it would score it"
            )
    own, other = (s if isinstance(s := section.get("settings"), dict) else {} for section in (trained, given))
    for key in sorted({*own, *other} - set(task_class(given).places), key=str):
        if own.get(key) != other.get(key):
            setting = f"data.{key}={'null' if own.get(key) is None else own[key]}"
            raise UserError(
                f"the super-net of {checkpoint} was trained with {setting}, not {other.get(key)}, which makes other "
                f"data: say {setting}"
            )
