"""Learning curves: published energies and taus, a surrogate that is opened as a table."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from nas_lightning.analysis import __main__ as command
from nas_lightning.analysis import curves as cv
from nas_lightning.analysis.curves_command import read_curves
from nas_lightning.benchmarks import Benchmark, write_table
from nas_lightning.benchmarks.column import Column
from nas_lightning.predictors import extrapolation
from nas_lightning.spaces import get_space
from tests.analysis.conftest import ROOT

pytestmark = pytest.mark.slow


def made(n=60, epochs=20):
    rng = np.random.default_rng(0)
    features = rng.random((n, 4))
    x = np.arange(1, epochs + 1)
    return features, 0.5 + 0.4 * features[:, :1] - 0.3 * (1 + features[:, 1:2]) / x


def test_surrogate_learns_made_curves():
    features, curves = made()
    model = cv.CurveSurrogate(rank=2).fit(features, curves)
    assert np.abs(model.predict(features) - curves).mean() < 0.01
    assert cv.energy(curves, 3)[1] == pytest.approx(1.0, abs=1e-12)  # two functions of x span all curves
    noisy = curves + 0.01 * np.random.default_rng(1).standard_normal(curves.shape)
    model = cv.CurveSurrogate(rank=2).fit(features, noisy)
    drawn = model.sample(features, np.random.default_rng(2)) - model.predict(features)
    assert 0.003 < drawn.std() < 0.01  # halved
    with pytest.raises(ValueError, match="finite curve"):
        model.fit(features, np.where(curves > 0.8, np.nan, curves))


def test_extrapolation():
    _, curves = made()
    assert extrapolation.parametric_extrapolation(curves[0], 20) == curves[0, -1]
    found = [extrapolation.parametric_extrapolation(curve[:8], 20) for curve in curves]
    assert np.abs(np.array(found) - curves[:, -1]).mean() < 0.3 * np.abs(curves[:, 7] - curves[:, -1]).mean()
    svr = extrapolation.svr_extrapolation(curves, 8, settings=8)
    assert kendalltau(svr, curves[:, -1])[0] > 0.9


def test_nlp_curves():
    path = ROOT / "benchmarks" / "nasbench_nlp_wikitext2.parquet"
    if not path.exists():
        pytest.skip(f"{path.name} is not in {path.parent}; set NAS_LIGHTNING_SHARED to the data folder")
    curves = read_curves(path, "val_losses")
    assert len(curves) == 341
    assert cv.energy(curves, 4) == pytest.approx([0.997583, 0.999751, 0.999869, 0.999941], abs=2e-6)
    tau = [kendalltau(curves[:, k - 1], curves[:, -1])[0] for k in (1, 5, 10, 20, 40)]
    assert tau == pytest.approx([0.576, 0.760, 0.825, 0.902, 0.974], abs=1e-3)


def test_darts_curves_and_a_surrogate_table(open_shared, tmp_path):
    table = open_shared("darts_random214_cifar10")
    curves = table.curves(table.architectures()).astype(np.float64)
    tau = [kendalltau(cv.compressed(curves, k)[:, -1], curves[:, -1])[0] for k in (1, 2, 6, 20)]
    assert tau == pytest.approx([0.46, 0.61, 0.74, 0.79], abs=6e-3)
    out = tmp_path / "surrogate.arrow"
    words = ["--epochs", "20", "--fit", str(out), "--architectures", "40", "--rank", "2", "--out", str(tmp_path)]
    assert command.main(["curves", "--benchmark", str(table.path), *words]) == 0
    surrogate = Benchmark.open(out)
    assert len(surrogate) == 40
    assert surrogate.epochs() == tuple(range(1, 601))
    assert (surrogate.metric_values(epochs=600) > surrogate.metric_values(epochs=5)).all()
    assert (tmp_path / "curves.svg").exists()


def test_trainings_that_ended_early_are_left_out_of_a_table(tmp_path, capsys):
    space, (_, curves) = get_space("nasbench201"), made(40, 8)
    archs = [space.from_index(i) for i in range(40)]
    curves[7, 5:] = np.nan
    column = Column(np.clip(curves, 0, 1).astype(np.float32), "test_accuracy", "made", kind="curve", seeds="0")
    table = tmp_path / "made.arrow"
    write_table(table, space="nasbench201", dataset="made", architectures=archs, columns=[column], metadata={})
    out = tmp_path / "surrogate.arrow"
    words = ["--epochs", "4", "--fit", str(out), "--architectures", "10", "--rank", "2", "--out", str(tmp_path / "out")]
    assert command.main(["curves", "--benchmark", str(table), *words]) == 0
    assert "39 curves of 8 epochs" in capsys.readouterr().out
    assert np.isfinite(Benchmark.open(out).metric_values(epochs=8)).all()


def test_a_table_of_few_whole_curves_is_refused(tmp_path, capsys):
    space, (_, curves) = get_space("nasbench201"), made(12, 8)
    curves[:3, 5:] = np.nan
    column = Column(np.clip(curves, 0, 1).astype(np.float32), "test_accuracy", "made", kind="curve", seeds="0")
    table = tmp_path / "made.arrow"
    archs = [space.from_index(i) for i in range(12)]
    write_table(table, space="nasbench201", dataset="made", architectures=archs, columns=[column], metadata={})
    assert command.main(["curves", "--benchmark", str(table), "--out", str(tmp_path / "out")]) == 2
    assert "holds 9 whole curves; ten or more are needed" in capsys.readouterr().err
