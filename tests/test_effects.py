"""Every setting in every mode: it changes the run's name, or is neutral, or is refused where it is typed."""

import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from nas_lightning.benchmarks import write_table
from nas_lightning.config.effects import (
    DETERMINES,
    IS_NEUTRAL,
    IS_UNREAD,
    UNREAD,
    UNREAD_BY_SEARCHES,
    effect,
    refuse_unread,
    search_kind,
    typed_settings,
)
from nas_lightning.config.schema import register
from nas_lightning.config.search_schema import register as register_search
from nas_lightning.errors import UserError
from nas_lightning.modes import job as jobs
from nas_lightning.modes.job import compose as compose_job
from nas_lightning.modes.search import prepare_torch
from nas_lightning.scoring import trained
from nas_lightning.spaces import get_space
from nas_lightning.sweep.jobs import describe

ROOT = Path(__file__).parents[1]
CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
TRAINED = next((ROOT / "tests/fixtures/before_the_move").glob("nasbench201_digits_seed0_*/checkpoints/final.ckpt"))
FIFTY = ["objective.batch_size=50"]  # which 150 held-out images are three of
STARTS = {
    "supernet": ("train", ["plan.protocol.epochs=2"]),
    "standalone": ("train", ["mode=standalone", f"architecture='{CELL}'"]),
    "table": ("train", ["mode=table"]),
    "evaluate": ("train", ["mode=evaluate", f"checkpoint={TRAINED}", "data.max_train_images=300"]),
    "search benchmark": ("search", ["algorithm=random_search"]),
    "search supernet": ("search", ["objective=supernet", f"checkpoint={TRAINED}", "data.max_train_images=300", *FIFTY]),
    "search training": ("search", ["objective=training"]),
    "search zerocost": ("search", ["objective=zerocost", "objective.proxy=naswot", "objective.architectures=space"]),
}

ELSEWHERE = (
    "mode",
    "benchmark.dataset",
    "heuristics.",
    "ablation",
    "algorithm.",
    "objective.name",
    "space.",
    "data.name",
    "checkpoint",
)
"""Choices of groups, and what other tests change: a mode is its own, heuristics and algorithms declare their settings,
checkpoints count by their weights (tests/test_content_counts.py), a table's data set is that of the images."""

OTHER = {
    "candidates": "random3_seed0",
    "architecture": CELL.replace("none", "avg_pool_3x3"),
    "benchmark.name": None,
    "benchmark.dataset": "digits",
    "data.root": "elsewhere",
    "data.image_size": 4,
    "data.max_train_images": 500,
    "evaluation.architectures": "random30_seed0",
    "evaluation.predictors": ["depth"],
    "evaluation.baselines": ["parameters"],
    "evaluation.score": "negative_cross_entropy",
    "evaluation.fuse": ["parameters"],
    "evaluation.batch_norm": "recalibrate",
    "evaluation.threshold": 0.01,
    "evaluation.batch_size": 50,
    "evaluation.top_k": 3,
    "init_seed": 5,
    "plan.mapping.few_shot_edge": 0,
    "plan.mapping.bn_affine_outside": False,
    "plan.mapping.ofa_kernel": "crop",
    "plan.mapping.wsbn": "on",
    "plan.protocol.initialization": "kaiming_uniform",
    "plan.mapping.dynamic_channel": "shuffle",
    "plan.mapping.op_placement": "node",
    "plan.protocol.schedule": "constant",
    "plan.protocol.sampling": "fairnas",
    "plan.protocol.bn_evaluation": "recalibrate",
    "plan.protocol.batch_size": 32,
    "plan.protocol.train_portion": 0.4,
    "objective.truth": "validation_accuracy",
    "objective.value": "test_accuracy",
    "objective.fidelity": "none",
    "objective.epochs": 1,
    "objective.score": "negative_cross_entropy",
    "objective.architectures": "table",
    "objective.train_top_k": True,
    "objective.images": 100,
    "objective.batch_size": 25,
    "objective.min_epochs": 1,
    "objective.proxy": "zen",
    "recipe": "mine",
    "study": "mine",
    "trainer.accelerator": "cpu",
    "trainer.precision": "bf16-mixed",
    "trainer.checkpoint_every_steps": 7,
    "trainer.checkpoint_minutes": 2.0,
    "trainer.threads": 1,
    "weak_labels": "labels.parquet",
    "budget.unit": "seconds",
    "logger.name": "csv",
    "runs": "elsewhere",
}
"""Another legal value where adding one, negating, or writing "x" gives none."""

WHOLE_NUMBERS = ("evaluation.images", "weak_images", "top_k", "init_seed", "objective.images")
"""Of those that are null by default."""

NEEDS_OTHERS = {
    "benchmark.name",
    "budget.unit",
    "data._target_",
    "data.download",
    "data.root",
    "objective.epochs",
    "objective.measures_from",
    "objective.probe_images",
    "plan.mapping.cell_dropout",
    "plan.mapping.dynamic_channel",
    "plan.mapping.hidden_dropout",
    "plan.mapping.input_dropout",
    "plan.mapping.output_dropout",
    "plan.mapping.word_dropout",
    "plan.mapping.wsbn",
    "plan.protocol.distillation",
    "plan.protocol.random_member",
    "plan.protocol.selection_portion",
    "plan.protocol.slowness",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
    "trainer.sync_batchnorm",
    "weak_columns",
    "weak_images",
    "weak_labels",
    "weak_probe_images",
}
"""Refused alone, in one sentence: others have to go with them."""
OF_A_CHECKPOINT = {"data.image_size", "data.max_train_images", "data.split_seed"}
"""Refused where a checkpoint was trained on other images."""


def leaves(cfg, prefix=""):
    for key, value in OmegaConf.to_container(cfg, resolve=True).items():
        if isinstance(value, dict) and value:
            yield from leaves(OmegaConf.create(value), f"{prefix}{key}.")
        elif value != {}:
            yield prefix + key, value


def another(name, value):
    if name in OTHER and OTHER[name] != value:
        return OTHER[name]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1 if isinstance(value, int) else value * 0.5 or 0.05
    return ("x" if value is None or isinstance(value, str) else ["x"]) if name not in WHOLE_NUMBERS else 3


@cache
def start(mode):
    """The mode's composed configuration, and Hydra's own part of it as a job of it sees it."""
    script, overrides = STARTS[mode]
    register()
    register_search()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose(script, overrides, return_hydra_config=True)
    OmegaConf.set_readonly(cfg, False)
    instance = HydraConfig.instance()
    before, _ = instance.cfg, instance.set_config(cfg)
    of_hydra, instance.cfg = instance.cfg, before
    with open_dict(cfg):
        del cfg["hydra"]
    OmegaConf.set_readonly(of_hydra.hydra, False)
    return cfg, of_hydra


def folder_of(mode, name=None, value=None):
    """The run hash of the mode's job with one setting changed; a UserError where that is refused."""
    plain, of_hydra = start(mode)
    cfg: DictConfig = plain.copy()
    typed = list(of_hydra.hydra.overrides.task)
    if name is not None:
        OmegaConf.update(cfg, name, value, force_add=False)
        of_hydra.hydra.overrides.task = [*typed, f"{name}={value}"]
    before = HydraConfig.instance().cfg
    HydraConfig.instance().cfg = of_hydra
    try:
        if mode.startswith("search"):
            found = describe(cfg)
            if found.refusal is not None:
                raise UserError(found.refusal)
            return found.folder.name
        return compose_job(cfg).hash
    finally:
        HydraConfig.instance().cfg = before
        of_hydra.hydra.overrides.task = typed


def test_a_search_that_trains_reads_nothing_of_shared_weights():
    for kind in ("training", "supernet, trained", "zerocost, trained"):
        with pytest.raises(UserError, match=r"plan\.protocol\.sampling=fairnas has no effect"):
            refuse_unread(["plan.protocol.sampling=fairnas"], UNREAD_BY_SEARCHES[kind])
        refuse_unread(["plan.protocol.epochs=3"], UNREAD_BY_SEARCHES[kind])


def unread_of(mode):
    if not mode.startswith("search"):
        return UNREAD[mode]
    return UNREAD_BY_SEARCHES[search_kind(mode.split()[1], False, False)]


def kept(build):
    """`build`, asked once for equal heuristics: half of what composing a job takes, and no setting of this walk."""
    made = {}

    def built(config):
        key = json.dumps(config.heuristics, default=repr)
        if key not in made:
            made[key] = build(config)
        return made[key]

    return built


@pytest.mark.slow
@pytest.mark.parametrize("mode", STARTS)
def test_every_setting_acts_is_neutral_or_is_refused(mode, monkeypatch):
    monkeypatch.setattr(trained, "load_network", cache(trained.load_network))  # one checkpoint, read 37 times
    monkeypatch.setattr(jobs, "build_heuristics", kept(jobs.build_heuristics))
    unread, unchanged = unread_of(mode), folder_of(mode)
    seen = {DETERMINES: 0, IS_NEUTRAL: 0, IS_UNREAD: 0}
    for name, value in leaves(start(mode)[0]):
        if name.startswith(ELSEWHERE):
            continue
        declared, changed = effect(unread, name), another(name, value)
        try:
            found = folder_of(mode, name, changed)
        except UserError as refusal:
            sentence = str(refusal)
            assert len(sentence) < 400, sentence
            assert "\n" not in sentence, sentence
            if declared != IS_UNREAD:
                known = NEEDS_OTHERS | (OF_A_CHECKPOINT if mode in ("evaluate", "search supernet") else set())
                assert name in known, f"{name}={changed}: {sentence}"
            else:
                seen[declared] += 1
            continue
        assert declared != IS_UNREAD, f"{name}={changed} is taken by {mode}, which does not read it"
        assert (found != unchanged) == (declared == DETERMINES), f"{name}={changed} in {mode}: {declared}"
        seen[declared] += 1
    assert min(seen.values()) >= 1, seen
    assert seen[DETERMINES] >= 4, seen


def test_a_super_net_is_searched_by_the_truth_of_its_own_images(tmp_path):
    space = get_space("nasbench201")
    cells = [space.parse(CELL), space.parse(CELL.replace("none", "avg_pool_3x3"))]
    write_table(
        tmp_path / "other.arrow",
        space="nasbench201",
        dataset="cifar10",
        architectures=cells,
        columns={"test_accuracy": np.array([0.5, 0.6])},
    )
    with pytest.raises(UserError, match="holds cifar10 accuracies but data=digits"):
        folder_of("search supernet", "benchmark.name", str(tmp_path / "other.arrow"))


def test_threads_act_in_a_search_that_computes(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    trainer = SimpleNamespace(threads=3, deterministic=False, accelerator="cpu", precision="32-true")
    for objective, checkpoint in (("training", None), ("benchmark", "x.ckpt"), ("benchmark", None)):
        prepare_torch(SimpleNamespace(objective={"name": objective}, checkpoint=checkpoint, trainer=trainer))
    assert asked == [3, 3]


@pytest.mark.parametrize(
    ("override", "settings"),
    [
        ("evaluation.every=1", ["evaluation.every"]),
        ("+trainer.threads=2", ["trainer.threads"]),
        ("heuristics/sampling=fairnas", ["heuristics.sampling"]),
        ("evaluation={every: 3, images: 5}", ["evaluation.every", "evaluation.images"]),
        ("~logger", ["logger"]),
        ("/recipe@_global_=x", ["recipe"]),
    ],
)
def test_the_settings_that_an_override_names(override, settings):
    assert list(typed_settings(override)) == settings


def test_what_says_that_nothing_is_there_is_no_setting():
    refuse_unread(["benchmark=none", "logger=none"], UNREAD["table"])
    with pytest.raises(UserError, match=r"benchmark=nasbench201 has no effect in mode=table"):
        refuse_unread(["benchmark=nasbench201"], UNREAD["table"])
    with pytest.raises(UserError, match=r"evaluation=\{images: 3\} has no effect in mode=standalone"):
        refuse_unread(["evaluation={images: 3}"], UNREAD["standalone"])
    refuse_unread(["evaluation={batch_size: 3}"], UNREAD["standalone"])
    refuse_unread(["data=cifar10"], UNREAD_BY_SEARCHES["benchmark"])  # its name chooses the table's columns
    with pytest.raises(UserError, match=r"data\.image_size=4 has no effect with objective=benchmark"):
        refuse_unread(["data.image_size=4"], UNREAD_BY_SEARCHES["benchmark"])
