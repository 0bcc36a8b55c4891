"""Linear probes: equal to least squares on the features themselves, and a score of their own in an evaluation."""

import numpy as np
import pytest
import torch
from sklearn.feature_selection import f_classif
from sklearn.linear_model import LinearRegression

from nas_lightning.nets.build import build_network
from nas_lightning.plan import Plan
from nas_lightning.scoring.probe import LinearProbes, StageProbes
from nas_lightning.scoring.score import PROBED, Seen, check_score, score
from nas_lightning.spaces import get_space

PLAN = Plan().edited({"mapping.channels": 6, "mapping.layers": 1})


def drawn(n, seed=0):
    space, rng = get_space("nasbench201"), np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(n)]


def images(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 1, 8, 8, generator=generator), torch.randint(0, 4, (count,), generator=generator)


def test_moments_give_what_least_squares_on_the_features_gives():
    rng = np.random.default_rng(3)
    probes = LinearProbes(2, num_classes=3)
    features, labels = rng.normal(size=(2, 90, 5)), rng.integers(0, 3, size=(2, 90))
    features[:, :, 0] += labels  # something to read
    for row in range(2):
        for part in np.split(np.arange(60), 3):
            probes.add(row, torch.tensor(features[row, part]), torch.tensor(labels[row, part]), held_out=False)
        probes.add(row, torch.tensor(features[row, 60:]), torch.tensor(labels[row, 60:]), held_out=True)
    for row, found in enumerate(probes.r2().tolist()):
        one_hot = np.eye(3)[labels[row]]
        fitted = LinearRegression().fit(features[row, :60], one_hot[:60])
        error = np.square(fitted.predict(features[row, 60:]) - one_hot[60:]).sum()
        variance = np.square(one_hot[60:] - one_hot[60:].mean(0)).sum()
        assert found == pytest.approx(1 - error / variance, abs=2e-4)  # the ridge penalty


def test_shares_of_variance_between_classes_are_those_of_an_f_test():
    rng = np.random.default_rng(4)
    features, labels = rng.normal(size=(90, 6)), rng.integers(0, 3, size=90)
    features[:, 0] += labels
    features[:, 5] = 7.0  # constant: nothing to explain
    probes = LinearProbes(1, num_classes=3)
    for part, held_out in ((slice(0, 60), False), (slice(60, 90), True)):
        probes.add(0, torch.tensor(features[part]), torch.tensor(labels[part]), held_out)
    f, _ = f_classif(features[:, :5], labels)
    expected = np.append(f * 2 / (f * 2 + 87), 0.0).mean()  # F = (between / 2) / (within / 87)
    assert probes.eta2().item() == pytest.approx(expected, abs=1e-9)


def test_class_separation_is_the_geometric_mean_over_the_later_stages():
    rng, probes = np.random.default_rng(5), StageProbes(1, 3, torch.device("cpu"))
    labels = rng.integers(0, 3, size=120)
    stages = [
        torch.tensor(rng.normal(size=(120, 4)) + 0.5 * k * np.eye(3)[labels] @ rng.normal(size=(3, 4)))
        for k in range(3)
    ]
    for part, held_out in ((slice(0, 80), False), (slice(80, 120), True)):
        probes.add(Seen(0, [stage[part] for stage in stages], None, torch.tensor(labels[part]), held_out))
    factors = [f().item() for stage in probes.stages[1:] for f in (stage.r2, stage.eta2)]
    assert len(factors) == 4
    assert probes.class_separation().item() == pytest.approx(np.prod(factors) ** 0.25)
    assert probes.linear_probe().item() == probes.stages[2].r2().item()


@pytest.mark.parametrize("space", ["nasbench101", "nasbench201", "darts_nds"])
def test_every_space_shows_the_activations_of_its_stages(space):
    edits = {"mapping.channels": 8, "mapping.layers": 3 if space == "darts_nds" else 2}
    plan = Plan().edited(edits | ({"mapping.op_placement": "node"} if space == "nasbench101" else {}))
    network = build_network(space, plan, num_classes=4, in_channels=1).eval()
    arch, stages = get_space(space).sample(np.random.default_rng(1)), []
    x = images(5, 0)[0]
    features = network.features(x, arch, stages)
    assert torch.equal(features, network.features(x, arch))
    assert len(stages) == 2
    assert all((stage >= 0).all() and stage.shape[0] == 5 for stage in stages)
    assert stages[0].shape[1] < stages[1].shape[1]


@pytest.mark.parametrize("value", [0.0, 2.5])
def test_constant_features_read_nothing(value):
    probes, labels = LinearProbes(1, num_classes=2), torch.tensor([0, 1] * 20)
    for held_out in (False, True):
        probes.add(0, torch.full((40, 3), value), labels, held_out)
    assert probes.r2().item() == pytest.approx(0.0, abs=1e-6)
    assert probes.eta2().item() == 0.0


def test_rows_that_were_never_added_and_labels_of_one_class_have_nothing_to_explain():
    probes, features = LinearProbes(3, num_classes=2), torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1] * 10)
    probes.add(0, features, labels, held_out=False)
    probes.add(0, features, labels, held_out=True)
    probes.add(2, features, labels, held_out=False)
    probes.add(2, features, torch.zeros(20, dtype=torch.int64), held_out=True)
    found = probes.r2().tolist()
    assert 0 < found[0] < 1
    assert found[1:] == [0.0, 0.0]
    probes.add(1, torch.ones(1, 3), torch.tensor([0]), held_out=False)
    assert probes.eta2()[1] == 0  # one image has no variance


def test_one_image_to_fit_on_is_read_by_the_constant_which_has_no_penalty():
    probes = LinearProbes(1, num_classes=2)
    probes.add(0, torch.zeros(1, 3), torch.tensor([0]), held_out=False)
    probes.add(0, torch.zeros(4, 3), torch.tensor([0, 0, 1, 1]), held_out=True)
    # Everything is taken for class 0: an error of 2 for either other image, and a variance of 4 - (4 + 4) / 4.
    assert probes.r2().item() == pytest.approx(1 - 4 / 2)


@pytest.mark.parametrize("statistics", ["batch", "recalibrate"])
def test_the_probe_is_one_more_score_and_changes_no_other(statistics):
    torch.manual_seed(0)
    network = build_network("nasbench201", PLAN, num_classes=4, in_channels=1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    archs, batches, probe = drawn(8), [images(30, 1), images(30, 2)], [images(50, 3)]
    calibration = [images(20, 4)[0]] if statistics == "recalibrate" else []
    how = {"statistics": statistics, "calibration": calibration}
    plain = score(network, archs, batches, **how)
    probed = score(network, archs, batches, probe=probe, **how)
    assert list(plain) == ["accuracy", "negative_cross_entropy"]
    assert list(probed) == ["accuracy", "negative_cross_entropy", *PROBED]
    for name in ("accuracy", "negative_cross_entropy"):
        np.testing.assert_array_equal(plain[name], probed[name])
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    one_by_one = [score(network, [a], batches, probe=probe, **how)["linear_probe"][0] for a in archs]
    np.testing.assert_allclose(probed["linear_probe"], one_by_one, rtol=0, atol=1e-9)


def test_a_score_that_is_not_computed_is_refused():
    with pytest.raises(ValueError, match="score=f1 is unknown: choose one of accuracy, negative_cross_entropy, linear"):
        check_score("f1", 0)
    with pytest.raises(ValueError, match="needs training images to fit probes on; set probe_images"):
        check_score("linear_probe", 0)
    with pytest.raises(ValueError, match="score=class_separation needs training images"):
        check_score("class_separation", 0)
    with pytest.raises(ValueError, match="probe_images=-1 is negative"):
        check_score("accuracy", -1)
