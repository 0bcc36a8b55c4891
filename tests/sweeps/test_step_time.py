"""The cost model: proportional where it must be, and equal to the analytic counts it stands on."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from nas_lightning.plan import Plan
from nas_lightning.spaces import get_space
from nas_lightning.sweep.step_time import BACKWARD, CPU_CORE, Throughput, estimate_seconds, forward_seconds, shape_of

ARITHMETIC = Throughput("arithmetic alone", 1e9, 1e30, 0.0, 0.0, False)


def plan_of(**edits):
    small = {"mapping.channels": 8, "mapping.layers": 1, "protocol.epochs": 2, "protocol.batch_size": 100}
    return Plan().edited({**small, **{name.replace("__", "."): value for name, value in edits.items()}})


def test_training_is_proportional_to_epochs_and_paths():
    one = estimate_seconds(plan_of(), "nasbench201", 1000, 32, throughput=ARITHMETIC)
    more = estimate_seconds(plan_of(protocol__epochs=6), "nasbench201", 1000, 32, throughput=ARITHMETIC)
    fair = estimate_seconds(plan_of(protocol__sampling="fairnas"), "nasbench201", 1000, 32, throughput=ARITHMETIC)
    assert one["steps"] == 20
    assert more["training_s"] == pytest.approx(3 * one["training_s"])
    assert more["evaluation_s"] == one["evaluation_s"]
    assert fair["paths_per_step"] == 5
    # every operation once in every slot: the mean over the permuted paths is the mean over the space
    assert fair["training_s"] == pytest.approx(5 * one["training_s"], rel=0.1)


def test_arithmetic_is_three_forward_passes_of_the_mean_architecture():
    cost = estimate_seconds(plan_of(), "nasbench201", 1000, 32, 10, 500, ARITHMETIC)
    assert cost["training_s"] == pytest.approx(3 * 2000 * cost["macs_per_image"] / 1e9)
    assert cost["evaluation_s"] == pytest.approx(10 * 500 * cost["macs_per_image"] / 1e9, rel=0.2)
    assert cost["total_s"] == cost["training_s"] + cost["evaluation_s"]


@pytest.mark.parametrize("space", ["nasbench101", "nasbench201", "darts_nds"])
def test_wider_and_deeper_cost_more(space):
    edits = {"mapping__op_placement": "node"} if space == "nasbench101" else {}
    seconds = [
        estimate_seconds(plan_of(mapping__channels=c, mapping__layers=n, **edits), space, 1000, 16)["training_s"]
        for c, n in ((8, 3), (16, 3), (16, 6))
    ]
    assert np.all(np.diff(seconds) > 0)
    assert CPU_CORE.measured


def test_recalibration_is_paid_for_every_architecture():
    plain, recalibrated = (
        estimate_seconds(plan_of(protocol__bn_evaluation=mode), "nasbench201", 1000, 32, 10, 500, ARITHMETIC)
        for mode in ("batch", "recalibrate")
    )
    assert recalibrated["evaluation_s"] == pytest.approx(plain["evaluation_s"] * (500 + 4 * 100) / 500)


def test_a_correction_multiplies_all_passes_of_its_space_alone():
    slow = replace(ARITHMETIC, measured=True)
    for space, factor in (("darts_nds", 2.4), ("nasbench201", 1.0)):
        plan = plan_of(mapping__layers=3, protocol__bn_evaluation="recalibrate")
        as_is, corrected = (estimate_seconds(plan, space, 1000, 16, throughput=t) for t in (ARITHMETIC, slow))
        assert corrected["training_s"] == pytest.approx(factor * as_is["training_s"])
        assert corrected["evaluation_s"] == pytest.approx(factor * as_is["evaluation_s"])


def test_a_pass_is_the_sum_of_arithmetic_memory_and_launches():
    shape, batch = shape_of(plan_of(), "nasbench201", 32)[0], 50
    device = Throughput("round numbers", 1e9, 1e8, 1e-3, 0.0, False)
    expected = batch * shape.macs / 1e9 + batch * shape.elements / 1e8 + shape.operations * 1e-3
    assert forward_seconds(shape, batch, device) == pytest.approx(expected)
    assert forward_seconds(shape, 2 * batch, device) < 2 * expected  # launches are paid once


# Milliseconds of `python -m perf --only step`, as in docs/PERFORMANCE.md, and over how many architectures. The rates
# and corrections were fitted to these: what the test guards is that formula and constants still belong to each other.
MEASURED = [
    ("nasbench201", {"mapping.channels": 16, "mapping.layers": 5}, 64, 241, 12),
    ("nasbench201", {"mapping.channels": 8, "mapping.layers": 1}, 128, 65, 12),
    ("nasbench101", {"mapping.channels": 64, "mapping.layers": 3, "mapping.op_placement": "node"}, 16, 425, 12),
    ("darts_nds", {"mapping.channels": 36, "mapping.layers": 12, "mapping.bn_affine": False}, 16, 1038, 4),
]


@pytest.mark.parametrize(("space", "mapping", "batch", "milliseconds", "n"), MEASURED)
def test_the_constants_still_give_the_steps_they_were_fitted_to(space, mapping, batch, milliseconds, n):
    rng, domain = np.random.default_rng(0), get_space(space)
    archs = [domain.sample(rng) for _ in range(n)]  # as perf/step.py draws them
    plan = Plan().edited({**mapping, "protocol.batch_size": batch})
    macs = domain.costs(archs, channels=plan.mapping.channels, layers=plan.mapping.layers)[1].mean()
    shape = replace(shape_of(plan, space, 32)[0], macs=float(macs))
    seconds = (1 + BACKWARD) * CPU_CORE.correction(space) * forward_seconds(shape, batch, CPU_CORE)
    assert seconds == pytest.approx(milliseconds / 1e3, rel=0.15)


def test_the_dry_run_needs_no_torch():
    code = "import nas_lightning.sweep.step_time, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
