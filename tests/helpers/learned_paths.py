"""Tiny fits of the learned distributions: as fast as they go, with everything switched on that they do."""

import pytorch_lightning as pl

from nas_lightning.data.module import ImageClassification
from nas_lightning.heuristic import fold
from nas_lightning.plan import Plan
from nas_lightning.training.module import SuperNetModule
from tests.helpers.commands import CONF
from tests.helpers.small_plans import build, quiet_trainer, small_plan

METHODS = sorted(p.stem for p in (CONF / "distribution").glob("*.yaml") if p.stem != "none")
LEARNED = [name for name in METHODS if name != "one_shot"]
FEWER = {"candidates": 3, "steps": 2, "samples": 2, "batches": 1, "batch_size": 40}


def heuristic(name: str, **options):
    """The callback of conf/distribution/<name>.yaml with few draws and scorings; α moves visibly."""
    found = build(CONF / "distribution" / f"{name}.yaml")
    found.options |= {k: v for k, v in FEWER.items() if k in found.options}
    if "learning_rate" in found.options:
        found.options["learning_rate"] = 0.05
    found.options |= options
    return found


def plan_for(space: str, method, **edits) -> Plan:
    """Two epochs of two steps, without the images that are kept for the distribution."""
    base = small_plan(space, **{"protocol__epochs": 2, "protocol__train_portion": 0.14, **edits})
    return fold(base, space, [method])


def data_of(plan: Plan, seed: int = 0) -> ImageClassification:
    protocol = plan.protocol
    data = ImageClassification("digits", "data", protocol.batch_size, protocol.train_portion, seed)
    data.selection_portion = protocol.selection_portion
    data.setup()
    return data


def fit(space: str, method, *callbacks: pl.Callback, plan: Plan | None = None, path=None, **options) -> SuperNetModule:
    """The super-net after the plan's epochs, or after what `options` say."""
    plan = plan_for(space, method) if plan is None else plan
    module = SuperNetModule(space, plan, 10, 1, 0)
    options = {"max_epochs": plan.protocol.epochs, **options}
    trainer = quiet_trainer(method, *callbacks, **options)
    trainer.fit(module, datamodule=data_of(plan), ckpt_path=path, weights_only=True if path else None)
    return module
