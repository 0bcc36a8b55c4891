"""Ablation files, recipes and starting points compose; a heuristic's state survives; a checkpoint needs no callback."""

import importlib
import json
import re
import shutil
import sys
from typing import ClassVar

import pytest
import torch
import yaml

from nas_lightning.config.ablations import heuristic_settings
from nas_lightning.heuristic import Heuristic
from nas_lightning.modes.job import compose as compose_job
from nas_lightning.modes.main import train
from tests.helpers.commands import composed
from tests.helpers.small_plans import CONF, SETTINGS, build, data_for, small_plan, trained

RECIPES = sorted(p.stem for p in (CONF / "recipe").glob("*.yaml"))
STARTING_POINTS = sorted(p.stem for p in (CONF / "starting_point").glob("*.yaml"))
SPACES = ("nasbench101", "nasbench201", "darts_nds")


def space_of(recipe):
    return next((space for space in (*SPACES, "rnn_ptb") if space in recipe), "nasbench201")


def test_every_setting_but_default_has_an_ablation_and_baseline_is_the_only_file():
    assert set(heuristic_settings()) == {(path.parent.name, path.stem) for path in SETTINGS}
    assert [path.stem for path in (CONF / "ablation").glob("*.yaml")] == ["baseline"]
    baseline = yaml.safe_load((CONF / "ablation" / "baseline.yaml").read_text())
    assert baseline == {"ablation": {"factor": "baseline", "setting": "baseline"}}


@pytest.mark.parametrize("path", {path.parent.name: path for path in SETTINGS}.values(), ids=lambda p: p.parent.name)
def test_an_ablation_composes_to_its_setting_and_binds(path):
    space = "nasbench101" if path.parent.name in ("wsbn", "dynamic_channel") else "nasbench201"
    cfg = composed(f"ablation={path.parent.name}_{path.stem}", f"space={space}", f"recipe={space}_quick")
    job = compose_job(cfg)
    heuristic = build(path)
    (mine,) = [h for h in job.heuristics if h.factor == path.parent.name]
    assert mine.settings(job.base) == heuristic.settings(job.base) != {}
    assert [h.factor for h in job.heuristics if h.active] == [path.parent.name]
    assert len(job.heuristics) == 14
    assert f"{path.parent.name}-{path.stem}" in job.folder.name


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_composes_and_its_header_says_what_it_reproduces(recipe):
    job = compose_job(composed(f"recipe={recipe}", f"space={space_of(recipe)}"))
    assert job.config.recipe == (None if recipe == "none" else recipe)
    text = (CONF / "recipe" / f"{recipe}.yaml").read_text()
    header = [line for line in text.splitlines()[1:] if line.startswith("#")]
    if recipe != "none":
        assert any(f"recipe={recipe}" in line for line in header), "the command"
        assert any("docs/RESULTS.md" in line or "Expected" in line or "table" in line for line in header)


@pytest.mark.parametrize("space", SPACES)
def test_every_space_has_a_paper_a_cpu_and_a_quick_recipe(space):
    assert {f"{space}_{purpose}" for purpose in ("paper", "cpu", "quick")} <= set(RECIPES)


@pytest.mark.parametrize("name", STARTING_POINTS)
def test_every_starting_point_is_taken_for_its_space_and_data_set(name):
    space = max((p.stem for p in (CONF / "space").glob("*.yaml") if name.startswith(f"{p.stem}_")), key=len)
    data = name.removeprefix(f"{space}_")
    plan = yaml.safe_load((CONF / "starting_point" / f"{name}.yaml").read_text())["plan"]
    # of NAS-Bench-NLP only single networks are trained
    mode = "mode=table" if space == "nasbench_nlp" else "benchmark=none"
    job = compose_job(composed(f"space={space}", f"data={data}", mode))
    assert {part: {f: job.base.flat()[f"{part}.{f}"] for f in fields} for part, fields in plan.items()} == plan


@pytest.mark.parametrize("space", SPACES)
def test_the_quick_recipe_runs(tmp_path, space):
    overrides = [f"recipe={space}_quick", f"space={space}", "plan.protocol.epochs=1", f"runs={tmp_path}"]
    few = ("evaluation.architectures=random20_seed0", "evaluation.images=250")
    result = train(composed(*overrides, *few))
    assert result["status"] == "complete"
    assert result["recipe"] == f"{space}_quick"
    assert result["evaluated"]["n"] == 20
    assert result["cost"]["epochs"] == 1


@pytest.mark.parametrize("ablation", ["wsbn_on", "dynamic_channel_shuffle", "layers_fewer"])
def test_an_ablation_that_does_not_apply_is_recorded_and_trains_nothing(tmp_path, ablation):
    result = train(composed(f"ablation={ablation}", "recipe=nasbench201_quick", f"runs={tmp_path}", "study=isolated"))
    (folder,) = (tmp_path / "isolated").iterdir()
    assert [p.name for p in folder.iterdir()] == ["result.json"]
    assert json.loads((folder / "result.json").read_text()) == result
    assert result["status"] == "not_applicable"
    assert f"heuristics/{ablation.rsplit('_', 1)[0]}" in result["reason"]


class Counter(Heuristic):
    """A heuristic with state and an option, as a user would write one."""

    factor, fields = "counter", ()
    wanted: ClassVar[list[int]] = []

    def __init__(self, period: int | None = None) -> None:
        super().__init__(options={"period": period})
        self.steps = 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.steps += 1

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state):
        self.steps = state["steps"]
        self.wanted.append(self.steps)


def test_a_heuristics_state_survives_an_interruption_and_its_options_name_the_run(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "user_heuristic", sys.modules[__name__])
    overrides = [
        "+heuristics.counter={_target_: user_heuristic.Counter, period: 3}",
        "plan.protocol.epochs=2", "plan.protocol.train_portion=0.3", "trainer.checkpoint_every=1", "benchmark=none",
        "evaluation.architectures=random2_seed0", "evaluation.images=250", f"runs={tmp_path}",
    ]  # fmt: skip
    cfg = composed(*overrides)
    assert compose_job(cfg).hash != compose_job(composed(*overrides, "heuristics.counter.period=4")).hash

    def fail(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            raise KeyError("power cut")

    monkeypatch.setattr(Counter, "on_train_epoch_start", fail, raising=False)
    with pytest.raises(KeyError):
        train(cfg)
    monkeypatch.delattr(Counter, "on_train_epoch_start")
    result = train(cfg)
    steps_per_epoch = result["cost"]["steps"] // 2
    assert Counter.wanted[-1] == steps_per_epoch > 0
    assert result["heuristics"]["counter"] == {"period": 3}
    checkpoint = torch.load(next(tmp_path.rglob("final.ckpt")), weights_only=True)
    (state,) = [state for name, state in checkpoint["callbacks"].items() if "Counter" in name]
    assert state == {"steps": 2 * steps_per_epoch}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wsbn_on", "ofa_kernel_crop_transform", "op_placement_node", "dynamic_channel_chunk"])
def test_a_checkpoint_rebuilds_the_supernet_without_any_callback(tmp_path, monkeypatch, name):
    from nas_lightning.scoring.score import score
    from nas_lightning.training.module import load_network
    from nas_lightning.training.paths import PathSampler

    factor = next(f for f in {p.parent.name for p in SETTINGS} if name.startswith(f + "_"))
    setting = name.removeprefix(factor + "_")
    space = "nasbench201" if factor == "op_placement" else "nasbench101"
    plan = build(CONF / "heuristics" / factor / f"{setting}.yaml").edit(small_plan(space))
    module = trained(space, plan, steps=2)
    module.trainer.save_checkpoint(tmp_path / "a.ckpt")
    for loaded in [m for m in sys.modules if m == "callbacks" or m.startswith("callbacks.")]:
        monkeypatch.setitem(sys.modules, loaded, None)  # importing it now fails
    with pytest.raises(ImportError):
        importlib.import_module("callbacks.wsbn")
    network, identity = load_network(tmp_path / "a.ckpt")
    assert identity["plan"] == plan.as_dict()
    data = data_for(plan)
    batches = data.evaluation_batches(50, 100, "cpu")
    archs = [PathSampler(space, plan, 0).paths(step).architectures[0] for step in range(3)]
    before, after = score(module.network, archs, batches), score(network, archs, batches)
    assert before["negative_cross_entropy"].tolist() == after["negative_cross_entropy"].tolist()


def test_the_readmes_fifteenth_heuristic_is_one_file_and_one_config(tmp_path, monkeypatch):
    """The blocks as they stand in the README, in a copy of conf/ and beside the 14 callbacks."""
    import callbacks

    section = (CONF.parent / "README.md").read_text().split("## A fifteenth heuristic")[1].split("\n## ")[0]
    blocks = {kind: re.search(rf"```{kind}\n(.*?)```", section, re.DOTALL)[1] for kind in ("python", "yaml", "bash")}
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / re.search(r"callbacks/(\w+\.py)", section)[1]).write_text(blocks["python"])
    monkeypatch.setattr(callbacks, "__path__", [*callbacks.__path__, str(tmp_path / "code")])
    shutil.copytree(CONF, tmp_path / "conf")
    setting = tmp_path / re.search(r"conf/heuristics/\w+/\w+\.yaml", section)[0]
    setting.parent.mkdir()
    setting.write_text(blocks["yaml"])
    chosen = re.search(r"\+heuristics/\S+", blocks["bash"])[0]
    tiny = ["plan.protocol.epochs=1", "plan.protocol.train_portion=0.3", "benchmark=none", f"runs={tmp_path / 'runs'}",
            "evaluation.architectures=random2_seed0", "evaluation.images=250"]  # fmt: skip
    results = {}
    for overrides in ((chosen,), (chosen, "heuristics.gradient_noise.sigma=10"), ()):
        results[overrides] = train(composed(*tiny, *overrides, conf=tmp_path / "conf"))
    mild, strong, without = results.values()
    assert mild["heuristics"] == {"gradient_noise": {"sigma": 0.01}}
    assert without["heuristics"] == {}
    assert len({result["run_hash"] for result in results.values()}) == 3
    assert strong["plan"] == without["plan"]
    tables = [next((tmp_path / "runs").glob(f"*{result['run_hash']}/ranking.parquet")) for result in results.values()]
    assert len({table.read_bytes() for table in tables}) == 3  # it acts
