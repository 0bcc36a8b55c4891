"""What every heuristic says of itself, against a table written by hand."""

import importlib
import math
import pkgutil

import pytest
import torch

import callbacks
from callbacks.drnas import Drnas
from callbacks.landmark_loss import LandmarkLoss
from callbacks.sharing_curriculum import SharingCurriculum
from callbacks.weight_averaging import WeightAveraging
from nas_lightning.benchmarks import Benchmark
from nas_lightning.heuristic import Heuristic
from nas_lightning.plan import PlanError
from nas_lightning.ranking.architecture_sets import architecture_set
from nas_lightning.spaces import get_space
from tests.helpers.commands import CONF
from tests.helpers.small_plans import build, small_plan, trained

LEARNED = {"Darts", "DartsPt", "Drnas", "Enas", "Gdas", "OneShot", "PcDarts", "Setn"}
CHANGES_DRAWS = {
    "BatchSize",
    "DynamicChannel",
    "ImportanceSampling",
    "PathTournament",
    "Sampling",
    "TrainPortion",
    *LEARNED,
}
"""Other batches, or other paths: with any other heuristic two runs see the same ones."""
SHARES_WEIGHTS = {
    "Dropout", "Dynas", "DynamicChannel", "FewShot", "ImportanceSampling", "LandmarkLoss", "OFAKernel", "OpPlacement",
    "PathTournament", "RankingDistillation", "Sampling", "SharingCurriculum", "WSBN", *LEARNED,
}  # fmt: skip
"""A network of its own weights has no use for them."""


EXTRA_PASSES = {"LandmarkLoss": 2, "RankingDistillation": 2, **dict.fromkeys(LEARNED - {"Enas", "OneShot"}, 1)}
"""A pair of landmarks; the step of α on images of its own (ENAS's controller has steps between the epochs)."""


def heuristics():
    for module in pkgutil.iter_modules(callbacks.__path__):
        for value in vars(importlib.import_module(f"callbacks.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Heuristic) and value.__module__.endswith(module.name):
                yield value


@pytest.mark.parametrize("kind", heuristics(), ids=lambda kind: kind.__name__)
def test_what_it_changes_and_needs(kind):
    assert kind.changes_draws == (kind.__name__ in CHANGES_DRAWS)
    assert kind.shares_weights == (kind.__name__ in SHARES_WEIGHTS)
    assert kind.extra_passes == EXTRA_PASSES.get(kind.__name__, 0)


def test_the_table_names_classes_that_exist():
    assert {kind.__name__ for kind in heuristics()} >= CHANGES_DRAWS | SHARES_WEIGHTS


@pytest.mark.parametrize("path", sorted((CONF / "distribution").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_distribution_of_ones_own_yaml_has_the_same_defaults_as_the_packaged_one(path):
    if path.stem in ("none", "darts2", "robust_darts", "gdas_as_released"):  # these set something
        return
    chosen = build(path)
    plain = type(chosen)()
    assert plain.options == chosen.options
    assert plain.values == chosen.values


def test_drnas_mixes_by_the_mean_of_its_dirichlet():
    drnas = Drnas()
    drnas.alphas = [torch.tensor([[0.0, 1.0], [1.0, -1.0]])]
    (mixed,) = drnas.mixing()
    low = math.exp(-1)  # elu(-1) + 1
    expected = torch.tensor([[1 / 3, 2 / 3], [2 / (2 + low), low / (2 + low)]])
    torch.testing.assert_close(mixed, expected)


class Weights(WeightAveraging):
    """Keeps the weights after every step, before they are exchanged for the average, and what is set aside then."""

    def __init__(self, decay):
        super().__init__(decay)
        self.steps, self.kept = [], []

    def on_train_batch_end(self, trainer, pl_module, *others):
        super().on_train_batch_end(trainer, pl_module, *others)
        self.steps.append([p.detach().clone() for p in pl_module.parameters()])
        self.kept.append(len(self.state_dict()["raw"]))


def test_every_epoch_trains_on_from_its_own_weights_and_not_from_the_average():
    plan = small_plan("nasbench201", protocol__epochs=2, protocol__train_portion=0.07)
    averaged, plain = Weights(0.9), Weights(None)
    for callback in (averaged, plain):
        trained("nasbench201", plan, callback, steps=None)
    assert len(averaged.steps) == len(plain.steps) >= 4
    for one, other in zip(averaged.steps, plain.steps, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert set(averaged.kept) == {0}, "a checkpoint in mid-epoch would bring back the weights of the epoch before"


def test_two_landmarks_of_different_accuracy_are_enough(tmp_path):
    space = get_space("nasbench201")
    table = Benchmark.open("digits_nasbench201", space="nasbench201")
    names = [str(arch) for arch in architecture_set("random20_seed5", space, table)]
    for count in (1, 2):
        (tmp_path / "few.txt").write_text("\n".join(names[:count]) + "\n")
        heuristic = LandmarkLoss(str(tmp_path / "few.txt"), 1.0, benchmark="digits_nasbench201")
        if count == 1:
            with pytest.raises(PlanError, match="leaves 1 of different accuracy"):
                heuristic.check(small_plan("nasbench201"), space)
        else:
            heuristic.check(small_plan("nasbench201"), space)


@pytest.mark.parametrize(("until", "right"), [(0, False), (1, True), (1.01, False), (0.01, True)])
def test_a_curriculum_ends_within_the_training(until, right):
    if right:
        assert SharingCurriculum("cell", until).options["until"] == until
    else:
        with pytest.raises(PlanError, match="until="):
            SharingCurriculum("cell", until)
