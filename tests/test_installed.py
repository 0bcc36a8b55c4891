"""The wheel in an environment of its own: commands that work from a folder which has its own conf/ and callbacks/."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from nas_lightning.runs.packaged import conf_folder, heuristic_target

ROOT = Path(__file__).parents[1]
OWN = """from nas_lightning.heuristic import Heuristic


class Clipped(Heuristic):
    factor = "clipped"
    fields = ("protocol.gradient_clip",)

    def __init__(self, value=None):
        super().__init__(gradient_clip=value)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """bin/ of a fresh environment that has the wheel, and this one's packages behind it, but not the checkout."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("needs uv")
    place = tmp_path_factory.mktemp("installed")
    done = subprocess.run(
        [uv, "build", "--wheel", "--offline", "-q", "-o", str(place), str(ROOT)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"the wheel cannot be built offline: {done.stderr[-200:]}")
    (wheel,) = place.glob("*.whl")
    venv.create(place / "env", symlinks=True)
    (packages,) = (place / "env").glob("lib/python*/site-packages")
    here = next(p for p in sys.path if p.endswith("site-packages"))
    command = [uv, "pip", "install", "-q", "--offline", "--no-deps", "--python", str(place / "env" / "bin" / "python")]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    (packages / "others.pth").write_text(here + "\n")  # a path in a .pth is added, the .pth files in it are not read
    return place, place / "env" / "bin"


@pytest.fixture
def folder(tmp_path):
    """A user's folder with conf/ and callbacks/ of their own, and no more in common with the package's."""
    (tmp_path / "conf" / "extra").mkdir(parents=True)
    (tmp_path / "conf" / "extra" / "clipped.yaml").write_text(
        "# @package _global_\nheuristics:\n  clipped: {_target_: callbacks.mine.Clipped, value: 3.0}\n"
    )
    (tmp_path / "conf" / "train.txt").write_text("nothing of Hydra's")
    (tmp_path / "callbacks").mkdir()
    (tmp_path / "callbacks" / "mine.py").write_text(OWN)
    (tmp_path / "callbacks" / "batch_norm.py").write_text("raise RuntimeError('not the package's own')")
    return tmp_path


def ran(command, folder, *arguments):
    done = subprocess.run(
        [str(command), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_no_top_level_package_of_a_common_name_is_in_the_wheel(installed):
    (wheel,) = installed[0].glob("*.whl")
    top = {name.split("/")[0] for name in ZipFile(wheel).namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"nas_lightning", "hydra_plugins"}


@pytest.mark.slow
def test_the_commands_work_from_a_folder_with_conf_and_callbacks_of_its_own(installed, folder):
    small = ("trainer=cpu", "trainer.progress_bar=false", "plan.protocol.epochs=1", "plan.mapping.channels=2")
    few = ("evaluation.architectures=random3_seed0", "benchmark=none", "evaluation.baselines=[]")
    own = ("--config-dir", "conf", "extra=clipped", "heuristics/batch_norm=tracked")
    told = ran(installed[1] / "nas-train", folder, *own, *small, *few)
    assert "nas-train mode=standalone" in told
    (run,) = folder.glob("runs/nasbench201_digits_*")
    text = (run / "result.json").read_text()
    assert '"clipped"' in text
    assert '"batch_norm"' in text
    assert "Found: |" in ran(installed[1] / "nas-search", folder, "budget.amount=5", "baseline_seeds=0")
    assert "1 complete" in ran(installed[1] / "nas-report", folder, str(run), "--out", "report")
    assert (folder / "report" / "index.html").is_file()
    assert "digits_nasbench201" in ran(installed[1] / "nas-bench", folder, "list")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "typed", "completed"),
    [
        ("nas-train", "heuristics/samp", "heuristics/sampling="),
        ("nas-train", "heuristics/sampling=fair", "heuristics/sampling=fairnas"),
        ("nas-train", "plan.protocol.learning_ra", "plan.protocol.learning_rate="),
        ("nas-search", "algorithm=regular", "algorithm=regularized_evolution"),
    ],
)
def test_the_shell_completes_groups_choices_and_fields(installed, folder, command, typed, completed):
    bash = {"PATH": "/usr/bin:/bin", "COMP_LINE": f"{command} {typed}"}
    done = subprocess.run(
        [str(installed[1] / command), "-sc", "query=bash"], cwd=folder, capture_output=True, text=True, env=bash
    )
    assert completed in done.stdout.split()


def test_in_a_checkout_files_lie_beside_the_package_and_in_a_wheel_inside_it(tmp_path):
    assert conf_folder() == ROOT / "conf"
    assert heuristic_target("callbacks.batch_norm.BatchNorm") == "callbacks.batch_norm.BatchNorm"
    package = tmp_path / "nas_lightning"
    (package / "_conf").mkdir(parents=True)
    (package / "callbacks").mkdir()
    (package / "callbacks" / "batch_norm.py").touch()
    assert conf_folder(package) == package / "_conf"
    assert heuristic_target("callbacks.batch_norm.X", package) == "nas_lightning.callbacks.batch_norm.X"
    assert heuristic_target("callbacks.mine.X", package) == "callbacks.mine.X"
    assert heuristic_target("elsewhere.batch_norm.X", package) == "elsewhere.batch_norm.X"
