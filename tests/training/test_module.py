"""What a step hands on: the rate's factors, the loss that is judged, hidden states; and what a module says it is."""

import pytest
import torch

from nas_lightning.data.module import ImageClassification
from nas_lightning.spaces import get_space
from nas_lightning.training import module as room
from nas_lightning.training.module import StandaloneModule, SuperNetModule
from tests.helpers.by_hand import ByHand, batches_of, cross_entropy, fitted, module_of
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


def test_factors_that_callbacks_add_multiply_the_rate_of_their_step_together():
    plan = PLAN.edited({"protocol.schedule": "constant", "protocol.learning_rate": 0.05})
    arch = get_space("nasbench201").from_index(77)
    module = module_of(plan, [(arch,), (arch, arch), (arch,)])
    module.rate_factors += [lambda step, paths: step + 0.5, lambda step, paths: len(paths.architectures)]
    assert fitted(module, 3) == pytest.approx([0.05 * 0.5, 0.05 * 1.5 * 2, 0.05 * 2.5])


def test_slowness_is_a_penalty_beside_the_loss():
    """With the sum of the squared parameters in its place: ∇(L + λ·Σ w²) is that of λ times the penalty."""
    quiet = {"momentum": 0.0, "weight_decay": 0.0, "gradient_clip": 0.0, "schedule": "constant", "learning_rate": 0.05}
    plan = PLAN.edited({f"protocol.{name}": value for name, value in quiet.items()})
    arch = get_space("nasbench201").from_index(77)
    module = module_of(plan, [(arch,)])
    hand, ((images, labels),) = ByHand(module.network, plan), batches_of(plan, 1)

    def squares(network):
        return sum(p.square().sum() for p in network.parameters())

    module.plan = plan.edited({"protocol.slowness": 0.25})  # of this space a plan with it is refused
    module.slowness = lambda: squares(module.network)
    hand.step(cross_entropy(labels)(hand.network(images, arch)) + 0.25 * squares(hand.network), 0.05)
    fitted(module, 1)
    for found, expected in zip(module.network.parameters(), hand.network.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)
