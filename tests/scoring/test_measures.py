"""What is written of sub-nets, computed a second time by plain loops: scores, truths, shares, columns, latencies."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from scipy.stats import rankdata
from torch.nn import functional as F

from nas_lightning.benchmarks import Benchmark, write_table
from nas_lightning.data.images import DataError
from nas_lightning.data.module import ImageClassification
from nas_lightning.errors import UserError
from nas_lightning.nets.build import build_network
from nas_lightning.nets.norm import set_statistics
from nas_lightning.predictors.base import PredictorError
from nas_lightning.ranking.summary import epoch_metrics
from nas_lightning.scoring import files, latency
from nas_lightning.scoring.accuracy import Accuracy
from nas_lightning.scoring.choice import Choice
from nas_lightning.scoring.class_separation import ClassSeparation
from nas_lightning.scoring.evaluation import Evaluation
from nas_lightning.scoring.files import column_of, draw, write_diagnostics, write_ranking
from nas_lightning.scoring.linear_probe import LinearProbe
from nas_lightning.scoring.negative_cross_entropy import NegativeCrossEntropy
from nas_lightning.scoring.outputs import OutputSums, output_scores
from nas_lightning.scoring.score import digest, score
from nas_lightning.scoring.scorer import Conditions, Scorer
from nas_lightning.scoring.standalone import refuse_small_splits, standalone_scores
from nas_lightning.scoring.subjects import Subjects
from nas_lightning.spaces import get_space
from nas_lightning.training.module import StandaloneModule
from tests.helpers.small_plans import small_plan

SPACE = get_space("nasbench201")
PLAN = small_plan("nasbench201", mapping__channels=2)
N = 6
ARCHS = [SPACE.from_index(i) for i in (4000, 77, 9001, 15000, 31, 12345)]
TRUTH = np.array([0.5, 0.3, 0.9, 0.7, 0.2, 0.6])


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The six architectures and four others, of which one is better than all."""
    path = tmp_path_factory.mktemp("table") / "mine.arrow"
    more = [SPACE.from_index(i) for i in (5, 6, 7, 8)]
    truth = np.r_[TRUTH, 0.95, 0.1, 0.15, 0.25]
    seeds = truth[:, None] + np.array([[-0.01, 0.01]])
    columns = {"test_accuracy_seeds": seeds, "validation_accuracy": truth / 2}
    write_table(path, space="nasbench201", dataset="digits", architectures=ARCHS + more, columns=columns)
    return Benchmark.open(path)


@pytest.fixture(scope="module")
def data():
    found = ImageClassification("digits", "data", 32, 0.3, 0)
    found.setup()
    return found


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_network("nasbench201", PLAN, 10, 1)


def scorer(data, table, conditions=None, **choice):
    subjects = Subjects(SPACE, "given", ARCHS, table)
    conditions = conditions or Conditions(50, 100)
    return Scorer(subjects, PLAN, data, conditions, choice=Choice.of(**{"baselines": ("depth",), **choice}))


def by_hand(network, arch, batches):
    """Accuracy and mean −cross-entropy of one sub-net, with the statistics of each batch."""
    set_statistics(network, "batch")
    right = loss = images = 0
    with torch.no_grad():
        for x, labels in batches:
            logits = network.eval()(x, arch).double()
            right += int((logits.argmax(1) == labels).sum())
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
            images += len(labels)
    return right / images, -loss / images


def test_scores_are_those_of_a_plain_loop(data, table, network):
    found = scorer(data, table)
    scores = found(SimpleNamespace(network=network, device=torch.device("cpu")))
    batches = data.evaluation_batches(50, 100, "cpu")
    expected = np.array([by_hand(network, arch, batches) for arch in ARCHS])
    assert scores["accuracy"].tolist() == expected[:, 0].tolist()
    np.testing.assert_allclose(scores["negative_cross_entropy"], expected[:, 1], rtol=1e-5)
    assert found.scored_images == 100
    assert found.count_here() == N
    assert list(scores) == ["accuracy", "negative_cross_entropy"]


def test_each_score_reads_its_own_column_and_its_own_probe():
    meter = OutputSums(2, 10, torch.device("cpu"))
    outputs = torch.tensor([[5.0, 0.0], [0.0, 5.0], [5.0, 0.0]])
    seen = SimpleNamespace(row=1, outputs=outputs, targets=torch.tensor([0, 1, 1]))
    meter.add(seen)
    meter.add(SimpleNamespace(row=0, outputs=None, targets=None))  # a sub-net of which only features are wanted
    assert Accuracy().read(meter, 3).tolist() == [0, pytest.approx(2 / 3)]
    loss = F.cross_entropy(outputs.double(), seen.targets)
    assert NegativeCrossEntropy().read(meter, 3).tolist() == [0, pytest.approx(-float(loss))]
    assert output_scores(ImageClassification) == {"accuracy": 0, "negative_cross_entropy": 1}
    alone = SimpleNamespace(quality=SimpleNamespace(name="negative_loss"), loss_name="loss")
    assert output_scores(alone) == {"negative_loss": 0}  # the loss is the quality
    with pytest.raises(PredictorError, match="outputs give accuracy and negative_cross_entropy"):
        type("Other", (Accuracy,), {"name": "perplexity"})().read(meter, 3)
    stages = SimpleNamespace(linear_probe=lambda: "linear", class_separation=lambda: "separated")
    assert (LinearProbe().read(stages, 9), ClassSeparation().read(stages, 9)) == ("linear", "separated")


def test_a_stand_alone_network_is_worth_what_a_plain_loop_says(data):
    module = StandaloneModule(space="nasbench201", plan=PLAN, num_classes=10, in_channels=1, seed=0, arch=ARCHS[0])
    module.to("cpu")
    found = standalone_scores(module, data, "test", 10**6)
    n = data.size("test")
    assert found.pop("n_images") == n
    accuracy, loss = by_hand(module.network, ARCHS[0], data.evaluation_batches(n, device="cpu", split="test"))
    assert found == {"accuracy": accuracy, "negative_cross_entropy": pytest.approx(loss, rel=1e-5)}
    small = standalone_scores(module, data, "test", 100)
    assert small["n_images"] == n // 100 * 100
    again = StandaloneModule(
        space="nasbench201", plan=PLAN.edited({"protocol.bn_evaluation": "recalibrate"}), num_classes=10, in_channels=1,
        seed=0, arch=ARCHS[0],
    )  # fmt: skip
    assert standalone_scores(again, data, "test", 100) != small  # other statistics


def test_subjects_know_their_truth(table):
    subjects = Subjects(SPACE, "given", ARCHS, table)
    np.testing.assert_allclose(subjects.truth, TRUTH)
    np.testing.assert_allclose(subjects.validation_truth(), TRUTH / 2)
    np.testing.assert_allclose(subjects.seed_truth(), TRUTH[:, None] + [[-0.01, 0.01]])
    assert subjects.names == [str(arch) for arch in ARCHS]
    assert subjects.sha256 == hashlib.sha256("\n".join(subjects.names).encode()).hexdigest()
    alone = Subjects(SPACE, "given", ARCHS, None)
    assert np.isnan(alone.truth).all()
    assert (alone.seed_truth(), alone.validation_truth()) == (None, None)
    only_test = SimpleNamespace(metrics=[("test_accuracy", "digits")], accuracies=lambda archs, metric=None: TRUTH)
    assert Subjects(SPACE, "given", ARCHS, only_test).validation_truth() is None
    assert Subjects.of("nasbench201", PLAN.mapping, "random5_seed3", table).architectures != []


def test_a_set_of_which_the_super_net_holds_nothing_is_refused(monkeypatch):
    space = SimpleNamespace(admits=lambda arch, mapping: arch is ARCHS[1])
    monkeypatch.setattr("nas_lightning.scoring.subjects.get_space", lambda name: space)
    for chosen in (ARCHS, ARCHS[2:]):
        monkeypatch.setattr("nas_lightning.scoring.subjects.architecture_set", lambda *_, chosen=chosen: chosen)
        if chosen is ARCHS:
            assert Subjects.of("nasbench201", PLAN.mapping, "all", None).architectures == [ARCHS[1]]
        else:
            with pytest.raises(UserError, match="leaves no architecture"):
                Subjects.of("nasbench201", PLAN.mapping, "all", None)


def test_probe_images_are_the_first_that_train_after_those_passed_over(data, table):
    found = scorer(data, table, Conditions(50, 100, probe_images=100, skip=50), probe_images=100)
    whole = data.evaluation_batches(50, 150, "cpu", 0, split="train")
    for (x, labels), (images, classes) in zip(found.probe_batches("cpu"), whole[1:], strict=True):
        assert torch.equal(x, images)
        assert torch.equal(labels, classes)
    there = data.size("train")
    fits = Conditions(50, 100, probe_images=there - 50, skip=50)
    assert scorer(data, table, fits, probe_images=100).probe_batches("cpu")
    for conditions, says in (
        (Conditions(50, 100, probe_images=there - 49, skip=50), f"after 50 skipped ones but {there} images train"),
        (Conditions(50, 100, probe_images=49), "does not fill one evaluation batch of 50"),
    ):
        with pytest.raises(UserError, match=says):
            scorer(data, table, conditions, probe_images=100).probe_batches("cpu")
    assert scorer(data, table).probe_batches("cpu") == []
    assert scorer(data, table, Conditions(50, 100, probe_images=50), probe_images=50).probe_batches("cpu")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"batch_size": 1}, "batch_size=1 is out of range"),
        ({"n_images": 0}, "images=0 is out of range"),
        ({"skip": -1}, "skip=-1 is negative"),
        ({"probe_images": -1}, "probe_images=-1 is negative"),
        ({"statistics": "layer"}, "choose one of batch, tracked, recalibrate"),
    ],
)
def test_conditions_out_of_range_are_refused(wrong, says):
    Conditions(2, 1, "batch", skip=0, probe_images=0)
    with pytest.raises(UserError, match=says):
        Conditions(**wrong)


def test_what_scores_depend_on_is_in_their_key(data, table, network):
    found = scorer(data, table)
    batches = found.batches("cpu")
    key = found.key(network, batches, [], None)
    assert key["images"] == digest([x for pair in batches for x in pair])
    assert key["weights"] == digest(network.state_dict().values())
    assert key["batch size"] == 50
    assert set(key) == {"weights", "plan", "architectures", "images", "batch size", "batch norm", "precision"}
    probed = found.key(network, batches, [batches[0][0]], batches)
    assert probed["images"] != key["images"]
    assert probed["probe images"] == key["images"]


def evaluation(data, table, **choice):
    return Evaluation(scorer(data, table, **choice), top_k=2, threshold=0.01)


SCORES = {"negative_cross_entropy": np.arange(6.0), "accuracy": np.array([0.1, 0.2, 0.6, 0.4, 0.5, 0.3])}


def test_the_headline_comes_first_and_is_fused_with_what_is_named(data, table):
    found = evaluation(data, table, fuse=("negative_cross_entropy",))
    fused = "fusion(supernet accuracy + supernet negative_cross_entropy)"
    predictions = found.predictions(SCORES)
    assert list(predictions) == ["accuracy", "negative_cross_entropy", fused]
    ranks = np.array([1, 2, 6, 4, 5, 3]) + np.arange(1, 7)
    assert np.corrcoef(predictions[fused], ranks)[0, 1] == pytest.approx(1)
    assert column_of(found, fused) == "fusion"
    assert column_of(found, "accuracy") == "supernet_accuracy"
    assert column_of(found, "depth") == "depth"
    assert list(evaluation(data, table).predictions(SCORES)) == ["accuracy", "negative_cross_entropy"]


def test_two_super_nets_are_fused_and_what_they_share_counts_once(data, table):
    found = evaluation(data, table, fuse=("depth",))
    other = {"accuracy": SCORES["accuracy"][::-1].copy()}
    ((name, values),) = found.fused({"seed0": SCORES, "seed1": other}, ["depth"]).items()
    assert name == "fusion(seed0 + seed1 + depth)"
    assert [b.name for b in found.baselines] == ["depth"]
    assert found.baselines[0].draws[0].tolist() == [SPACE.depth(arch) for arch in ARCHS]
    expected = sum(map(rankdata, (SCORES["accuracy"], other["accuracy"], found.baselines[0].draws[0])))
    assert np.corrcoef(values, expected)[0, 1] == pytest.approx(1)
    assert found.scorer.context().image_size == 8
    assert found.fused({"seed0": SCORES}, []) == {}


def test_the_flat_numbers_and_the_record_are_of_these_scores(data, table):
    found = evaluation(data, table)
    assert found.epoch_metrics(SCORES) == epoch_metrics(
        found.ordered(SCORES), TRUTH, found.subjects.names, top_k=2, threshold=0.01, quality="accuracy"
    )
    alone = evaluation(data, None, baselines=())
    assert alone.epoch_metrics(SCORES) == {"supernet_accuracy": pytest.approx(0.35)}
    bare = {"metrics": {"accuracy": {"supernet_accuracy": 0.35}}, "baselines": {}, "ceiling": {}}
    assert alone.summary(SCORES, 0.35) == bare
    record = found.summary(found.predictions(SCORES), 0.35)
    assert record["metrics"]["accuracy"]["kendall_tau"] == pytest.approx(1 / 3)  # 10 pairs in order, 5 not
    assert record["metrics"]["accuracy"]["supernet_accuracy"] == pytest.approx(0.35)
    assert list(record["baselines"]) == ["depth"]
    assert record["ceiling"]["noise"]["tau"] > 0.9
    conditions = found.record()
    assert (conditions["n_architectures"], conditions["batch_size"], conditions["score"]) == (N, 50, "accuracy")
    assert not {"skip", "probe_images", "settings"} & set(conditions)


@pytest.mark.parametrize(
    ("wrong", "says"), [({"top_k": 0}, "top_k=0"), ({"threshold": 0.0}, "threshold=0"), ({"threshold": 1.1}, "=1.1")]
)
def test_an_evaluation_out_of_range_is_refused(data, table, wrong, says):
    with pytest.raises(UserError, match=says):
        Evaluation(scorer(data, table), **wrong)
    assert Evaluation(scorer(data, table), top_k=1, threshold=1.0).k == 1
    assert Evaluation(scorer(data, table)).k == SPACE.top_k


def test_the_columns_of_a_ranking_and_of_its_diagnostics(data, table, network, tmp_path):
    found = evaluation(data, table, baselines=("parameters", "depth"))
    write_ranking(tmp_path / "ranking.parquet", found, {"supernet_accuracy": SCORES["accuracy"]}, SCORES["accuracy"])
    rows = pq.read_table(tmp_path / "ranking.parquet").to_pydict()
    params, macs = SPACE.costs(ARCHS, channels=2, layers=1, image_size=8, in_channels=1, num_classes=10)
    assert (rows["params"], rows["macs"]) == (params.tolist(), macs.tolist())
    np.testing.assert_allclose(rows["optimization_gap"], TRUTH - SCORES["accuracy"])
    np.testing.assert_allclose(rows["standalone_seed_accuracies"], TRUTH[:, None] + [[-0.01, 0.01]])
    assert rows["depth"] == [SPACE.depth(arch) for arch in ARCHS]
    assert rows["key"] == [SPACE.key(arch) for arch in ARCHS]
    assert "parameters" not in rows  # the column params says it
    bare = evaluation(data, None, baselines=())
    write_ranking(tmp_path / "bare.parquet", bare, {}, SCORES["accuracy"])
    assert pq.read_table(tmp_path / "bare.parquet").to_pydict()["standalone_seed_accuracies"] == [None] * N
    write_diagnostics(tmp_path / "d.parquet", found, SCORES, network)
    told = pq.read_table(tmp_path / "d.parquet").to_pydict()
    np.testing.assert_allclose(told["optimization_gap"], TRUTH - SCORES["accuracy"])
    assert told["params"] == params.tolist()
    assert min(told["latency_ms"]) > 0


def test_a_latency_is_the_median_of_the_counted_passes_in_milliseconds(network, monkeypatch):
    passes = iter([100.0, 90.0, 7, 1, 2, 6, 5, 3, 4] * 2)
    shapes = []
    monkeypatch.setattr(latency, "_one_pass", lambda net, images: shapes.append(tuple(images.shape)) or next(passes))
    assert latency.measured_latency(network, ARCHS[:2], 8, batch_size=3).tolist() == [4.0, 4.0]
    assert set(shapes) == {(3, 1, 8, 8)}
    assert len(shapes) == 18
    passes = iter(range(9))
    assert latency.measured_latency(network, ARCHS[:1], 8).tolist() == [5.0]
    assert shapes[-1] == (1, 1, 8, 8)  # one image, unless it is said
    monkeypatch.undo()
    clock = iter([1.0, 1.25])
    monkeypatch.setattr(latency.time, "perf_counter", lambda: next(clock))
    ran = []
    assert latency._one_pass(ran.append, torch.zeros(1)) == 250.0
    assert len(ran) == 1


def test_a_pass_on_a_gpu_ends_when_the_gpu_has_done_it(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(latency.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(latency.torch.cuda, "synchronize", lambda device: now.__setitem__(0, 0.5 * device))
    assert latency._one_pass(lambda images: None, SimpleNamespace(is_cuda=True, device=3)) == 1500.0


def test_architectures_are_given_as_values_or_texts_and_scored_on_batches_of_a_hundred(data, table):
    from nas_lightning.scoring.architectures import score_architectures
    from nas_lightning.training.module import SuperNetModule

    fresh = ImageClassification("digits", "data", 32, 0.3, 0)  # not set up yet
    module = SuperNetModule("nasbench201", PLAN, 10, 1, 0)
    module.network.train()
    scores = score_architectures(module, fresh, [ARCHS[0], str(ARCHS[1])], images=200, table=table)
    assert module.network.training
    batches = data.evaluation_batches(100, 200, "cpu")
    expected = [by_hand(module.network, arch, batches)[0] for arch in ARCHS[:2]]
    assert scores["accuracy"].tolist() == expected
    module.network.eval()
    score_architectures(module, fresh, ARCHS[:1], images=100)
    assert not module.network.training
    with pytest.raises(UserError, match="no architectures to score"):
        score_architectures(module, fresh, [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(SPACE), "admits", lambda self, arch, mapping: arch != ARCHS[1])
        with pytest.raises(UserError, match=r"does not hold .*leave it out"):
            score_architectures(module, fresh, ARCHS[:2], images=100)


def test_a_choice_tells_the_shared_pass_from_slow_and_from_free_scores():
    chosen = Choice.of(predictors=("depth", "naswot"), baselines=())
    assert [p.name for p in chosen.measured] == ["accuracy", "negative_cross_entropy"]
    assert [p.name for p in chosen.slow] == ["naswot"]
    assert [p.name for p in chosen.quick] == ["depth"]
    assert (chosen.shared("accuracy"), chosen.shared("depth")) == (True, False)
    assert [p.name for p in Choice.of("depth", baselines=()).quick] == ["depth"]
    with pytest.raises(UserError, match=r"evaluation\.score=deptth is unknown.*did you mean depth"):
        Choice.of("deptth")
    with pytest.raises(UserError, match=r"evaluation\.probe_images=-1 is negative"):
        Choice.of(probe_images=-1)
    with pytest.raises(PredictorError, match="there is no module nowhere"):
        Choice.of("nowhere.Depth")


def test_a_task_of_ones_own_is_set_up_before_it_is_asked_for_batches():
    from nas_lightning.scoring.architectures import score_architectures
    from nas_lightning.training.module import SuperNetModule

    class Late(ImageClassification):
        def evaluation_batches(self, *given, **named):
            assert self.train_set is not None, "setup() first"
            return super().evaluation_batches(*given, **named)

    module = SuperNetModule("nasbench201", PLAN, 10, 1, 0)
    scores = score_architectures(module, Late("digits", "data", 32, 0.3, 0), ARCHS[:1], images=100)
    assert len(scores["accuracy"]) == 1


def test_a_split_that_fills_no_batch_is_refused_before_anything_trains(data):
    refuse_small_splits(data, ("validation", "test"), 10**6)
    with pytest.raises(DataError, match=r"train_portion=1\.0 leaves no image for validation"):
        refuse_small_splits(ImageClassification("digits", "data", 32, 1.0, 0), ("test", "validation"), 100)


def test_recalibration_needs_images_to_calibrate_on(data, network):
    with pytest.raises(ValueError, match="recalibration needs calibration batches"):
        score(network, ARCHS[:1], data.evaluation_batches(50, 50, "cpu"), statistics="recalibrate")


def test_scoring_leaves_the_state_that_a_network_carries(data, network):
    network.state = kept = torch.ones(2)
    try:
        score(network, ARCHS[:1], data.evaluation_batches(50, 50, "cpu"))
        assert network.state is kept
    finally:
        network.state = None


def test_every_architecture_starts_anew_and_goes_on_from_its_own_last_batch(data, network, monkeypatch):
    starts, features = [], network.features

    def watched(images, arch, stages=None):
        starts.append((arch, None if network.state is None else network.state.item()))
        network.end_state = torch.tensor(float(len(starts)))
        return features(images, arch, stages)

    monkeypatch.setattr(network, "features", watched)
    try:
        score(network, ARCHS[:2], data.evaluation_batches(25, 50, "cpu"))
    finally:
        network.end_state = None
    for arch in ARCHS[:2]:
        own = [place + 1.0 for place, (seen, _) in enumerate(starts) if seen == arch]
        assert [state for seen, state in starts if seen == arch] == [None, *own[:-1]]


def test_an_interrupted_scoring_says_what_it_has_already(data, table, network, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("nas_lightning.scoring.partial.SAVE_EVERY_S", 0)
    module, found = SimpleNamespace(network=network, device=torch.device("cpu")), scorer(data, table)
    found.folder = tmp_path
    first = found(module)
    assert caplog.messages == []
    assert found(module)["accuracy"].tolist() == first["accuracy"].tolist()
    assert caplog.messages == ["6 of 6 architectures are scored already (evaluation.partial.rank0.npz)."]


def test_the_picture_has_what_is_minus_infinity_at_the_lowest_score(data, table, monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(files, "write_scatter", lambda path, shown, *given, **named: drawn.append((shown, named)))
    found = evaluation(data, table)
    draw(tmp_path / "a.svg", found, "naswot_shared", np.array([3.0, -np.inf, 2.0, 5.0, np.nan, -np.inf]))
    draw(tmp_path / "b.svg", found, "accuracy", np.full(6, -np.inf))
    np.testing.assert_array_equal(drawn[0][0], [3, 2, 2, 5, np.nan, 2])
    assert drawn[0][1]["label"] == "naswot shared"
    assert drawn[1][0].tolist() == [0.0] * 6
