"""The rank average of the last rankings during training: which ones it takes, and that a checkpoint carries them."""

import io

import numpy as np
import pytest
import torch

from nas_lightning.benchmarks import Benchmark
from nas_lightning.data.module import ImageClassification
from nas_lightning.modes.callbacks import RankingCallback
from nas_lightning.plan import Plan
from nas_lightning.ranking.fusion import rank_average
from nas_lightning.scoring.choice import Choice
from nas_lightning.scoring.evaluation import Evaluation
from nas_lightning.scoring.scorer import Conditions, Scorer
from nas_lightning.scoring.subjects import Subjects
from tests.helpers.small_plans import trained

PLAN = Plan().edited(
    {"mapping.channels": 4, "mapping.layers": 1, "protocol.epochs": 5, "protocol.batch_size": 50}
    | {"protocol.train_portion": 0.1}
)


class Recorder(RankingCallback):
    """Keeps every headline score beside what the callback keeps."""

    seen: list[np.ndarray]

    def on_train_epoch_end(self, trainer, pl_module):
        super().on_train_epoch_end(trainer, pl_module)
        self.seen.append(self.evaluation.scores(pl_module)["accuracy"])


def evaluation():
    data = ImageClassification("digits", "data", 50, 0.1, 0)
    data.setup()
    table = Benchmark.open("digits_nasbench201", space="nasbench201", dataset="digits")
    subjects = Subjects.of("nasbench201", PLAN.mapping, "random8_seed0", table)
    return Evaluation(Scorer(subjects, PLAN, data, Conditions(100, 200), choice=Choice.of()), top_k=5)


def test_the_last_rankings_are_averaged_and_survive_a_checkpoint():
    callback = Recorder(evaluation(), every=1, keep=2)
    callback.seen = []
    trained("nasbench201", PLAN, callback, steps=None)
    ((name, fused),) = callback.fused().items()
    assert name == "fusion(epoch4 + epoch5)"
    np.testing.assert_array_equal(fused, rank_average({"a": callback.seen[3], "b": callback.seen[4]})[1])
    file = io.BytesIO()
    torch.save(callback.state_dict(), file)
    file.seek(0)
    resumed = RankingCallback(evaluation(), every=1, keep=2)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    np.testing.assert_array_equal(resumed.fused()[name], fused)


def test_without_snapshots_nothing_is_fused():
    assert RankingCallback(evaluation(), every=1).fused() == {}


@pytest.mark.parametrize(("every", "keep"), [(0, 2), (3, 2), (1, 1), (1, 6)])
def test_more_snapshots_than_rankings_are_refused(every, keep):
    with pytest.raises(ValueError, match="rank more often or average fewer"):
        RankingCallback(evaluation(), every, keep=keep)
