"""What a composed configuration may hold: no key that nothing reads, no choice that does not exist, numbers in range.

Hydra's own checks stop short of these: ``+key=…`` walks past a schema, and a misspelt choice of an optional group
leaves the group out without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from nas_lightning.config.schema import DataSchema
from nas_lightning.errors import UserError, did_you_mean, nearest

OPTIONAL = ("ablation", "starting_point")
"""Groups whose choice may be absent: Hydra leaves a misspelt one out."""

ELSEWHERE = {
    "max_epochs": "plan.protocol.epochs",
    "lr": "plan.protocol.learning_rate",
    "gradient_clip_val": "plan.protocol.gradient_clip",
    "batch_size": "plan.protocol.batch_size",
    "weight_decay": "plan.protocol.weight_decay",
    "n": "evaluation.architectures",
}
"""Where other tools' names of a setting stand here."""

LARGEST_SEED = 2**32 - 1


class MistypedError(UserError):
    """A name that does not exist. As a misspelt choice of any other group it ends a whole sweep before its first job,
    not the one job that bears it."""


RANGES: dict[str, tuple[float, float]] = {
    "evaluation.every": (0, 10**9),
    "evaluation.batch_size": (1, 10**9),
    "evaluation.images": (1, 10**12),
    "evaluation.probe_images": (0, 10**12),
    "evaluation.skip": (0, 10**12),
    "evaluation.threshold": (1e-9, 1),
    "evaluation.top_k": (1, 10**9),
    "evaluation.snapshots": (0, 10**9),
    "data.split_seed": (0, LARGEST_SEED),
    "data.max_train_images": (1, 10**12),
    "data.image_size": (1, 10**6),
    "trainer.threads": (1, 4096),
    "table.architectures": (1, 10**9),
    "table.seeds": (1, 10**6),
    "table.sample_seed": (0, LARGEST_SEED),
    "table.workers": (1, 4096),
    "objective.batch_size": (1, 10**9),
    "objective.images": (1, 10**12),
    "objective.probe_images": (0, 10**12),
    "objective.final_seeds": (1, 10**6),
}
"""Smallest and largest value of each number that both scripts refuse alike; null is always a value of its own."""


def check_configuration(cfg: DictConfig) -> None:
    """Refuse, before anything is built, what composition has let through.

    Args:
        cfg: the composed configuration of train.py or search.py, without the hydra section.

    Raises:
        MistypedError: a key that nothing reads, or a choice that does not exist.
        UserError: a number out of range.
    """
    for key in unread_keys(cfg):
        raise MistypedError(f"nothing reads {key}: {_instead(key, cfg)}")
    _refuse_absent_choices(cfg)
    if HydraConfig.initialized():
        refuse_labels(HydraConfig.get().overrides.task)
    for name, (low, high) in RANGES.items():
        value = OmegaConf.select(cfg, name, default=None)
        if isinstance(value, int | float) and not low <= value <= high:
            raise UserError(f"{name}={value} is out of range: it is at least {low:g} and at most {high:g}")
    if "mode" in cfg:  # a search takes seeds of any size
        for name in ("seed", "init_seed"):
            value = cfg[name]
            if value is not None and not 0 <= value <= LARGEST_SEED:
                raise UserError(f"{name}={value} is out of range: seeds are 0 to {LARGEST_SEED}")


LABELS = ("algorithm.name", "ablation.factor", "ablation.setting")
"""What a file of a group says of itself: typed, it would name a result after something that was not done."""


def refuse_labels(overrides: Iterable[str]) -> None:
    """Refuse a label that was typed, where the choice of its group is meant. Raises MistypedError."""
    for override in overrides:
        name = override.partition("=")[0].lstrip("+~")
        if name in LABELS:
            group = name.partition(".")[0]
            raise MistypedError(f"{override[:120]} changes a label and not what is done; say {group}=…")


def unread_keys(cfg: DictConfig, prefix: str = "") -> Iterator[str]:
    """Keys that were added below a section with declared fields, as ``trainer.max_epochs``.

    Sections without a schema (heuristics, a file of the user's own) hold what their class reads.
    """
    kind = OmegaConf.get_type(cfg)
    if kind is None or not is_dataclass(kind):
        return
    declared = {f.name for f in fields(kind)}
    for key in map(str, cfg):
        if key not in declared:
            if kind is not DataSchema:  # whose class says what it reads
                yield prefix + key
        elif not OmegaConf.is_missing(cfg, key) and not OmegaConf.is_interpolation(cfg, key):
            below = cfg[key]
            if isinstance(below, DictConfig):
                yield from unread_keys(below, f"{prefix}{key}.")


def _leaves(cfg: DictConfig, prefix: str = "") -> Iterator[str]:
    """Every setting with its path."""
    for key in map(str, cfg):
        if OmegaConf.is_missing(cfg, key) or OmegaConf.is_interpolation(cfg, key):
            yield prefix + key
        elif isinstance(below := cfg[key], DictConfig):
            yield from _leaves(below, f"{prefix}{key}.")
        else:
            yield prefix + key


def _instead(key: str, cfg: DictConfig) -> str:
    """What to type in place of `key`."""
    wrong, unread = key.rpartition(".")[2], set(unread_keys(cfg))
    known = [leaf for leaf in _leaves(cfg) if leaf not in unread]
    if wrong in ELSEWHERE and ELSEWHERE[wrong] in known:
        return f"say {ELSEWHERE[wrong]}=…"
    same = [leaf for leaf in known if leaf.rpartition(".")[2] == wrong]
    names = {leaf.rpartition(".")[2]: leaf for leaf in reversed(known)}
    sections: dict[str, list[str]] = {}
    for leaf in known:
        if "." in leaf:
            sections.setdefault(leaf.rpartition(".")[0], []).append(leaf)
    close = same or [names[name] for name in nearest(wrong, names)]
    if not close and (section := next(iter(nearest(wrong, sections)), None)):  # a group by itself, else its fields
        close = [section] if f"{section}.name" in sections[section] else sections[section][:3]
    return f"say {' or '.join(f'{name}=…' for name in close)}" if close else "drop it"


@lru_cache(maxsize=8)
def _choices(loader: Any, group: str) -> tuple[str, ...]:
    """The choices of a group; asked for once, since Hydra copies all its configurations to answer."""
    return tuple(loader.get_group_options(group))


def _refuse_absent_choices(cfg: DictConfig) -> None:
    """A choice of an optional group that was typed and does not exist."""
    if not HydraConfig.initialized():
        return
    from hydra.core.global_hydra import GlobalHydra

    composed: Any = HydraConfig.get()
    typed = {override.partition("=")[0].lstrip("+"): override.partition("=")[2] for override in composed.overrides.task}
    for group in OPTIONAL:
        choice = typed.get(group)
        if choice in (None, "", "null") or not GlobalHydra.instance().is_initialized():
            continue
        names = _choices(GlobalHydra.instance().config_loader(), group)
        if choice not in names:
            guess = did_you_mean(choice, names)
            raise MistypedError(
                f"{group}={choice[:80]} does not exist; {guess}choose one of {', '.join(sorted(names))}"
            )
