"""Hydra's store of schemas, shared by the copies that Hydra makes of it."""

from __future__ import annotations

from hydra.core.config_store import ConfigStore


def share_config_store() -> None:
    """Let all copies of Hydra's configuration repository read one store.

    Hydra copies the repository, and every schema and ablation with it, for each of the 190 questions that ``--help``
    asks of it; nothing writes into the store after the registration, and what is loaded from it is a copy anyway.
    """
    store = ConfigStore.instance()
    store.__dict__["__deepcopy__"] = lambda memo: store
