"""The progress bar: what it says, and when."""

import pytest
from rich.console import Console

from nas_lightning.search import progress as module
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Record
from nas_lightning.search.progress import SearchProgress
from nas_lightning.search.trial import Measurement, Trial


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def record(number, value):
    return Record(number, Trial("cell", 9), Measurement(value, 1.0), number + 1.0)


def test_the_best_so_far_and_the_spent_budget(clock):
    bar = SearchProgress(Budget("evaluations", 10), "random_search")
    task = bar._bar.tasks[0]
    for number, value in enumerate((0.3, 0.7, 0.5)):
        clock[0] += 0.2
        bar.record(record(number, value))
    assert (task.completed, task.total) == (3, 10)
    assert task.fields["best"] == "best 0.7000 (evaluation 2)"
    bar.record(record(3, 0.9))  # within a tenth of a second: nothing is drawn
    assert task.completed == 3


def test_it_says_once_that_another_process_is_waited_for(clock, capsys):
    bar = SearchProgress(Budget("evaluations", 10), "random_search", enabled=False)
    bar._bar.live.console = Console(stderr=True, width=200)
    for clock[0] in (1.0, 5.0):
        bar.waiting()
    bar.record(record(0, 0.3))
    for clock[0] in (9.0, 18.0):
        bar.waiting()
    assert capsys.readouterr().err == ""
    for clock[0] in (20.0, 60.0):
        bar.waiting()
    assert capsys.readouterr().err.count("Waiting for another process") == 1
