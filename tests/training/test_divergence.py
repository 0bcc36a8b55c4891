"""A training that diverges ends at once, as diverged, in every mode; it is never a measurement and never complete."""

import json
import math

import numpy as np
import pytest

from nas_lightning.errors import UserError
from nas_lightning.modes.main import train
from nas_lightning.modes.table import mean_of_known
from nas_lightning.plan import Protocol
from nas_lightning.runs.reading import FAILED, read_run
from nas_lightning.training.divergence import LIMIT, DivergedError, refuse_far_above_a_guess, refuse_no_number
from tests.helpers.commands import composed

WILD = (
    "plan.protocol.learning_rate=100",
    "plan.protocol.weight_decay=1",
    "plan.protocol.gradient_clip=0",
    "plan.protocol.momentum=0.9999",
    "plan.protocol.epochs=6",
    "data.max_train_images=300",
    "trainer.progress_bar=false",
)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_refused_with_step_and_remedy(loss):
    with pytest.raises(DivergedError, match=r"at step 7: .*lower plan\.protocol\.learning_rate \(now 0\.5\)") as caught:
        refuse_no_number(loss, 7, Protocol(learning_rate=0.5))
    assert caught.value.step == 7


def test_the_limit_is_a_hundred_guesses():
    refuse_no_number(1e30, 0, Protocol())
    refuse_far_above_a_guess(LIMIT * math.log(10), 3, math.log(10), Protocol())
    for loss in (LIMIT * math.log(10) * 1.0001, math.nan):
        with pytest.raises(DivergedError, match="step 3"):
            refuse_far_above_a_guess(loss, 3, math.log(10), Protocol())


def test_a_super_net_that_diverges_is_recorded_so_and_not_tried_again(tmp_path):
    typed = ("recipe=nasbench201_quick", *WILD, f"runs={tmp_path}", "evaluation.architectures=random10_seed0")
    with pytest.raises(DivergedError, match="diverged at step"):
        train(composed(*typed))
    (folder,) = tmp_path.iterdir()
    result = json.loads((folder / "result.json").read_text())
    assert result["status"] == "diverged"
    assert result["step"] > 0
    assert "metrics" not in result
    assert not (folder / "ranking.parquet").exists()
    assert not (folder / "checkpoints" / "final.ckpt").exists()
    run = read_run(folder)
    assert run.status == FAILED
    assert "diverged at step" in run.reason
    with pytest.raises(UserError, match="force=true"):
        train(composed(*typed))


def test_a_table_keeps_no_accuracy_of_diverged_trainings(tmp_path):
    typed = ("mode=table", "recipe=digits_table_nasbench201", *WILD, f"runs={tmp_path}", "table.architectures=2")
    with pytest.raises(UserError, match="all 2 trainings of the table diverged"):
        train(composed(*typed, "table.seeds=1", "table.workers=1"))
    (folder,) = tmp_path.iterdir()
    assert not (folder / "table.parquet").exists()
    assert not (folder / "result.json").exists()
    assert b'"test": null' in (folder / "journal.jsonl").read_bytes()


def test_the_mean_over_seeds_leaves_diverged_ones_out():
    values = np.array([[0.5, np.nan], [0.25, 0.75], [np.nan, np.nan]])
    assert mean_of_known(values)[:2].tolist() == [0.5, 0.5]
    assert np.isnan(mean_of_known(values)[2])
