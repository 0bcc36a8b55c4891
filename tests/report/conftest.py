import pytest

from nas_lightning.report.__main__ import main
from tests.helpers.browser import chromium
from tests.helpers.run_folders import write_broken, write_evaluation, write_run, write_search, write_study
from tests.helpers.shared import once


def write_sweep(root):
    """Two spaces, five seeds, one combination, one large set, searches, one mode=evaluate run, and four broken runs."""
    write_study(root / "study")
    for seed in (1, 2):
        write_run(root / "combined", seed=seed, changes={"sampling": "fairnas", "learning_rate": "0.1"}, noise=0.08)
    write_run(root / "large", space="darts_nds", n=2500)
    for algorithm in ("random_search", "regularized_evolution"):
        for seed in (1, 2, 3):
            write_search(root / "search", algorithm, seed)
    write_evaluation(root / "evaluated")
    write_broken(root / "broken")


@pytest.fixture(scope="session")
def sweep(tmp_path_factory):
    return once(tmp_path_factory, "sweep", write_sweep)


@pytest.fixture(scope="session")
def report(sweep, tmp_path_factory):
    def build(folder):
        assert main([str(sweep), "--out", str(folder), "--replicates", "300"]) == 0

    return once(tmp_path_factory, "report", build)


@pytest.fixture
def browser():
    """One of its own, for a test that changes the window."""
    with chromium() as browser:
        yield browser
        assert browser.errors == []


@pytest.fixture(scope="session")
def page(report):
    with chromium() as browser:
        browser.open(report / "index.html")
        browser.evaluate("drawAll()", wait=True)
        yield browser
