"""The way from real CIFAR-10 images and real benchmark tables to a ranking, at the smallest size that runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from nas_lightning.config.schema import register
from nas_lightning.modes.main import train

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("NAS_LIGHTNING_SHARED", ROOT.parent / "shared" / "data"))
pytestmark = pytest.mark.skipif(
    not (SHARED / "read_cifar10.py").is_file(), reason="no real CIFAR-10 images and tables (NAS_LIGHTNING_SHARED)"
)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cifar")
    subprocess.run([sys.executable, SHARED / "read_cifar10.py", folder], check=True, capture_output=True, timeout=200)
    return folder


@pytest.mark.parametrize(
    ("space", "benchmark", "size"),
    [
        ("nasbench201", "nasbench201", "plan.mapping.layers=1"),
        ("nasbench101", "nasbench101", "plan.mapping.layers=1"),
        ("darts_nds", "darts214", "plan.mapping.layers=3"),
    ],
)
def test_cifar10_is_ranked_against_the_real_table(tmp_path, images, space, benchmark, size):
    register()
    overrides = [
        f"space={space}", f"benchmark={benchmark}", "data=cifar10", f"recipe={space}_cpu", f"data.root={images}",
        f"benchmark.root={SHARED / 'benchmarks'}", f"runs={tmp_path}", "data.max_train_images=1000", size,
        "plan.mapping.channels=6", "plan.protocol.epochs=1", "evaluation.architectures=random12_seed0",
        "evaluation.images=100", "evaluation.batch_size=50", "evaluation.probe_images=100", "evaluation.every=0",
        "evaluation.snapshots=0", "trainer=cpu", "trainer.progress_bar=false",
    ]  # fmt: skip
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        result = train(compose("train", overrides))
    assert result["dataset"] == "cifar10"
    assert result["data"]["test_images"] == 10_000
    assert result["evaluated"]["n"] == 12
    assert result["benchmark"]["name"] in (benchmark, "darts_random214_cifar10")
    assert -1 <= result["metrics"]["negative_cross_entropy"]["kendall_tau"] <= 1
    assert ("tau" in result["ceiling"]["noise"]) == (space == "nasbench201")  # the other tables keep no seeds
