"""One of two ranks that train the cases of tests/training/test_ddp.py: ``python ddp_worker.py RANK PORT FOLDER``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest.mock import patch

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments import LightningEnvironment

from nas_lightning.data.module import ImageClassification
from nas_lightning.nets.norm import BatchNorm, synchronise
from nas_lightning.plan import Plan
from nas_lightning.processes.strategy import SharedWeightsStrategy
from nas_lightning.scoring.choice import Choice
from nas_lightning.scoring.evaluation import Evaluation
from nas_lightning.scoring.scorer import Conditions, Scorer
from nas_lightning.scoring.subjects import Subjects
from nas_lightning.training.module import SuperNetModule

SMALL = {
    "nasbench101": {"mapping.channels": 6, "mapping.layers": 1, "mapping.op_placement": "node"},
    "nasbench201": {"mapping.channels": 4, "mapping.layers": 1},
    "darts_nds": {"mapping.channels": 4, "mapping.layers": 3},
}
TRACKED = {"protocol.track_running_stats": True, "protocol.bn_evaluation": "tracked"}
CASES = {
    # name: space, edits of the plan, how batch-norm behaves
    "tracked": ("nasbench201", {**TRACKED, "mapping.path_dropout": 0.3, "mapping.global_dropout": 0.2}, "sharded"),
    "fairnas": ("nasbench201", {"protocol.sampling": "fairnas"}, "sharded"),
    "two paths, WSBN": ("nasbench101", {"protocol.paths_per_step": 2, "mapping.wsbn": "on"}, "sharded"),
    "no batch-norm": ("darts_nds", {"protocol.paths_per_step": 2, "mapping.path_dropout": 0.3}, "identity"),
    "synchronised": ("nasbench101", {**TRACKED, "mapping.dynamic_channel": "shuffle"}, "synchronised"),
}
EPOCHS, WORLD = 1, 2


def plan_of(case: str) -> Plan:
    """The plan of a case: 3 steps an epoch, 64-bit, everything that a step does switched on."""
    space, edits, _ = CASES[case]
    common = {"protocol.epochs": EPOCHS, "protocol.batch_size": 40, "protocol.train_portion": 0.11}
    return Plan().edited({**SMALL[space], **common, "protocol.weight_decay": 0.01, **edits})


def data_of(plan: Plan) -> ImageClassification:
    data = ImageClassification("digits", "data", plan.protocol.batch_size, plan.protocol.train_portion, 0)
    data.setup()
    return data


def module_of(case: str) -> SuperNetModule:
    return SuperNetModule(CASES[case][0], plan_of(case), 10, 1, 0)


def evaluation_of(module: SuperNetModule, data: ImageClassification) -> Evaluation:
    space = module.identity["space"]
    subjects = Subjects.of(space, module.plan.mapping, "random11_seed0", None)
    return Evaluation(Scorer(subjects, module.plan, data, Conditions(100, 100), choice=Choice.of()), top_k=5)


def without_batch_norm():
    """Batch-norm that normalises nothing, so that a batch's company has no influence."""

    def affine_alone(self, x, cut=None):
        weight, bias = self.affine(cut)
        return 0.5 * x if weight is None else 0.5 * (x * weight[:, None, None] + bias[:, None, None])

    return patch.object(BatchNorm, "forward", affine_alone)


def fit(case: str, **trainer) -> tuple[SuperNetModule, ImageClassification, pl.Trainer]:
    module, data = module_of(case), data_of(plan_of(case))
    behaviour = CASES[case][2]
    if behaviour == "synchronised" and trainer.get("strategy", "auto") != "auto":
        synchronise(module.network)
    options = {
        "accelerator": "cpu", "logger": False, "max_epochs": EPOCHS, "enable_checkpointing": False,
        "enable_progress_bar": False, "enable_model_summary": False, "limit_val_batches": 0, "precision": "64-true",
    }  # fmt: skip
    lightning = pl.Trainer(**options, **trainer)
    with without_batch_norm() if behaviour == "identity" else patch.dict({}):
        lightning.fit(module, datamodule=data)
    return module, data, lightning


def main(rank: int, port: int, folder: Path) -> None:
    os.environ |= {"LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    for case in CASES:
        strategy = SharedWeightsStrategy(cluster_environment=LightningEnvironment())
        module, data, trainer = fit(case, strategy=strategy, devices=WORLD)
        found = {"state": module.network.state_dict(), "loss": trainer.callback_metrics["train_loss"]}
        if case != "no batch-norm":
            scores = evaluation_of(module, data).scores(module)
            found |= {name: torch.from_numpy(values) for name, values in scores.items()}
        torch.save(found, folder / f"{case} {rank}.pt")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
