"""From a folder of images to a table, a ranked super-net, an ablation and a found architecture: the four commands."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import process

ROOT = Path(__file__).parents[2]
HOWTO = (ROOT / "docs" / "howto" / "own_data.md").read_text(encoding="utf-8")
SMALL = ("plan.mapping.channels=2", "plan.mapping.layers=1", "plan.protocol.batch_size=16", "plan.protocol.epochs=1")
QUIET = ("data.size=8", "evaluation.batch_size=16", "trainer=cpu", "trainer.progress_bar=false")
SMALLER = {
    "table.architectures=100": "table.architectures=6",
    "table.seeds=2": "table.seeds=1",
    "amount=50": "amount=4",
}


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    for label, name in enumerate(("horizontal", "vertical")):
        folder = tmp_path / "my_images" / name
        folder.mkdir(parents=True)
        for i in range(60):
            pixels = rng.integers(0, 120, (10, 12), dtype=np.uint8)
            pixels[(slice(None), i % 10) if label else (i % 10, slice(None))] = 255
            Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path


def commands():
    block = re.search(r"```bash\n(.*?)```", HOWTO, re.DOTALL)[1]
    for line in block.strip().split("\n"):
        for large, small in SMALLER.items():
            line = line.replace(large, small)
        yield line.split()[2:]


def ran(images, script, *arguments):
    alone = {"PATH": "/usr/bin:/bin", "NAS_LIGHTNING_CACHE": str(images / "cache"), "HOME": str(images)}
    done = process.run([ROOT / script, *arguments], cwd=images, env=alone, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_readme_shows_the_same_four_commands():
    block = re.search(r"```bash\n.*?```", HOWTO, re.DOTALL)[0]
    assert block.count("uv run") == 4
    assert block in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_four_commands_of_the_how_to_do_what_it_says(images):
    table, rank, ablation, search = commands()
    assert "test accuracy" in ran(images, *table, *SMALL, *QUIET, "table.workers=1")
    assert "super-net accuracy" in ran(images, *rank, *SMALL, *QUIET)
    assert "2 complete" in ran(images, *ablation, *SMALL, *QUIET)
    assert "Found: |" in ran(images, *search)
    (ranked,) = (json.loads(p.read_text()) for p in images.glob("runs/nasbench201_folder_*seed0_*/result.json"))
    assert ranked["data"]["classes"] == 2
    assert len(ranked["data"]["content_sha256"]) == 64
    again = ran(images, *rank, *SMALL, *QUIET, f"data.path={images / 'my_images'}")
    assert "This run is complete" in again  # an absolute path is the same images


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_source_of_the_how_to_is_trained_from_its_own_folder(tmp_path):
    (tmp_path / "my_module.py").write_text(re.search(r"```python\n(.*?)```", HOWTO, re.DOTALL)[1])
    (tmp_path / "sitecustomize.py").touch()
    told = ran(
        tmp_path, "train.py", "data._target_=my_module.Stripes", "data.n=300", "benchmark=none", *SMALL, *QUIET[1:],
        "evaluation.architectures=random3_seed0", "data.augment=randaugment"
    )  # fmt: skip
    assert "stripes" in told
    (result,) = (json.loads(p.read_text()) for p in tmp_path.glob("runs/*/result.json"))
    assert (result["dataset"], result["data"]["augment"]) == ("stripes", "randaugment")
