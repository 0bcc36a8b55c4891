"""The objectives that need PyTorch, on a few hundred digits."""

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from nas_lightning.config.schema import (
    DataSchema,
    MappingSchema,
    PlanSchema,
    ProtocolSchema,
    SpaceSchema,
    TrainerSchema,
)
from nas_lightning.config.search_schema import SearchConfig, SupernetObjectiveSchema, TrainingObjectiveSchema
from nas_lightning.objectives.candidate import StandaloneTrainer, task_of
from nas_lightning.objectives.supernet import supernet_objective
from nas_lightning.objectives.training import training_objective
from nas_lightning.objectives.weak_labels import supernet_weak_labels
from nas_lightning.plan import Plan
from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search
from nas_lightning.search.runner import SearchPlan, run_search
from nas_lightning.search.trial import SearchError, Trial
from nas_lightning.spaces import get_space
from nas_lightning.training.checkpoint_file import CHECKPOINT_KEY, FORMAT
from nas_lightning.training.module import StandaloneModule, SuperNetModule
from nas_lightning.training.trainer import quiet_lightning

PLAN = {
    "mapping": {"channels": 4, "layers": 1},
    "protocol": {"epochs": 3, "batch_size": 40, "train_portion": 0.5, "learning_rate": 0.1},
}
CONFIG = SearchConfig(
    space=SpaceSchema("nasbench201"),
    data=DataSchema("digits", root="data", max_train_images=240),
    plan=PlanSchema(MappingSchema(**PLAN["mapping"]), ProtocolSchema(**PLAN["protocol"])),
    trainer=TrainerSchema(accelerator="cpu"),
)
SUPERNET = SupernetObjectiveSchema(batch_size=30)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def training(folder, **settings):
    wanted = TrainingObjectiveSchema(**{"min_epochs": 1, "batch_size": 40} | settings)
    objective = training_objective(CONFIG, wanted, "epochs")
    objective.open_folder(folder)
    return objective


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A super-net trained for one epoch, in a run folder that says with which images."""
    folder = tmp_path_factory.mktemp("supernet")
    plan = Plan.from_dict(PLAN)
    data = task_of(CONFIG.data, plan, 0)
    data.setup()
    module = SuperNetModule("nasbench201", plan, 10, 1, 0)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder,
    )  # fmt: skip
    with quiet_lightning():
        trainer.fit(module, datamodule=data)
    (folder / "checkpoints").mkdir()
    trainer.save_checkpoint(folder / "checkpoints" / "final.ckpt")
    (folder / "config.yaml").write_text("data: {name: digits, split_seed: 0, max_train_images: 240}\n")
    return folder / "checkpoints" / "final.ckpt"


def supernet(checkpoint, benchmark=None, config=None, **settings):
    config = replace(CONFIG, checkpoint=str(checkpoint), **(config or {}))
    return supernet_objective(config, replace(SUPERNET, **settings), "evaluations", benchmark)


def test_a_run_folder_is_its_final_checkpoint(checkpoint, tmp_path):
    by_folder, by_file = supernet(checkpoint.parent.parent), supernet(checkpoint)
    assert by_folder.identity() == by_file.identity()
    with pytest.raises(ValueError, match=r"final\.ckpt"):
        supernet(tmp_path)


def some_architectures(n):
    rng, space = np.random.default_rng(0), get_space("nasbench201")
    return [space.sample(rng) for _ in range(n)]


def test_training_in_steps_equals_training_at_once(tmp_path):
    arch = some_architectures(1)[0]
    in_steps = training(tmp_path / "steps")
    values = [in_steps.evaluate([Trial(arch, fidelity, paid)])[0] for fidelity, paid in ((1, 0), (2, 1), (3, 2))]
    at_once = training(tmp_path / "once").evaluate([Trial(arch, 3)])[0]
    assert values[-1].value == at_once.value
    assert [measurement.cost for measurement in values] == [1, 1, 1]
    assert at_once.cost == 3
    files = [next((tmp_path / name).rglob("epoch=3.ckpt")) for name in ("steps", "once")]
    weights = [torch.load(file, weights_only=True) for file in files]
    for name, value in weights[0]["state_dict"].items():
        assert torch.equal(value, weights[1]["state_dict"][name])


def test_a_training_that_is_there_is_not_repeated(tmp_path, monkeypatch):
    arch = some_architectures(1)[0]
    first = training(tmp_path).evaluate([Trial(arch, 2)])
    monkeypatch.setattr(StandaloneTrainer, "_fit", None)
    assert training(tmp_path).evaluate([Trial(arch, 2)]) == first


def test_a_damaged_training_is_set_aside_and_the_one_before_it_goes_on(tmp_path, capsys):
    arch = some_architectures(1)[0]
    for fidelity, paid in ((1, 0), (2, 1)):
        expected = training(tmp_path).evaluate([Trial(arch, fidelity, paid)])
    (damaged,) = tmp_path.rglob("epoch=2.ckpt")
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-9])
    assert training(tmp_path).evaluate([Trial(arch, 2, 1)]) == expected
    assert f"checkpoint {damaged} is damaged and not used" in capsys.readouterr().err
    assert damaged.with_name("epoch=2.ckpt.damaged").exists()
    before, after = (torch.load(io.BytesIO(file), weights_only=True) for file in (content, damaged.read_bytes()))
    assert all(torch.equal(before["state_dict"][name], value) for name, value in after["state_dict"].items())


def test_a_search_by_real_training_ends_with_the_top_k_trained(tmp_path):
    objective = training_objective(CONFIG, TrainingObjectiveSchema(min_epochs=1, batch_size=40), "epochs")
    plan = SearchPlan("successive_halving", Budget("epochs", 5), top_k=1)
    result, folder, _ = run_search(plan, objective, tmp_path, progress=False)
    assert result["fidelities"] == {"unit": "epochs", "levels": [1, 3]}
    assert result["metrics"]["evaluations"] == 4  # three at one epoch, the best of them resumed to three
    assert result["cost"]["spent"] == 5
    assert 0 <= result["metrics"]["final_search_performance"]["mean"] <= 1
    assert result["metrics"]["truth"].startswith("stand-alone training, 3 epochs")
    assert not (folder / "standalone").exists()


def test_curve_extrapolation_stops_real_training_early(tmp_path):
    """Whole trainings first; then every curve is asked for in three points, and what promises little ends there."""
    config = replace(CONFIG, plan=replace(CONFIG.plan, protocol=replace(CONFIG.plan.protocol, epochs=5)))
    objective = training_objective(config, TrainingObjectiveSchema(min_epochs=1, batch_size=40), "epochs")
    objective.open_folder(tmp_path)
    settings = {"inner": "random_search", "stop": 0.6, "points": 3, "startup": 6, "keep": 0.2}
    algorithm = make_algorithm("curve_extrapolation", objective.space, objective.fidelities, 0, settings)
    records = Search(algorithm, objective, Budget("epochs", 48)).run()
    curves = {}
    for record in records:
        curves.setdefault(record.trial.tag[0], []).append(record)
    reached = [[record.trial.fidelity for record in asked] for asked in curves.values()]
    assert reached[:6] == [[1, 2, 3, 5]] * 6
    stopped = [number for number, levels in zip(curves, reached, strict=True) if levels == [1, 2, 3]]
    assert len(stopped) > 2
    for number, asked in curves.items():
        arch, last = asked[0].trial.architecture, asked[-1].trial.fidelity
        assert sum(record.measurement.cost for record in asked) == last  # what was trained is not paid again
        folder = tmp_path / "anew" / str(number)
        anew = training_objective(config, TrainingObjectiveSchema(min_epochs=1, batch_size=40), "epochs")
        if number in (0, stopped[0]):  # a curve of steps is that of one training
            anew.open_folder(folder)
            assert anew.evaluate([Trial(arch, last)])[0].value == asked[-1].measurement.value
    trained = sorted(path.stem for path in (tmp_path / "standalone").rglob("epoch=*.ckpt"))
    assert trained.count("epoch=5") == sum(levels[-1] == 5 for levels in reached)


def test_training_refuses_what_it_cannot_do(tmp_path):
    with pytest.raises(SearchError, match="min_epochs=4 is out of range"):
        training(tmp_path, min_epochs=4)
    with pytest.raises(SearchError, match="final_seeds=0"):
        training(tmp_path, final_seeds=0)


def test_supernet_scores_are_those_of_the_shared_weights(checkpoint):
    from nas_lightning.scoring.score import score
    from nas_lightning.training.module import load_network

    objective, archs = supernet(checkpoint), some_architectures(3)
    assert objective.fidelities.levels == (60, 90, 120)
    trials = [Trial(archs[0], 120), Trial(archs[1], 60), Trial(archs[2], 120)]
    got = objective.evaluate(trials)
    network, _ = load_network(checkpoint)
    data = task_of(CONFIG.data, Plan.from_dict(PLAN), 0)
    batches = data.evaluation_batches(30, None, "cpu")
    expected = [score(network, [t.architecture], batches[: t.fidelity // 30])["accuracy"][0] for t in trials]
    assert [measurement.value for measurement in got] == expected
    assert [measurement.cost for measurement in got] == [1, 0.5, 1]
    by_loss = supernet(checkpoint, score="negative_cross_entropy").evaluate(trials[:1])[0].value
    assert by_loss < 0


def test_cost_measures_are_those_of_the_stand_alone_network(checkpoint):
    arch = some_architectures(1)[0]
    config = replace(CONFIG, checkpoint=str(checkpoint))
    objective = supernet_objective(config, SUPERNET, "evaluations", None, ("macs", "params"))
    alone = StandaloneModule("nasbench201", Plan.from_dict(PLAN), 10, 1, 0, arch)
    measures = objective.evaluate([Trial(arch, 60)])[0].measures
    assert list(measures) == ["macs", "params"]
    assert measures["params"] == sum(p.numel() for p in alone.network.parameters())
    with pytest.raises(SearchError, match="cannot measure latency_ms: choose from params, macs"):
        supernet_objective(config, SUPERNET, "evaluations", None, ("latency_ms",))


def test_random_search_with_weight_sharing_over_a_supernet(checkpoint):
    objective = supernet(checkpoint)
    algorithm = make_algorithm(
        "random_search_ws", objective.space, objective.fidelities, 0, {"set_size": 6, "keep": 2, "sets": 1}
    )
    records = Search(algorithm, objective, Budget("evaluations", 50)).run()
    assert [r.trial.fidelity for r in records] == [60] * 6 + [120] * 2
    screened = sorted(records[:6], key=lambda r: (-r.measurement.value, r.number))
    assert [r.trial.architecture for r in records[6:]] == [r.trial.architecture for r in screened[:2]]


def test_a_table_restricts_the_search_and_knows_the_truth(checkpoint):
    archs = list(dict.fromkeys(some_architectures(5)))
    known = {arch: 0.1 * i for i, arch in enumerate(archs)}
    table = SimpleNamespace(
        architectures=lambda: archs,
        accuracies=lambda wanted: np.array([known.get(arch, np.nan) for arch in wanted]),
        sha256="0" * 64,
        name="five",
    )
    objective = supernet(checkpoint, table, architectures="table")
    rng = np.random.default_rng(0)
    assert {objective.space.sample(rng) for _ in range(100)} == set(archs)
    assert objective.truth(archs[:2]).tolist() == [0.0, 0.1]
    assert objective.all_truths().tolist() == list(known.values())
    with pytest.raises(SearchError, match="needs a table"):
        supernet(checkpoint, architectures="table")


def test_checkpoints_that_do_not_fit_are_refused(checkpoint, tmp_path):
    with pytest.raises(SearchError, match="holds a super-net of nasbench201, not of nasbench101: say"):
        supernet(checkpoint, config={"space": SpaceSchema("nasbench101")})
    with pytest.raises(SearchError, match=r"was trained with data.max_train_images=240, not None"):
        supernet(checkpoint, config={"data": replace(CONFIG.data, max_train_images=None)})
    with pytest.raises(SearchError, match="score=f1 is unknown"):
        supernet(checkpoint, score="f1")
    with pytest.raises(SearchError, match=r"objective.probe_images=9999 but \d+ images train"):
        supernet(checkpoint, score="linear_probe", probe_images=9999)
    with pytest.raises(ValueError, match="does not exist"):
        supernet(tmp_path / "none.ckpt")
    (tmp_path / "cut.ckpt").write_bytes(checkpoint.read_bytes()[:5000])
    with pytest.raises(ValueError, match="damaged"):
        supernet(tmp_path / "cut.ckpt")
    arch = some_architectures(1)[0]
    alone = StandaloneModule("nasbench201", Plan.from_dict(PLAN), 10, 1, 0, arch)
    identity = {"format": FORMAT, **alone.identity}
    torch.save({CHECKPOINT_KEY: identity, "state_dict": alone.state_dict()}, tmp_path / "alone.ckpt")
    with pytest.raises(SearchError, match="one stand-alone network"):
        supernet(tmp_path / "alone.ckpt")


def test_a_supernet_counts_evaluations_only(checkpoint):
    config = replace(CONFIG, checkpoint=str(checkpoint))
    with pytest.raises(SearchError, match=r"cannot count seconds here: choose budget.unit from evaluations"):
        supernet_objective(config, SUPERNET, "seconds", None)


def test_a_supernet_labels_weakly_and_goes_on_where_it_was(checkpoint, tmp_path, monkeypatch):
    config = replace(
        CONFIG, checkpoint=str(checkpoint), weak_images=60, objective={"name": "benchmark", "batch_size": 30}
    )
    source = supernet_weak_labels(config)
    archs = some_architectures(6)
    labels = source.labels(get_space("nasbench201"), lambda: archs[:4], tmp_path)
    assert labels.architectures == archs[:4]
    accuracy = supernet(checkpoint, images=60, batch_size=30).evaluate([Trial(arch, 60) for arch in archs[:4]])
    assert labels.scores["accuracy"].tolist() == [measurement.value for measurement in accuracy]
    scored = []
    monkeypatch.setattr(source, "_score", lambda part: scored.extend(part) or type(source)._score(source, part))
    more = source.labels(get_space("nasbench201"), lambda: archs, tmp_path)
    assert scored == archs[4:]
    assert more.scores["accuracy"][:4].tolist() == labels.scores["accuracy"].tolist()
    with pytest.raises(SearchError, match="holds none of the candidates"):
        source.labels(get_space("nasbench201"), list, tmp_path)
    assert supernet_weak_labels(replace(config, weak_images=30)).identity() != source.identity()
