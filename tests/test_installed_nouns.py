"""What another distribution brings by entry points is found by its name in train.py and search.py.

The distribution is a wheel, packed here and unpacked onto the search path, which is all that an installer does with it.
"""

import base64
import hashlib
import json
import os
from pathlib import Path
from zipfile import ZipFile

import pyarrow.parquet as pq
import pytest

from tests.helpers import process

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
OWN = EXAMPLES / "own_space"
HEURISTIC = '''
"""A heuristic from outside."""

from nas_lightning.heuristic import Heuristic


class Clipped(Heuristic):
    """Another largest norm of the gradient."""

    factor = "clipped"
    fields = ("protocol.gradient_clip",)

    def __init__(self, value=None):
        super().__init__(gradient_clip=value)
'''
DATA = '''
"""Images from outside."""

import torch

from nas_lightning.data.images import ImageSet
from nas_lightning.data.source import Source


class Dots(Source):
    """A dark dot at one of four places."""

    name = "dots"

    def read(self):
        labels = torch.arange(600) % 4
        images = torch.randint(0, 60, (600, 8, 8, 1), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        images[torch.arange(600), 2 + 4 * (labels // 2), 2 + 4 * (labels % 2)] = 255
        return ImageSet(images[:500], labels[:500]), ImageSet(images[500:], labels[500:])
'''
ENTRY_POINTS = """
[nas_lightning.spaces]
toy = nas_zoo.space:ToySpace

[nas_lightning.predictors]
margin = nas_zoo.margin:Margin

[nas_lightning.data]
dots = nas_zoo.dots:Dots

[nas_lightning.heuristics]
clipped = nas_zoo.clipped:Clipped
gone = nas_zoo.nowhere:Gone

[nas_lightning.algorithms]
hill_climber = nas_zoo.climber:HillClimber
"""


def pack(folder: Path) -> Path:
    """The wheel nas_zoo: the space, the score and the search of examples/, and a heuristic."""
    files = {
        "nas_zoo/__init__.py": '"""Spaces and scores of someone else."""\n',
        "nas_zoo/space.py": (OWN / "space.py").read_text().replace("examples.own_space", "nas_zoo"),
        "nas_zoo/network.py": (OWN / "network.py").read_text().replace("examples.own_space", "nas_zoo"),
        "nas_zoo/margin.py": (EXAMPLES / "own_predictor.py").read_text(),
        "nas_zoo/climber.py": (EXAMPLES / "own_algorithm.py").read_text(),
        "nas_zoo/clipped.py": HEURISTIC,
        "nas_zoo/dots.py": DATA,
        "nas_zoo-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: nas-zoo\nVersion: 1.0\n",
        "nas_zoo-1.0.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
        "nas_zoo-1.0.dist-info/entry_points.txt": ENTRY_POINTS,
    }
    lines = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(text.encode())}")
    files["nas_zoo-1.0.dist-info/RECORD"] = "\n".join([*lines, "nas_zoo-1.0.dist-info/RECORD,,", ""])
    wheel = folder / "nas_zoo-1.0-py3-none-any.whl"
    with ZipFile(wheel, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return wheel


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder like site-packages with the unpacked wheel."""
    folder = tmp_path_factory.mktemp("installed")
    with ZipFile(pack(folder)) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def ran(site, script, *arguments, code=0):
    known = os.pathsep.join([str(ROOT), *([str(site)] if site else [])])
    done = process.run([ROOT / script, *arguments], env={**os.environ, "PYTHONPATH": known})
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


NAMED = ("space=toy", "data=dots", "evaluation.predictors=[margin]", "evaluation.score=margin")
SMALL = (
    "plan.mapping.channels=2", "plan.mapping.layers=3", "plan.protocol.epochs=1", "plan.protocol.batch_size=64",
    "evaluation.architectures=all", "evaluation.images=100", "benchmark=none", "trainer=cpu",
    "trainer.progress_bar=false", "extra=clipped", "heuristics.clipped.value=3.0",
)  # fmt: skip


def test_a_space_a_score_and_a_heuristic_are_trained_by_their_names(site, tmp_path):
    ran(site, "train.py", *NAMED, *SMALL, f"runs={tmp_path}")
    (folder,) = (path.parent for path in tmp_path.glob("*/result.json"))
    result = json.loads((folder / "result.json").read_text())
    assert (result["space"], result["dataset"]) == ("toy", "dots")
    assert result["heuristics"] == {"clipped": {"protocol.gradient_clip": 3.0}}
    assert result["evaluation"]["score"] == "margin"
    rows = pq.read_table(folder / "ranking.parquet").to_pydict()
    assert len(rows["architecture"]) == 27
    assert min(rows["supernet_margin"]) > 0


def test_a_search_is_found_by_its_name_too(site, tmp_path):
    typed = ("algorithm=hill_climber", "algorithm.patience=5", "budget.amount=10", "baseline_seeds=0")
    ran(site, "search.py", *typed, f"runs={tmp_path}")
    (result,) = (json.loads(path.read_text()) for path in tmp_path.rglob("result.json"))
    assert result["algorithm"]["name"] == "hill_climber"
    assert result["algorithm"]["settings"] == {"patience": 5}


def test_a_heuristic_that_another_package_offers_and_does_not_have_is_refused_where_it_is_chosen(site, tmp_path):
    told = ran(site, "train.py", *NAMED, *SMALL[:-2], "extra=gone", f"runs={tmp_path}", code=2)
    assert "nas_zoo.nowhere" in told
    assert "Traceback" not in told


def test_without_the_distribution_its_names_are_refused_in_a_sentence(tmp_path):
    for typed, word in (
        (["space=toy"], "toy"),
        (["space.name=toy", "space._target_=null"], "'toy' is no search space"),
        (["extra=clipped"], "clipped"),
        (["data=dots"], "dots"),
        ([*NAMED[2:], "plan.mapping.layers=1"], "margin"),
    ):
        told = ran(None, "train.py", *SMALL[2:-2], *typed, f"runs={tmp_path}", code=2)
        assert word in told
        assert "Traceback" not in told
    assert not list(tmp_path.rglob("result.json"))
