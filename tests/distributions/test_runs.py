"""Every method trains NAS-Bench-201 and DARTS, resumes in mid-epoch bit for bit, and refuses what contradicts it."""

import json

import pytest
import torch
import yaml

from nas_lightning.heuristic import NotApplicableError, fold
from nas_lightning.modes.main import train
from nas_lightning.plan import PlanError
from tests.helpers.commands import CONF, job, only_folder
from tests.helpers.learned_paths import LEARNED, METHODS, fit, heuristic, plan_for
from tests.helpers.nightly import rest_nightly
from tests.helpers.small_plans import SETTINGS, SaveAt, build, small_plan

pytestmark = pytest.mark.slow


ON_DARTS = ("darts", "enas", "gdas", "pc_darts")
"""One of a kind: mixtures, a controller, hard draws, weights of edges; DARTS-PT there is in test_draws.py."""


@pytest.mark.parametrize(
    ("space", "name"),
    rest_nightly(
        ((space, method) for space in ("nasbench201", "darts_nds") for method in METHODS if method != "robust_darts"),
        lambda space, name: space == "nasbench201" or name in ON_DARTS,
    ),
)
def test_every_method_trains(space, name):
    method = heuristic(name)
    module = fit(space, method)
    assert module.global_step == 2 * module.trainer.num_training_batches
    if name in LEARNED:
        assert method.choice is not None
        assert -1e-9 < method.entropy() < 2.1  # darts_pt has decided every edge: 0
        assert all(torch.isfinite(alpha).all() for alpha in method.alphas)


def test_the_images_of_the_distribution_are_none_that_train_the_weights_or_score():
    from tests.helpers.learned_paths import data_of

    data = data_of(plan_for("nasbench201", heuristic("darts")))
    parts = [data.train_set, data.selection_set, data.validation_set]
    seen = [{image.numpy().tobytes() for image in part.images} for part in parts]
    assert all(seen)
    whole = data_of(small_plan("nasbench201", protocol__train_portion=0.14))
    assert len(whole.train_set) == len(data.train_set) + len(data.selection_set)
    assert torch.equal(whole.validation_set.images, data.validation_set.images)
    assert torch.equal(torch.cat([data.train_set.images, data.selection_set.images]), whole.train_set.images)
    first, second = data.loader().batch(0), data.selection_loader().batch(0)
    assert not torch.equal(first[0], second[0])


STOPPED = ("darts2", "enas", "gdas", "robust_darts", "setn")
"""One of a kind: two orders, a controller, a temperature, a curvature, an evaluator beside the template."""


def state_of(module, method):
    state = {f"network.{name}": value for name, value in module.network.state_dict().items()}
    return state | {f"alpha.{i}": alpha.detach() for i, alpha in enumerate(getattr(method, "alphas", []))}


@pytest.mark.parametrize("name", rest_nightly(((m,) for m in METHODS), lambda name: name in STOPPED))
def test_a_run_that_stops_in_mid_epoch_ends_with_the_same_bits(name, tmp_path):
    whole = heuristic(name)
    expected = state_of(fit("nasbench201", whole), whole)
    first = heuristic(name)
    fit("nasbench201", first, SaveAt(3, tmp_path / "half.ckpt"), plan=plan_for("nasbench201", first))
    second = heuristic(name)
    found = state_of(fit("nasbench201", second, path=tmp_path / "half.ckpt"), second)
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        assert torch.equal(value, found[key]), key
    if name in LEARNED:
        assert second.choice == whole.choice
        saved = torch.load(tmp_path / "half.ckpt", weights_only=True)["callbacks"][type(second).__name__]["alphas"]
        moved = any(not torch.equal(a, b) for a, b in zip(saved, second.alphas, strict=True))
        assert moved or getattr(second, "decided", None)  # α stands still once operations are decided


REFUSED = {
    "sampling": {"fairnas", "sandwich", "sandwich_distilled", "random_a", "random_a_member", "multipath"},
    "learning_rate": {"complexity_aware"},
}
"""What decides paths beside the distribution, and a rate by the parameters of a path that sums operations."""


@pytest.mark.parametrize("name", METHODS)
def test_the_fourteen_heuristics_go_with_it_or_are_refused_with_a_reason(name):
    taken = 0
    for path in SETTINGS:
        factor, setting = path.parent.name, path.stem
        method, other = heuristic(name), build(path)
        base = small_plan("nasbench201", protocol__epochs=2, mapping__channels=8, mapping__layers=2)
        refused = setting in REFUSED.get(factor, ()) and not (factor == "learning_rate" and name == "enas")
        try:
            plan = fold(base, "nasbench201", [method, other])
        except NotApplicableError:
            assert factor in ("dynamic_channel", "wsbn")
        except PlanError as error:
            message = str(error)
            assert refused, (path, message)
            assert method.values["protocol.distribution"] in message
            assert len(message) < 300
        else:
            assert not refused, path
            assert plan.protocol.distribution is not None
            taken += 1
    assert taken > 30


@pytest.mark.parametrize(
    "setting", ["batch_norm/tracked_affine", "dropout/both", "op_placement/node", "ofa_kernel/crop"]
)
@pytest.mark.parametrize("name", ["darts2", "gdas", "pc_darts", "enas"])
def test_some_heuristics_in_training(name, setting):
    method, other = heuristic(name), build(CONF / "heuristics" / f"{setting}.yaml")
    base = small_plan("nasbench201", protocol__epochs=1, protocol__train_portion=0.14)
    module = fit("nasbench201", method, plan=fold(base, "nasbench201", [method, other]), max_epochs=1)
    assert all(torch.isfinite(value).all() for value in module.network.state_dict().values())


def test_spaces_without_relaxed_paths_and_split_super_nets_are_refused():
    from callbacks.few_shot import FewShot

    for name in METHODS:
        with pytest.raises(NotApplicableError, match="space=nasbench101"):
            fold(small_plan("nasbench101"), "nasbench101", [heuristic(name)])
        if name != "enas":
            with pytest.raises(PlanError, match="extra=few_shot and distribution"):
                fold(small_plan("nasbench201"), "nasbench201", [heuristic(name), FewShot(3, 0.5)])


@pytest.mark.parametrize("path", sorted((CONF / "distribution").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_file_binds_to_its_class(path):
    if path.stem == "none":
        assert yaml.safe_load(path.read_text()) == {"distribution": None}
    else:
        assert build(path).factor == "distribution"


def test_a_run_leaves_its_derived_architectures(tmp_path):
    cfg = job(tmp_path, "distribution=gdas", "plan.protocol.batch_size=32", "evaluation.images=100")
    train(cfg)
    folder = only_folder(tmp_path)
    result = json.loads((folder / "result.json").read_text())
    derived = result["derived"]
    assert derived["distribution"] == "gdas"
    assert [row["epoch"] for row in derived["epochs"]] == [1, 2]
    assert derived["architecture"] == derived["epochs"][-1]["architecture"]
    assert (folder / "derived.txt").read_text().strip() == derived["architecture"]
    assert derived["skips"] == derived["architecture"].count("skip_connect")
    assert abs(result["data"]["selection_images"] - result["data"]["train_images"]) <= 1
    lines = (folder / "distribution.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 6 * 5
    assert "derived/skips" in (folder / "metrics.csv").read_text().splitlines()[0]
    assert result["metrics"]
