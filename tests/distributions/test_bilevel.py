"""The bilevel gradient against a toy's fixed point, exact derivatives, and the true bilevel step."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nas_lightning.distributions.bilevel import gradients, second_order, unrolled_step
from nas_lightning.distributions.eigenvalue import largest_eigenvalue, stopping_entry
from nas_lightning.nets.relaxed import RelaxedPath
from tests.helpers.learned_paths import data_of, heuristic, plan_for
from tests.helpers.small_plans import quiet_trainer

SHAPE = (6, 5)


def scalar(value):
    return torch.tensor(float(value), dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("xi", [0.0, 0.1, 0.5])
def test_alternating_descent_ends_where_the_toy_says(xi):
    """L_val = αw − 2α + 1, L_train = w² − 2αw + α²: both end at 2/(1 + 2ξ)."""
    alpha, w = scalar(2), scalar(-2)

    def train():
        return w * w - 2 * alpha * w + alpha * alpha

    def selection():
        return alpha * w - 2 * alpha + 1

    for _ in range(600):
        (slope,) = second_order([alpha], [w], train, selection, xi, list)
        with torch.no_grad():
            alpha -= 0.3 * slope
        (slope,) = gradients(train(), [w])
        with torch.no_grad():
            w -= 0.3 * slope
    assert float(alpha.detach()) == pytest.approx(2 / (1 + 2 * xi), abs=1e-9)
    assert float(w.detach()) == pytest.approx(2 / (1 + 2 * xi), abs=1e-9)


@pytest.fixture
def problem():
    """A smooth net of six edges in a row, each a mixture of five operations, its α, and losses of different data.

    Smooth, since the slopes of a net of ReLUs jump: there the differences below have no limit.
    """
    generator = torch.Generator().manual_seed(0)

    def normal(*shape, scale=1.0):
        return (scale * torch.randn(shape, generator=generator, dtype=torch.float64)).requires_grad_()

    alpha, weights = normal(*SHAPE, scale=0.3), [normal(4, 4, scale=0.5) for _ in range(18)]
    batches = [(normal(16, 4).detach(), torch.randint(0, 4, (16,), generator=generator)) for _ in range(2)]

    def loss(which):
        x, labels = batches[which]
        path = RelaxedPath((alpha.softmax(-1),))
        for edge in range(6):
            a, b, c = weights[3 * edge : 3 * edge + 3]
            operations = [lambda x: None, lambda x: x, lambda x, a=a: torch.tanh(x @ a)]
            operations += [lambda x, b=b: torch.tanh(x @ b), lambda x, c=c: x @ c]
            x = path.mixture(0, edge, lambda op, x=x, operations=operations: operations[op](x))
        return F.cross_entropy(x, labels)

    return alpha, weights, lambda: loss(0), lambda: loss(1)


def exact(problem, rate, decay=0.0):
    """∇α L_val(w', α) − ξ·∇²_{α,w} L_train·v, the product by double backward."""
    alpha, weights, train, selection = problem
    kept = [w.detach().clone() for w in weights]
    slopes = torch.autograd.grad(train(), weights, create_graph=True)
    with torch.no_grad():
        for w, slope in zip(weights, slopes, strict=True):
            w -= rate * (slope + decay * w)
    outer, *v = gradients(selection(), [alpha, *weights])
    with torch.no_grad():
        for w, start in zip(weights, kept, strict=True):
            w.copy_(start)
    slopes = torch.autograd.grad(train(), weights, create_graph=True)
    (product,) = torch.autograd.grad(slopes, [alpha], v)
    return outer, product


def test_the_hessian_vector_product_falls_to_the_exact_one_as_epsilon_squared(problem):
    alpha, weights, train, selection = problem
    rate = 0.05
    outer, product = exact(problem, rate)
    errors = []
    for epsilon in (0.1, 0.01, 0.001):
        (found,) = second_order([alpha], weights, train, selection, rate, list, epsilon=epsilon)
        errors.append(float(((outer - found) / rate - product).norm() / product.norm()))
    assert errors[1] < 1e-2
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.5)
    assert errors[1] / errors[2] == pytest.approx(100, rel=0.5)


def test_second_order_is_the_gradient_of_the_true_bilevel_step(problem):
    """Finite differences of L_val(w − ξ(m·b + ∇w L_train(w, α) + λw), α) in α, momentum and decay included."""
    alpha, weights, train, selection = problem
    rate, momentum, decay = 0.05, 0.9, 0.01
    generator = torch.Generator().manual_seed(5)
    buffers = [0.1 * torch.randn(w.shape, generator=generator, dtype=torch.float64) for w in weights]
    kept = [w.detach().clone() for w in weights]

    def step(slopes):
        return unrolled_step(weights, slopes, buffers, momentum, decay)

    def value(table):
        with torch.no_grad():
            start = alpha.clone()
            alpha.copy_(table)
        direction = step(gradients(train(), weights))
        with torch.no_grad():
            for w, d in zip(weights, direction, strict=True):
                w -= rate * d
            result = float(selection())
            for w, k in zip(weights, kept, strict=True):
                w.copy_(k)
            alpha.copy_(start)
        return result

    (found,) = second_order([alpha], weights, train, selection, rate, step, epsilon=1e-4)
    direction = torch.randn(SHAPE, generator=generator, dtype=torch.float64)
    here = alpha.detach().clone()
    slope = (value(here + 1e-6 * direction) - value(here - 1e-6 * direction)) / 2e-6
    assert slope == pytest.approx(float((found * direction).sum()), rel=1e-4)
    assert all(torch.equal(w, k) for w, k in zip(weights, kept, strict=True))


def test_a_rate_of_zero_is_the_first_order_and_rows_sum_to_zero(problem):
    alpha, weights, train, selection = problem
    (first,) = gradients(selection(), [alpha])
    (none,) = second_order([alpha], weights, train, selection, 0.0, list)
    assert torch.equal(first, none)
    (second,) = second_order([alpha], weights, train, selection, 0.1, list)
    assert not torch.allclose(first, second)
    for table in (first, second):
        assert float(table.sum(1).abs().max()) < 1e-12  # the softmax does not see a shift of its row


def test_it_is_exact_for_quadratics():
    torch.manual_seed(0)
    a, w = (torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    matrix = torch.randn(3, 3, dtype=torch.float64)
    (found,) = second_order([a], [w], lambda: a @ matrix @ w, lambda: (w * w).sum(), 0.1, list)
    moved = w - 0.1 * matrix.T @ a
    torch.testing.assert_close(found, (-0.1 * matrix @ (2 * moved)).detach())


def test_the_largest_eigenvalue_of_a_quadratic_is_its_matrix_own():
    torch.manual_seed(0)
    for n in (12, 100):  # the whole Hessian, and Lanczos
        matrix = torch.randn(n, n, dtype=torch.float64)
        matrix = matrix @ matrix.T
        a, b = (torch.randn(n // 2, dtype=torch.float64, requires_grad=True) for _ in range(2))
        both = torch.cat([a, b])
        found = largest_eigenvalue(both @ matrix @ both / 2, [a, b], shift=1e-3)
        assert found == pytest.approx(float(torch.linalg.eigvalsh(matrix)[-1]) + 1e-3, rel=1e-6)


def test_curvature_that_grows_stops_the_search_four_entries_back():
    flat = [1.0] * 9
    assert stopping_entry(flat) is None
    assert stopping_entry([1.0] * 8) is None
    grown = [1.0] * 6 + [1.0, 2.0, 2.0]  # means: … 1, at entry 6 (1+1+1+2+2)/5 = 1.4
    assert stopping_entry(grown) == 2
    assert stopping_entry([*grown[:-2], 1.5, 1.5]) is None  # 1.2


def test_darts_of_second_order_uses_momentum_decay_and_rate_of_the_run():
    """One α-step of the callback equals the function called by hand on the same state."""
    method = heuristic("darts2")
    plan = plan_for("nasbench201", method, protocol__weight_decay=0.01)
    seen = {}

    class Watch(type(method)):
        def slopes(self, images, labels, step, batch):
            found = super().slopes(images, labels, step, batch)
            if step == 2:
                module, weights = self.module, list(self.module.network.parameters())
                states = self.trainer.optimizers[0].state
                buffers = [states[w]["momentum_buffer"] for w in weights]

                def loss(batch):
                    return F.cross_entropy(module.network(batch[0], self.relaxed(learned=True)), batch[1])

                seen["by hand"] = second_order(
                    self.alphas, weights, lambda: loss(batch), lambda: loss((images, labels)),
                    module.scheduled_rate(step), lambda g: unrolled_step(weights, g, buffers, 0.9, 0.01),
                )  # fmt: skip
                seen["found"] = found
            return found

    method.__class__ = Watch
    from nas_lightning.training.module import SuperNetModule

    module = SuperNetModule("nasbench201", plan, 10, 1, 0)
    quiet_trainer(method, max_steps=3, precision="64-true").fit(module, datamodule=data_of(plan))
    for a, b in zip(seen["found"], seen["by hand"], strict=True):
        assert np.allclose(a, b, rtol=1e-9, atol=1e-12)
