"""The loop of a search: ask, evaluate, tell, within a budget, with or without a journal.

The state of a search is a function of the sequence of asks and tells, so a journal of that sequence is a checkpoint:
whoever opens it (the same process after a kill, or a second one) rebuilds the algorithm by replaying it, and takes the
values from it instead of evaluating again.

Two schedules:

- *deterministic* (default): the k-th ask happens after exactly the first ``k - parallel + 1`` trials have been told, in
  the order in which they were asked. The result then depends on `parallel`, and not on timing, nor on how many
  processes share the work (up to `parallel`), nor on interruptions.
- *free*: results are told as they come in. Nobody waits, and the order is whatever the journal says.
"""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Callable, Sequence
from json.encoder import encode_basestring_ascii as quote
from typing import Any, NamedTuple

from nas_lightning.search.algorithm import Algorithm
from nas_lightning.search.budget import Budget
from nas_lightning.search.journal import Journal, seal
from nas_lightning.search.objective import Objective
from nas_lightning.search.trial import NO_MEASURES, Measurement, SearchError, Trial


class Record(NamedTuple):
    """One finished evaluation."""

    number: int
    trial: Trial
    measurement: Measurement
    spent: float  # budget spent by the search up to and including this evaluation


class Search:
    """One search. `run` returns its records in the order in which the algorithm learned of them.

    parallel: trials in flight; part of what determines the result (see above).
    on_record: called with every new Record, also with those that are read back from a journal.
    wait_seconds: how long to wait before looking again, where another process has to finish first.
    """

    wait_seconds = 0.05

    def __init__(
        self,
        algorithm: Algorithm,
        objective: Objective,
        budget: Budget,
        *,
        parallel: int = 1,
        deterministic: bool = True,
        journal: Journal | None = None,
        on_record: Callable[[Record], None] | None = None,
        on_wait: Callable[[], None] | None = None,
    ):
        if parallel < 1:
            raise SearchError(f"parallel={parallel}: at least one trial has to be in flight")
        self.algorithm, self.objective, self.budget = algorithm, objective, budget
        self.parallel, self.deterministic, self.journal = parallel, deterministic, journal
        self.on_record, self.on_wait = on_record, on_wait
        self.evaluated = 0  # by this process, without what the journal knew
        self.records: list[Record] = []
        self._planned = objective.planned_cost if budget.unit != "seconds" else None
        self._format = objective.space.format
        self._trials: list[Trial] = []
        self._results: list[Measurement | None] = []
        self._applied = 0  # deterministic schedule: trials told so far are 0 … applied - 1
        self._spent = 0.0  # for the decision whether to ask: planned at the ask, or known at the tell
        self._paid = 0.0  # by told trials
        self._stopped = False
        self._open: set[int] = set()  # asked, not told, not being evaluated by this process
        self._recorded: dict[int, tuple[str, int, Measurement]] = {}  # in the journal, no trial of ours yet
        self._spare: dict[tuple[str, int], list[Measurement]] = {}  # recorded under another number
        self._owner: dict[int, str] = {}
        self._lines: list[bytes] = []
        self._diverged = False

    # --- the loop ---------------------------------------------------------------------------------------------------

    def run(self) -> list[Record]:
        finished: list[tuple[int, Measurement]] = []
        while True:
            if self.journal is None:
                for number, measurement in finished:
                    self._store(number, measurement)
                claims = self._claim()
            else:
                claims = self._exchange(finished)
            if claims:
                evaluations = self.objective.evaluate([self._trials[number] for number in claims])
                finished = list(zip(claims, evaluations, strict=True))
                self.evaluated += len(claims)
            elif self._is_finished():
                return self.records
            else:
                finished = []
                if self.on_wait is not None:
                    self.on_wait()
                time.sleep(self.wait_seconds)

    def _exchange(self, finished: list[tuple[int, Measurement]]) -> list[int]:
        """Under the journal's lock: learn what others wrote, write own results, claim the next trials."""
        journal = self.journal
        assert journal is not None
        journal.acquire()
        try:
            for event in journal.read_new():
                self._learn(event)
            for number, measurement in finished:
                if self._results[number] is None:  # another process may have taken this one for dead
                    self._lines.append(seal(self._tell_line(number, measurement)))
                    self._store(number, measurement)
            claims = self._claim()
            if self._lines:
                journal.append(self._lines)
                self._lines = []
        finally:
            journal.release()
        return claims

    def _claim(self) -> list[int]:
        """Trials that this process evaluates next."""
        wanted = min(self.objective.batch, self.parallel)
        claims: list[int] = []
        for number in sorted(self._open):
            if len(claims) == wanted:
                return claims
            if not self._belongs_to_another(number):  # whoever claimed it died
                self._take(number, claims)
        while len(claims) < wanted:
            asked = self._ask()
            if asked is None:
                break
            if self._recall(asked):
                continue
            if self._owner and self._belongs_to_another(asked):
                self._open.add(asked)
            else:
                self._take(asked, claims)
        return claims

    def _take(self, number: int, claims: list[int]) -> None:
        self._open.discard(number)
        claims.append(number)
        if self.journal is not None:
            self._write_ask(number)
            self._owner.pop(number, None)

    def _belongs_to_another(self, number: int) -> bool:
        owner = self._owner.get(number)
        return owner is not None and self.journal is not None and self.journal.is_alive(owner)

    # --- the schedule -----------------------------------------------------------------------------------------------

    def _ask(self) -> int | None:
        """The number of a new trial; None where one has to wait, or nothing is left to ask."""
        number = len(self._trials)
        if self.deterministic:
            while self._applied < number - self.parallel + 1:
                if not self._apply_next():
                    return None
        while not self._stopped:
            if self.budget.is_spent(self._spent):
                self._stopped = True
                break
            trial = self.algorithm.ask()
            if trial is not None:
                self._trials.append(trial)
                self._results.append(None)
                if self._planned is not None:
                    planned = self._planned(trial)
                    self._spent += planned if planned is not None else 0.0
                return number
            if len(self.records) == number:
                self._stopped = True  # nothing is pending and nothing is asked: the algorithm has finished
            elif not self.deterministic or not self._apply_next():
                return None
        while self.deterministic and self._apply_next():
            pass
        return None

    def _is_finished(self) -> bool:
        return self._stopped and len(self.records) == len(self._trials)

    def _apply_next(self) -> bool:
        """Deterministic schedule: tell the next trial in order, if its result is there."""
        number = self._applied
        if number >= len(self._trials) or self._results[number] is None:
            return False
        self._applied += 1
        self._tell(number)
        return True

    def _store(self, number: int, measurement: Measurement) -> None:
        if math.isnan(measurement.value):
            measurement = measurement._replace(value=-math.inf)
        self._results[number] = measurement
        if self._open:
            self._open.discard(number)
        if not self.deterministic:
            self._tell(number)

    def _tell(self, number: int) -> None:
        trial, measurement = self._trials[number], self._results[number]
        assert measurement is not None
        if self._planned is None:
            self._spent += measurement.cost
        self._paid += measurement.cost
        self.algorithm.tell(trial, measurement)
        record = Record(number, trial, measurement, self._paid)
        self.records.append(record)
        if self.on_record is not None:
            self.on_record(record)

    # --- the journal ------------------------------------------------------------------------------------------------

    def _write_ask(self, number: int) -> None:
        assert self.journal is not None
        trial = self._trials[number]
        text = quote(self._format(trial.architecture))
        self._lines.append(
            seal(f'{{"ask":{number},"by":"{self.journal.worker}","architecture":{text},"fidelity":{trial.fidelity}}}')
        )

    def _tell_line(self, number: int, measurement: Measurement) -> str:
        trial = self._trials[number]
        value = repr(float(measurement.value)) if math.isfinite(measurement.value) else "null"
        measures = f',"measures":{json.dumps(dict(measurement.measures))}' if measurement.measures else ""
        return (
            f'{{"tell":{number},"architecture":{quote(self._format(trial.architecture))},"fidelity":{trial.fidelity},'
            f'"value":{value},"cost":{float(measurement.cost)!r}{measures}}}'
        )

    def _learn(self, event: dict[str, Any]) -> None:
        """Take in one line that this process did not write, or wrote in an earlier life."""
        if wrong := _wrong_event(event, self.algorithm.measures):
            raise SearchError(
                f"{self.journal.path if self.journal else 'the journal'} holds an entry {wrong}: "
                "it was written by another version; use force=true to start anew"
            )
        if "ask" in event:
            self._learn_ask(event["ask"], event["by"], event["architecture"], event["fidelity"])
        else:
            value = -math.inf if event["value"] is None else event["value"]
            measurement = Measurement(value, event["cost"], event.get("measures", NO_MEASURES))
            self._learn_tell(event["tell"], (event["architecture"], event["fidelity"], measurement))

    def _learn_ask(self, number: int, worker: str, text: str, fidelity: int) -> None:
        self._owner[number] = worker
        if self.deterministic or number < len(self._trials):
            return  # deterministic: the schedule asks by itself; else: somebody took over a dead process's trial
        while len(self._trials) <= number:  # more than one, where the line of an earlier ask is damaged
            mine = self._ask()
            if mine is None:
                break
            if not self._recall(mine):
                self._open.add(mine)
        if (number >= len(self._trials) or not self._is_same(number, text, fidelity)) and not self._diverged:
            self._diverged = True
            warnings.warn(
                f"trial {number} of the journal cannot be replayed, as a line before it is damaged: the search takes "
                "its own way from there, and uses what the journal knows about the architectures it meets",
                stacklevel=2,
            )

    def _learn_tell(self, number: int, told: tuple[str, int, Measurement]) -> None:
        if number >= len(self._trials):
            self._recorded[number] = told
        elif self._results[number] is None and self._is_same(number, told[0], told[1]):
            self._store(number, told[2])
        elif self._results[number] is None:
            self._spare.setdefault(told[:2], []).append(told[2])

    def _is_same(self, number: int, text: str, fidelity: int) -> bool:
        trial = self._trials[number]
        return trial.fidelity == fidelity and self._format(trial.architecture) == text

    def _recall(self, number: int) -> bool:
        """Take the result of a trial that was just asked from the journal; False where it holds none."""
        if not self._recorded and not self._spare:
            return False
        told = self._recorded.pop(number, None)
        if told is not None:
            if self._is_same(number, told[0], told[1]):
                self._store(number, told[2])
                return True
            self._spare.setdefault(told[:2], []).append(told[2])
        trial = self._trials[number]
        spare = self._spare.get((self._format(trial.architecture), trial.fidelity))
        if not spare:
            return False
        measurement = spare.pop()
        self._write_ask(number)  # so that the next replay finds it under this number
        self._lines.append(seal(self._tell_line(number, measurement)))
        self._store(number, measurement)
        return True


def _wrong_event(event: dict[str, Any], measured: Sequence[str]) -> str:
    """What of a journal's entry this program has never written, in words; empty where nothing is. `measured` is what
    the search measures beside the value."""
    kind = "ask" if "ask" in event else "tell"
    needed = {"ask": ("ask", "by"), "tell": ("tell", "value", "cost")}[kind]
    if missing := [name for name in (*needed, "architecture", "fidelity") if name not in event]:
        return f"without {missing[0]!r}"
    whole = [event[kind], event["fidelity"]]
    if not isinstance(event["architecture"], str) or any(type(n) is not int or not 0 <= n < 2**31 for n in whole):
        return f"whose {kind}, architecture or fidelity is none"
    if kind == "ask":
        return "" if isinstance(event["by"], str) else "whose author is none"
    measures = event.get("measures", {})
    if not isinstance(measures, dict):
        return "whose measures are none"
    if missing := [name for name in measured if name not in measures]:
        return f"without the measure {missing[0]!r}"
    numbers = [event["cost"], *measures.values(), *([] if event["value"] is None else [event["value"]])]
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and abs(n) < 2**64 for n in numbers):
        return "whose numbers are none"
    return "whose cost is negative" if event["cost"] < 0 else ""
