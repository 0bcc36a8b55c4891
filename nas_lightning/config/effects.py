"""What each setting does in each mode: it determines the result, is neutral, or is not read and refused when typed.

One table drives the refusals and is held against the hash of every setting by tests/test_effects.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nas_lightning.errors import UserError
from nas_lightning.plan import OF_SHARED_WEIGHTS

DETERMINES, IS_NEUTRAL, IS_UNREAD = "determines", "neutral", "unread"

NEUTRAL = (
    "runs",
    "study",
    "force",
    "dry_run",
    "progress_bar",
    "logger",
    "recipe",
    "data.root",
    "data.download",
    "benchmark.root",
    "trainer.accelerator",
    "trainer.progress_bar",
    "trainer.threads",
    "trainer.deterministic",
    "trainer.strategy",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.checkpoint_every",
    "trainer.checkpoint_every_steps",
    "trainer.checkpoint_minutes",
    "evaluation.diagnostics",
    "table.workers",
    "table.out",
    "table.seeds",
    "space._target_",
    "data._target_",
)
"""Settings that act without changing the numbers: places, progress, loggers, devices. Of the processes only their
number counts, by the world size; more seeds of a table go on with the same run."""

_CHECKPOINTS = ("trainer.checkpoint_every", "trainer.checkpoint_every_steps", "trainer.checkpoint_minutes")
_PROCESSES = ("trainer.strategy", "trainer.devices", "trainer.num_nodes", "trainer.sync_batchnorm")
_OWN_WEIGHTS = tuple(f"plan.{name}" for name in OF_SHARED_WEIGHTS)


@dataclass(frozen=True)
class Unread:
    """Settings that a mode does not read: `names`, and all below them, but for `read`."""

    names: tuple[str, ...]
    read: tuple[str, ...] = ()
    where: str = ""

    def holds(self, name: str) -> bool:
        """Whether the setting `name`, a dotted path, is one of them; a group of which a part is read is not."""
        read = _below(name, self.read) or any(inner.startswith(name + ".") for inner in self.read)
        return _below(name, self.names) and not read


def _below(name: str, prefixes: Iterable[str]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


UNREAD: Mapping[str, Unread] = {
    "supernet": Unread(
        ("table", "architecture", "checkpoint", "evaluation.batch_norm"), where="in mode=supernet, which trains one"
    ),
    "standalone": Unread(
        ("table", "checkpoint", "evaluation", "benchmark", *_OWN_WEIGHTS),
        read=("evaluation.batch_size",),
        where="in mode=standalone, which trains one network with weights of its own and ranks nothing",
    ),
    "table": Unread(
        (
            *("architecture", "checkpoint", "evaluation", "benchmark", "logger", "seed", "init_seed"),
            *_CHECKPOINTS,
            *_PROCESSES,
            *_OWN_WEIGHTS,
        ),
        read=("evaluation.batch_size",),
        where="in mode=table, whose networks share no weights and whose seeds are table.seeds and table.sample_seed",
    ),
    "evaluate": Unread(
        (
            *("plan", "heuristics", "extra", "ablation", "recipe", "starting_point", "seed", "init_seed"),
            *("architecture", "table", "evaluation.every", "evaluation.snapshots"),
            *_CHECKPOINTS,
            "trainer.sync_batchnorm",
        ),
        where="in mode=evaluate, where the checkpoint decides",
    ),
}
"""By mode of train.py."""

_NOT_ONE_PROCESS = (*_PROCESSES, *_CHECKPOINTS, "trainer.progress_bar")

UNREAD_BY_SEARCHES: Mapping[str, Unread] = {
    "benchmark": Unread(
        ("plan", "trainer", "data"),
        read=("data.name", "data._target_"),
        where="with objective=benchmark, which trains nothing and looks everything up",
    ),
    "weakly labelled": Unread(
        ("plan", *_NOT_ONE_PROCESS, "data.augment"),
        where="with objective=benchmark checkpoint=…, which scores on one device and trains nothing",
    ),
    "supernet": Unread(
        ("plan", *_NOT_ONE_PROCESS, "data.augment", "objective.final_seeds", "baseline_seeds"),
        where="with objective=supernet, which scores on one device (objective.train_top_k=true trains the best)",
    ),
    "supernet, trained": Unread(
        (*_NOT_ONE_PROCESS, *_OWN_WEIGHTS, "baseline_seeds"),
        where="with objective=supernet, which trains on one device (progress_bar=… is its bar)",
    ),
    "zerocost": Unread(
        (
            *("plan.protocol", *_OWN_WEIGHTS, *_NOT_ONE_PROCESS, "trainer.precision", "data.augment"),
            *("objective.batch_size", "objective.final_seeds", "baseline_seeds"),
        ),
        read=("plan.protocol.train_portion",),
        where="with objective=zerocost, which trains nothing (objective.train_top_k=true trains the best)",
    ),
    "zerocost, trained": Unread(
        (*_NOT_ONE_PROCESS, *_OWN_WEIGHTS, "baseline_seeds"),
        where="with objective=zerocost, which trains the best on one device (progress_bar=… is its bar)",
    ),
    "training": Unread(
        (*_NOT_ONE_PROCESS, *_OWN_WEIGHTS, "benchmark", "baseline_seeds"),
        where="with objective=training, which trains on one device without a table (progress_bar=… is its bar)",
    ),
}
"""By what guides search.py."""


def search_kind(objective: str, has_checkpoint: bool, trains_top_k: bool) -> str:
    """The key of UNREAD_BY_SEARCHES for a search."""
    if objective in ("supernet", "zerocost") and trains_top_k:
        return f"{objective}, trained"
    return "weakly labelled" if objective == "benchmark" and has_checkpoint else objective


def effect(unread: Unread, name: str) -> str:
    """DETERMINES, IS_NEUTRAL or IS_UNREAD: what the setting `name` does where `unread` is not read."""
    if unread.holds(name):
        return IS_UNREAD
    return IS_NEUTRAL if _below(name, NEUTRAL) else DETERMINES


def typed_settings(override: str) -> Iterator[str]:
    """The settings, as dotted paths, that one override names; a dictionary names every one of its keys."""
    name, _, value = override.partition("=")
    name = name.lstrip("+~/").partition("@")[0].replace("/", ".")
    if value.startswith("{"):
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        try:
            inside: Any = OmegaConf.to_container(OmegaConf.create(value))
        except (OmegaConfBaseException, ValueError):
            inside = {}
        yield from (f"{name}.{key}" for key in inside or ("",))
    else:
        yield name


def refuse_unread(overrides: Iterable[str], unread: Unread) -> None:
    """Refuse what was typed and is not read.

    Args:
        overrides: what was typed, ``evaluation.every=1``.
        unread: what the mode does not read.

    Raises:
        UserError: one sentence that names the override.
    """
    for override in overrides:
        if override.partition("=")[2] in ("none", "null", "[]") and "." not in override.partition("=")[0]:
            continue  # says that nothing is there, which is so
        if any(unread.holds(name) for name in typed_settings(override)):
            raise UserError(f"{override} has no effect {unread.where}; drop it")
