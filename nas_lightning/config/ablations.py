"""One ablation per setting of a heuristic: what ``ablation=batch_norm_tracked`` and ``ablation='glob(*)'`` choose.

``conf/heuristics/<factor>/<setting>.yaml`` is all that a setting needs; its ablation follows from it. An ablation that
changes more than one factor is a file of its own in ``conf/ablation``.
"""

from __future__ import annotations

from collections.abc import Iterator

from hydra.core.config_store import ConfigStore

from nas_lightning.runs.packaged import conf_folder

DEFAULT = "default"
"""The setting of every factor that leaves its fields to the starting point: it is no ablation."""


def heuristic_settings() -> Iterator[tuple[str, str]]:
    """(factor, setting) of every file in ``conf/heuristics``, in alphabetical order, without the default ones."""
    for factor in sorted((conf_folder() / "heuristics").iterdir(), key=lambda folder: folder.name):
        for name in sorted(file.name for file in factor.iterdir()) if factor.is_dir() else ():
            if name.endswith(".yaml") and name != f"{DEFAULT}.yaml":
                yield factor.name, name.removesuffix(".yaml")


def register_ablations() -> None:
    """Make them known to Hydra's group ``ablation``, beside the files there."""
    store = ConfigStore.instance()
    for factor, setting in heuristic_settings():
        node = {
            "defaults": [{f"override /heuristics/{factor}": setting}],
            "ablation": {"factor": factor, "setting": setting},
        }
        store.store(group="ablation", name=f"{factor}_{setting}", node=node, package="_global_")
