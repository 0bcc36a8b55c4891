"""A run to log, and no account of W&B whatever the machine has."""

import numpy as np
import pytest

from nas_lightning.logging import RunFacts


@pytest.fixture(autouse=True)
def without_key(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "absent"))


@pytest.fixture
def run(tmp_path):
    return RunFacts(
        folder=tmp_path / "run",
        run_hash="abc123",
        kind="train",
        space="nasbench201",
        dataset="digits",
        seed=3,
        plan={"mapping": {"channels": 8}, "protocol": {"learning_rate": np.float64(0.1), "track_running_stats": False}},
        heuristics={"sampling": {"method": "fairnas"}},
        changes={"sampling": "fairnas"},
        study="isolated",
        extra={"evaluation": {"architecture_set": "random200_seed0"}},
    )
