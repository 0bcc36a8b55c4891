"""examples/analysis_from_python.py: every part by its functions, on the real tables."""

from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import analysis_from_python

    return analysis_from_python


def test_every_part_gives_its_numbers(open_shared, example):
    cells = open_shared("nasbench201", "cifar10")
    found = example.landscape(cells)
    assert (len(found.maxima), round(float(found.autocorrelation[0]), 3)) == (17, 0.560)
    # The last niche holds everything: its champion is the best of the table.
    best = cells.architectures()[int(cells.metric_values(None).argmax())]
    assert example.champions(cells)[-1] == str(best)
    judged = example.front_of_a_sample(cells, n=len(cells))
    assert (judged.share, judged.distance) == (pytest.approx(1), 0)
    assert example.front_of_a_sample(cells).share < 1
    assert example.unseen_curves(open_shared("darts_random214_cifar10", None)) < 0.01
