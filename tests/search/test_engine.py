"""The loop: schedules, budgets, and that an interruption leaves no trace in the result."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest

from nas_lightning.predictors.rankers.mlp import MLP
from nas_lightning.search.algorithm import make_algorithm, packaged_algorithms
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search, _wrong_event
from nas_lightning.search.journal import Journal, JournalDamageWarning, is_in_use, seal, unseal
from nas_lightning.search.trial import Measurement, SearchError
from tests.helpers.nightly import rest_nightly
from tests.helpers.toy_space import make_objective

pytestmark = pytest.mark.slow

FEW = {"startup": 5, "candidates": 20, "trees": 5}
SETTINGS = {
    "random_search_ws": {"set_size": 20, "keep": 3},
    "nsga2": {"population": 6},
    "bop_elites": FEW,
    "bop_elites_hb": FEW,
}
KINDS = ("regularized_evolution", "hyperband", "bohb", "reinforce")
"""A population, brackets, brackets with a model, and what waits for its whole batch."""


@pytest.fixture(autouse=True)
def quickly_fitted(monkeypatch):
    """BANANAS's networks pass over their labels fifteen times less: what is tested here is when they are asked."""
    monkeypatch.setitem(MLP.__init__.__kwdefaults__, "epochs", 10)


class Counting:
    """Wraps an objective and counts what it is asked; can stop the search after some evaluations."""

    def __init__(self, objective, stop_after=None):
        self.objective, self.seen, self.stop_after = objective, [], stop_after

    def __getattr__(self, name):
        return getattr(self.objective, name)

    def evaluate(self, trials):
        if self.stop_after is not None and len(self.seen) >= self.stop_after:
            raise KeyboardInterrupt
        self.seen += [(trial.architecture, trial.fidelity) for trial in trials]
        return self.objective.evaluate(trials)


def build(objective, name="regularized_evolution", seed=3, amount=15, journal=None, **kwargs):
    algorithm = make_algorithm(name, objective.space, objective.fidelities, seed, SETTINGS.get(name))
    return Search(algorithm, objective, Budget("evaluations", amount), journal=journal, **kwargs)


def plain(records):
    return [(r.number, r.trial.architecture, r.trial.fidelity, r.measurement.value, r.spent) for r in records]


@pytest.mark.parametrize("name", packaged_algorithms())
def test_one_seed_gives_one_search(objective, name):
    first, again = (plain(build(objective, name).run()) for _ in range(2))
    other = plain(build(objective, name, seed=4).run())
    assert first == again
    assert first != other


@pytest.mark.parametrize("name", packaged_algorithms())
def test_the_budget_is_spent_and_not_more(objective, name):
    records = build(objective, name).run()
    assert records[-1].spent == pytest.approx(sum(r.measurement.cost for r in records))
    if name != "random_search_ws":  # which ends by itself
        assert 15 - 1e-9 <= records[-1].spent < 16
    assert records[-1].spent - records[-1].measurement.cost < 15


def test_a_full_evaluation_counts_one_and_a_partial_one_its_share(objective):
    records = build(objective, "successive_halving", amount=1).run()
    assert [(r.trial.fidelity, r.measurement.cost) for r in records[:9]] == [(1, pytest.approx(1 / 9))] * 9
    assert build(objective, "random_search", amount=7).run()[-1].spent == 7


@pytest.mark.parametrize(
    ("parallel", "name"),
    rest_nightly(
        ((parallel, name) for parallel in (3, 1) for name in packaged_algorithms()),
        lambda parallel, name: parallel == 3 or name in KINDS,
    ),
)
def test_a_none_answer_leaves_the_algorithm_as_it_was(objective, name, parallel):
    """Ask far too often: what is asked, and when, must not change."""
    search = build(objective, name, parallel=parallel)
    expected = plain(search.run())
    eager = build(objective, name, parallel=parallel)
    ask = eager.algorithm.ask

    def ask_again_on_none():
        trial = ask()
        while trial is None and ask() is None:
            return None
        return trial

    eager.algorithm.ask = ask_again_on_none
    assert plain(eager.run()) == expected


@pytest.mark.parametrize("name", packaged_algorithms())
def test_batches_do_not_change_the_deterministic_schedule(name):
    one_by_one, batched = make_objective(requested=("params",)), make_objective(requested=("params",))
    batched.batch = 4
    assert plain(build(one_by_one, name, parallel=4).run()) == plain(build(batched, name, parallel=4).run())


@pytest.mark.parametrize(
    ("deterministic", "name"),
    rest_nightly(
        ((deterministic, name) for deterministic in (True, False) for name in packaged_algorithms()),
        lambda deterministic, name: deterministic or name in KINDS,
    ),
)
def test_resuming_equals_not_being_interrupted(objective, tmp_path, name, deterministic):
    expected = plain(build(objective, name, deterministic=deterministic).run())
    total = Counting(objective)
    for stop_after in (1, 4, 9, 5, None):
        part = Counting(objective, stop_after)
        with Journal(tmp_path / "journal.jsonl", "run") as journal:
            search = build(part, name, journal=journal, deterministic=deterministic)
            with contextlib.suppress(KeyboardInterrupt):
                records = search.run()
        total.seen += part.seen
    assert plain(records) == expected
    assert len(total.seen) == len(expected)  # nothing was evaluated twice


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_journal_cut_anywhere_resumes_to_the_same_result(objective, tmp_path, parallel):
    """As if the machine had died at any byte: every prefix of the journal leads to the same records."""
    path = tmp_path / "journal.jsonl"
    with Journal(path, "run") as journal:
        expected = plain(build(objective, "bohb", amount=4, journal=journal, parallel=parallel).run())
    whole = path.read_bytes()
    for cut in range(0, len(whole), 97):
        path.write_bytes(whole[:cut])
        kept = sum(is_intact(line) and b'"tell"' in line for line in whole[:cut].splitlines())
        counting = Counting(objective)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", JournalDamageWarning)
            with Journal(path, "run") as journal:
                assert plain(build(counting, "bohb", amount=4, journal=journal, parallel=parallel).run()) == expected
        assert len(counting.seen) == len(expected) - kept


def is_intact(line):
    try:
        return bool(unseal(line))
    except ValueError:
        return False


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("kind", ["ask", "tell"])
def test_a_damaged_line_is_set_aside_and_the_rest_is_used(objective, tmp_path, kind, deterministic):
    path = tmp_path / "journal.jsonl"
    with Journal(path, "run") as journal:
        search = build(objective, "random_search", journal=journal, deterministic=deterministic)
        expected = plain(search.run())
    lines = path.read_bytes().splitlines(keepends=True)
    victim = next(i for i, line in enumerate(lines) if f'"{kind}":6'.encode() in line)
    lines[victim] = lines[victim].replace(b"9", b"8", 1) if b"9" in lines[victim] else lines[victim][:-5] + b"\n"
    path.write_bytes(b"".join(lines))
    counting = Counting(objective)
    with pytest.warns(JournalDamageWarning, match="is damaged; it is kept in"), Journal(path, "run") as journal:
        records = build(counting, "random_search", journal=journal, deterministic=deterministic).run()
    assert sorted(plain(records))[:15] == [(*row[:4], pytest.approx(row[4], abs=20)) for row in sorted(expected)]
    assert len(counting.seen) == (1 if kind == "tell" else 0)
    damaged = path.with_name("journal.jsonl.damaged").read_text()
    assert damaged.count("\n") == 1
    with pytest.warns(JournalDamageWarning), Journal(path, "run") as journal:  # said again, kept once
        pass
    assert path.with_name("journal.jsonl.damaged").read_text() == damaged


def test_what_is_expensive_is_on_disk_at_once(tmp_path, monkeypatch):
    """A power failure costs the last second, so a write that comes later than that is synchronised with the disk."""
    synced, now = [], [0.0]
    monkeypatch.setattr("nas_lightning.search.journal.os.fsync", lambda fd: synced.append(now[0]))
    monkeypatch.setattr("nas_lightning.search.journal.time.monotonic", lambda: now[0])
    with Journal(tmp_path / "journal.jsonl", "run") as journal:
        for now[0] in (0.5, 0.9, 1.2, 1.3, 700.0):
            journal.acquire()
            journal.append([seal("{}")])
            journal.release()
    assert synced == [0.0, 1.2, 700.0]


def test_marks_of_killed_processes_are_removed(tmp_path):
    with Journal(tmp_path / "journal.jsonl", "run") as one:
        (tmp_path / "journal.jsonl.workers" / "killed").touch()
        with Journal(tmp_path / "journal.jsonl", "run") as other:
            assert one.is_alive(other.worker)
        assert not one.is_alive(other.worker)
        assert not one.is_alive("killed")
        assert is_in_use(tmp_path / "journal.jsonl")
    assert not (tmp_path / "journal.jsonl.workers").exists()


def test_a_journal_of_another_run_is_refused(objective, tmp_path):
    with Journal(tmp_path / "journal.jsonl", "one"):
        pass
    with pytest.raises(SearchError, match="was written by run one"):
        Journal(tmp_path / "journal.jsonl", "two")


def test_failed_evaluations_are_the_worst(objective):
    class Failing(Counting):
        def evaluate(self, trials):
            return [Measurement(float("nan"), 1.0)] * len(trials)

    records = build(Failing(objective), "regularized_evolution").run()
    assert len(records) == 15
    assert all(r.measurement.value == float("-inf") for r in records)


def test_at_least_one_trial_in_flight(objective):
    with pytest.raises(SearchError, match="at least one"):
        build(objective, parallel=0)


WORKER = textwrap.dedent(
    """
    import time
    from tests.helpers.toy_space import make_objective
    from tests.search.test_engine import build, plain
    from nas_lightning.search.journal import Journal

    class Slow:
        def __init__(self, objective):
            self.objective = objective
        def __getattr__(self, name):
            return getattr(self.objective, name)
        def evaluate(self, trials):
            time.sleep(0.01)
            open({log!r}, "a").write("".join(f"{{t.architecture}} {{t.fidelity}}\\n" for t in trials))
            return self.objective.evaluate(trials)

    with Journal({path!r}, "run") as journal:
        print(plain(build(Slow(make_objective()), {name!r}, journal=journal, parallel=2, deterministic={det}).run()))
    """
)


def spawn(tmp_path, name, deterministic=True):
    root = Path(__file__).resolve().parents[2]
    code = WORKER.format(
        path=str(tmp_path / "journal.jsonl"),
        log=str(tmp_path / "log"),
        name=name,
        det=deterministic,
    )
    environment = os.environ | {"PYTHONPATH": str(root)}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )


@pytest.mark.parametrize("name", ["regularized_evolution", "hyperband"])
@pytest.mark.parametrize("deterministic", [True, False])
def test_two_processes_share_a_journal(tmp_path, name, deterministic):
    workers = [spawn(tmp_path, name, deterministic) for _ in range(2)]
    outputs = [worker.communicate(timeout=60) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]  # both end with the same records
    records = eval(outputs[0][0])
    assert len((tmp_path / "log").read_text().splitlines()) == len(records)  # nothing was evaluated twice
    if deterministic:
        assert records == plain(build(make_objective(), name, parallel=2).run())
    assert not is_in_use(tmp_path / "journal.jsonl")


def test_a_killed_process_loses_at_most_what_it_was_evaluating(tmp_path):
    expected = plain(build(make_objective(), "regularized_evolution", parallel=2).run())
    kills = 0
    for delay in (0.02, 0.05, 0.03, 0.08):
        worker = spawn(tmp_path, "regularized_evolution")
        while not (tmp_path / "journal.jsonl").exists() and worker.poll() is None:
            pass
        try:
            worker.wait(delay)
        except subprocess.TimeoutExpired:
            worker.send_signal(signal.SIGKILL)
            kills += 1
        worker.communicate(timeout=60)
    last = spawn(tmp_path, "regularized_evolution")
    out, err = last.communicate(timeout=60)
    assert last.returncode == 0, err
    assert kills >= 1
    assert eval(out) == expected
    evaluated = (tmp_path / "log").read_text().splitlines()
    assert len(expected) <= len(evaluated) <= len(expected) + kills


def test_an_entry_without_what_the_search_measures_is_refused():
    event = {"tell": 0, "value": 0.5, "cost": 1.0, "architecture": "0000", "fidelity": 9, "measures": {"macs": 3}}
    assert _wrong_event(event, ("params",)) == "without the measure 'params'"
    assert _wrong_event(event, ("macs",)) == ""
