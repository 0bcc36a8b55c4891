"""What a step hands on: the rate's factors, the loss that is judged, hidden states; and what a module says it is."""

import pytest
import torch

from nas_lightning.data.module import ImageClassification
from nas_lightning.spaces import get_space
from nas_lightning.training import module as room
from nas_lightning.training.module import StandaloneModule, SuperNetModule
from tests.helpers.small_plans import small_plan, trained

PLAN = small_plan("nasbench201")


def test_a_module_names_its_architecture_where_it_has_one():
    arch = get_space("nasbench201").from_index(77)
    shape = {"space": "nasbench201", "plan": PLAN, "num_classes": 10, "in_channels": 1, "seed": 3}
    assert SuperNetModule(**shape).identity["architecture"] is None
    assert StandaloneModule(**shape, arch=arch).identity["architecture"] == str(arch)


def test_the_tasks_factor_multiplies_the_scheduled_rate(monkeypatch):
    plain = trained("nasbench201", PLAN, steps=1)
    monkeypatch.setattr(ImageClassification, "rate_factor", lambda self, inputs: 0.25 if inputs.shape[1] == 1 else None)
    quarter = trained("nasbench201", PLAN, steps=1)
    rates = [m.trainer.optimizers[0].param_groups[0]["lr"] for m in (plain, quarter)]
    assert rates[1] == pytest.approx(rates[0] / 4)
    assert rates[0] == pytest.approx(plain.scheduled_rate(0))


def test_an_epochs_mean_loss_is_judged_against_a_guess_at_its_last_step(monkeypatch):
    judged = []
    monkeypatch.setattr(room, "refuse_far_above_a_guess", lambda *given: judged.append(given))
    module = trained("nasbench201", PLAN.edited({"protocol.epochs": 2}), steps=None)
    per_epoch = int(module.trainer.num_training_batches)
    assert [given[1] for given in judged] == [per_epoch - 1, 2 * per_epoch - 1]
    for loss, _, guess, protocol in judged:
        assert 0 < loss < 20
        assert guess == pytest.approx(torch.log(torch.tensor(10.0)).item())
        assert protocol == module.plan.protocol
    assert judged[-1][0] == pytest.approx(float(module.trainer.callback_metrics["train_loss"]))


def test_slowness_is_the_mean_squared_step_of_the_hidden_states():
    module = SuperNetModule("nasbench201", PLAN, 10, 1, 0)
    module.network.hidden_states = torch.tensor([[[0.0, 1.0], [2.0, 1.0], [2.0, 5.0]]])  # [1, 3, 2]
    assert float(module.slowness()) == (4 + 0 + 0 + 16) / 4
    module.network.hidden_states = torch.ones(2, 1, 3)
    assert float(module.slowness()) == 0
