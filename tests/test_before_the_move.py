"""Run folders written by earlier versions: still read, still complete, still found by the same command."""

import contextlib
import io
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from nas_lightning.config.schema import typed
from nas_lightning.modes.job import compose as compose_job
from nas_lightning.modes.main import train
from nas_lightning.modes.search import describe_search
from nas_lightning.runs.reading import COMPLETE, find_runs
from nas_lightning.training.module import load_network
from tests.helpers.composing import composed_by

ROOT = Path(__file__).parents[1]
OLD = ROOT / "tests" / "fixtures" / "before_the_move"
RESULTS = sorted(OLD.rglob("result.json"))


def overrides_of(folder: Path, runs: Path) -> tuple[str, list[str]]:
    """Script and overrides of the command that a run folder remembers, for other run folders."""
    script, *typed_words = shlex.split(json.loads((folder / "environment.json").read_text())["command"])
    kept = [w for w in typed_words if "=" in w and not re.match(r"(runs|checkpoint)=", w) and w != "-m"]
    return Path(script).stem, [*kept, f"runs={runs}"]


def composed(script: str, overrides: list[str]):
    return composed_by(script, tuple(overrides))


def test_every_run_folder_is_read_as_complete():
    runs = find_runs([OLD])
    assert len(runs) == len(RESULTS) == 6
    assert {run.kind for run in runs} == {"train", "standalone", "table", "evaluation", "search"}
    assert {run.status for run in runs} == {COMPLETE}


@pytest.mark.parametrize("file", sorted(OLD.rglob("*.ckpt")), ids=lambda file: file.parent.parent.name)
def test_every_checkpoint_is_loaded(file):
    network, identity = load_network(file)
    assert identity["space"] == "nasbench201"
    assert sum(p.numel() for p in network.parameters()) > 0


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.parent.name)
def test_the_same_command_finds_the_same_folder(file, tmp_path):
    """What was never hashed by content, or was hashed so already, keeps its hash, and a folder that is there is found
    by it, though labels say more today."""
    script, overrides = overrides_of(file.parent, tmp_path)
    kind = json.loads(file.read_text())["kind"]
    if kind == "evaluation":
        trained = OLD / "nasbench201_digits_seed0_78c89297274e"
        overrides.append(f"checkpoint='{trained / 'checkpoints' / 'final.ckpt'}'")
    cfg = composed(script, overrides)

    def folder():
        return describe_search(typed(cfg)) if kind == "search" else compose_job(cfg.copy()).folder

    before = folder()
    assert re.split("[_-]", before.name)[-1] == re.split("[_-]", file.parent.name)[-1]
    (before.parent / file.parent.name).mkdir(parents=True)
    assert folder() == before.parent / file.parent.name


def test_a_complete_run_is_not_repeated(tmp_path):
    old = OLD / "nasbench201_digits_seed0_78c89297274e"
    shutil.copytree(old, tmp_path / old.name)
    cfg = composed(*overrides_of(old, tmp_path))
    with contextlib.redirect_stdout(io.StringIO()):
        result = train(cfg)
    assert result == json.loads((old / "result.json").read_text())
