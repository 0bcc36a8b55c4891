"""Adaptive sweeps: Optuna proposes the settings of the next jobs from the results of the last ones.

The values to choose from are typed as for Hydra's other sweepers: ``choice(a, b)`` or ``a,b`` is a categorical,
``range(1, 9)`` an integer, ``interval(1e-3, 1)`` a real number, ``tag(log, interval(1e-3, 1))`` one on a logarithmic
scale. A sweep of ``seed`` is no choice: every trial runs all of its seeds, and its value is their mean.

The study is Optuna's journal file in the folder of the runs. The number of trials before it seeds a proposal, so that
the same command, after a kill, goes on with the trial that was under way and then proposes what it would have proposed.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from nas_lightning.config.settled import expanded
from nas_lightning.errors import UserError, nearest
from nas_lightning.processes.launch import started_outside
from nas_lightning.runs.files import RunError
from nas_lightning.runs.lock import locked
from nas_lightning.runs.reading import COMPLETE, FAILED
from nas_lightning.sweep import summary
from nas_lightning.sweep.dry_run import REFUSED
from nas_lightning.sweep.jobs import MISSING, Job, unsettled
from nas_lightning.sweep.planner import Planner
from nas_lightning.sweep.sweeper import JOBS_FAILED, StudySweep

JOURNAL = "optuna.journal"
AVERAGED = "seed"
BEST = 5
"""Trials printed at the end."""


class AdaptiveSweep(StudySweep):
    """Trials proposed by Optuna's TPE, `parallel` at a time, until the study holds `trials` of them.

    metric: where the value stands in result.json, names joined by dots. direction: maximize or minimize. name: of the
    study in the journal; null makes it from what is swept, so that another sweep is another study.
    """

    def __init__(
        self,
        trials: int,
        metric: str,
        direction: str = "maximize",
        parallel: int = 1,
        startup_trials: int = 10,
        seed: int = 0,
        name: str | None = None,
        max_batch_size: int | None = None,
        params: dict[str, str] | None = None,
    ) -> None:
        super().__init__(max_batch_size, params)
        if trials < 1 or parallel < 1 or startup_trials < 1:
            raise UserError("hydra.sweeper.trials, parallel and startup_trials are 1 or more")
        if direction not in ("maximize", "minimize"):
            raise UserError(f"hydra.sweeper.direction={direction}: choose maximize or minimize")
        self.trials, self.metric, self.direction = trials, metric, direction
        self.parallel, self.startup_trials, self.seed, self.name = parallel, startup_trials, seed, name

    def sweep_jobs(self, arguments: list[str]) -> Any:
        """Ask, launch, tell, and print the best trials; exits with JOBS_FAILED where a job failed."""
        assert self.config is not None
        if (started_outside(self.config.trainer.strategy) or 1) > 1:
            raise UserError(
                "hydra/sweeper=optuna has one process propose the trials; let trainer=ddp start the ranks, without "
                "torchrun or srun"
            )
        fixed, seeds, space = self._spaces(arguments)
        folder = Path(expanded(self.config.runs)) / (self.config.study or "")
        swept = hashlib.sha256(json.dumps([fixed, seeds, sorted(f"{k}={v}" for k, v in space.items())]).encode())
        name = self.name or f"{self.metric}-{swept.hexdigest()[:12]}"
        print(f"Study {name} in {folder / JOURNAL}", flush=True)
        planner = self.planner()
        self._print_cost(planner, fixed, seeds, space)  # a typing error ends here, before there is a study
        if self.config.dry_run:
            print("This was a dry run: nothing was started, nothing was written.")
            return []
        with held_journal(folder / JOURNAL):
            return self._propose_and_run(name, folder / JOURNAL, planner, fixed=fixed, seeds=seeds, space=space)

    def _propose_and_run(
        self, name: str, journal: Path, planner: Planner, fixed: list[str], seeds: list[str], space: dict[str, Any]
    ) -> Any:
        optuna = import_optuna()
        try:
            study = optuna.create_study(
                study_name=name,
                storage=optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal))),
                direction=self.direction,
                load_if_exists=True,
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:  # what lines of garbage lead to
            raise RunError(
                f"{journal} is damaged ({type(error).__name__}); move it away: the same command begins a new study, "
                "and jobs that are complete are not repeated"
            ) from error
        if study.metric_names is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # marked experimental
                study.set_metric_names([self.metric])
        jobs: list[Job] = []
        try:
            while (missing := self.trials - len(_told(study, space))) > 0:
                jobs += self._run_batch(
                    study, planner, min(missing, self.parallel), fixed=fixed, seeds=seeds, space=space
                )
        finally:  # also when Ctrl-C or SIGTERM ends the sweep
            if jobs:
                summary.print_summary(list(dict.fromkeys(jobs)), 0)  # settings may be proposed twice
            self._print_best(study, space)
        if any(job.run().status in (FAILED, MISSING) for job in jobs):
            sys.exit(JOBS_FAILED)
        return []

    def _run_batch(
        self, study: Any, planner: Planner, size: int, fixed: list[str], seeds: list[str], space: dict[str, Any]
    ) -> list[Job]:
        """Propose up to `size` trials, run what of their jobs is not on disk yet, tell the study; returns the jobs."""
        optuna = import_optuna()
        running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
        trials = {t.number: dict(t.params) for t in running if len(t.params) == len(space)}  # of a process that died
        for trial in running:
            if trial.number not in trials:  # it died while it proposed
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        while len(trials) < size:
            study.sampler = optuna.samplers.TPESampler(
                seed=self.seed + len(_told(study, space)) + len(trials),
                n_startup_trials=self.startup_trials,
                constant_liar=self.parallel > 1,
            )
            asked = study.ask(space)
            trials[asked.number] = dict(asked.params)
        jobs = {}
        for number, params in trials.items():
            chosen = [f"{key}={value}" for key, value in params.items()]
            print(f"Trial {number}: {' '.join(chosen)}", flush=True)
            jobs[number] = planner.plan([[*fixed, *chosen, *([seed] if seed else [])] for seed in seeds])
        self.launch(unsettled(job for members in jobs.values() for job in members))
        for member in (job for members in jobs.values() for job in members):
            self.check_metric(member)
        for number, members in jobs.items():
            values = [value for value in map(self.value, members) if value is not None]
            if len(values) == len(members):
                study.tell(number, statistics.mean(values))
                print(f"Trial {number}: {self.metric} = {statistics.mean(values):.4f}", flush=True)
            else:
                study.tell(number, state=optuna.trial.TrialState.FAIL)
                print(f"Trial {number}: no value, since a job failed or does not apply", flush=True)
        return [job for members in jobs.values() for job in members]

    def value(self, job: Job) -> float | None:
        """The metric of a complete job; None where it failed, does not apply, or has no such number."""
        run = job.run()
        if run.status != COMPLETE:
            return None
        value: Any = run.result
        for key in self.metric.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def check_metric(self, job: Job) -> None:
        """Raises UserError, with the names that there are, where a complete job has no number of the metric's name."""
        run = job.run()
        known = list(numbers_of(run.result))
        if run.status != COMPLETE or self.metric in known:
            return
        known = [name for name in known if name.startswith("metrics.")] or known
        # The last part says what is meant, as kendall_tau; of several that say it alike the first ones.
        leaves = {name.rpartition(".")[2]: name for name in reversed(known)}
        leaf = self.metric.rpartition(".")[2]
        close = nearest(self.metric, known) or [leaves[name] for name in nearest(leaf, leaves)]
        close = close or [name for name in known if leaf in name][:3] or [n for n in known if "kendall_tau" in n][:1]
        raise UserError(
            f"hydra.sweeper.metric={self.metric[:80]} is no number of a result; choose "
            f"{' or '.join(close) if close else 'another one'}; {job.folder / 'result.json'} has all"
        )

    def _spaces(self, arguments: Sequence[str]) -> tuple[list[str], list[str], dict[str, Any]]:
        """What is fixed, the overrides that set the seed ([""] for none), and the distribution of every other sweep."""
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        fixed, seeds, space = [], [""], {}
        typed = [f"{key}={value}" for key, value in self.params.items()]
        for override in parser.parse_overrides([*typed, *arguments]):
            key = override.get_key_element()
            if not override.is_sweep_override():
                fixed.append(f"{key}={override.get_value_element_as_str()}")
            elif key == AVERAGED:
                seeds = [f"{key}={value}" for value in override.sweep_string_iterator()]
            else:
                space[key] = distribution(override)
        if not space:
            raise UserError(
                "hydra/sweeper=optuna has nothing to choose; sweep a setting, for example "
                "'heuristics.learning_rate.value=tag(log, interval(0.01, 1))'"
            )
        return fixed, seeds, space

    def _print_cost(self, planner: Planner, fixed: list[str], seeds: list[str], space: dict[str, Any]) -> None:
        """What all trials would cost at the cost of one that is drawn at random."""
        optuna = import_optuna()
        trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=self.seed)).ask(space)
        chosen = [f"{key}={value}" for key, value in trial.params.items()]
        jobs = planner.plan([[*fixed, *chosen, *([seed] if seed else [])] for seed in seeds])
        summary.print_refusals(jobs)
        if self.config is not None and self.config.dry_run and any(job.refusal is not None for job in jobs):
            sys.exit(REFUSED)
        known = [job.seconds for job in jobs if job.seconds is not None]
        words = "their cost is not known"
        if len(known) == len(jobs):
            seconds = self.trials * sum(known) / min(self.processes, len(jobs) * self.parallel)
            words = f"about {summary.in_words(seconds)}, if all cost what '{' '.join(chosen)}' does"
        print(f"{self.trials} trials of {len(jobs)} jobs: {words}.", flush=True)

    def _print_best(self, study: Any, space: dict[str, Any]) -> None:
        optuna = import_optuna()
        told = _told(study, space)
        complete = [t for t in told if t.state == optuna.trial.TrialState.COMPLETE]
        complete.sort(key=lambda t: t.value, reverse=self.direction == "maximize")
        print(f"{len(told)} of {self.trials} trials, {len(complete)} with a value. The best:", flush=True)
        for trial in complete[:BEST]:
            settings = " ".join(f"{key}={value}" for key, value in trial.params.items())
            print(f"  {trial.value:.4f}  {settings}", flush=True)


@contextmanager
def held_journal(path: Path) -> Iterator[None]:
    """Keep the journal to this process while the block runs, and cut off a last line that a kill has left half-written.

    Optuna reads over such a line while it is the last one, and fails once another follows. Raises RunError where
    another process holds the journal.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        if not locked(file.fileno()):
            raise RunError(f"another process proposes trials in {path}; wait for it, end it, or choose another study=…")
        file.seek(0)
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            print(f"warning: the last line of {path} is not whole; it is dropped", file=sys.stderr, flush=True)
            file.truncate(whole)
        yield


def numbers_of(value: Any, path: str = "") -> Iterator[str]:
    """Names of all numbers in nested dictionaries, as ``metrics.accuracy.kendall_tau``; nulls too."""
    for key, inner in value.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(inner, dict):
            yield from numbers_of(inner, name)
        elif inner is None or (isinstance(inner, int | float) and not isinstance(inner, bool)):
            yield name


def _told(study: Any, space: dict[str, Any]) -> list[Any]:
    """The trials that count: proposed in full and told, with a value or without."""
    return [t for t in study.get_trials(deepcopy=False) if t.state.is_finished() and len(t.params) == len(space)]


def distribution(override: Override) -> Any:
    """Optuna's distribution of a swept value. Raises ValueError for an empty one."""
    optuna = import_optuna()
    sweep = override.value()
    if isinstance(sweep, IntervalSweep):
        assert sweep.start is not None
        assert sweep.end is not None
        if not sweep.start < sweep.end or ("log" in sweep.tags and sweep.start <= 0):
            raise UserError(
                f"{override.input_line} is no interval to choose from: its first end is below the second, and above 0 "
                "on a logarithmic scale"
            )
        return optuna.distributions.FloatDistribution(float(sweep.start), float(sweep.end), log="log" in sweep.tags)
    if isinstance(sweep, RangeSweep) and isinstance(sweep.step, int) and isinstance(sweep.start, int):
        assert sweep.stop is not None
        values = range(sweep.start, int(sweep.stop), sweep.step)
        if "log" in sweep.tags:
            return optuna.distributions.IntDistribution(values[0], values[-1], log=True)
        return optuna.distributions.IntDistribution(min(values), max(values), step=abs(sweep.step))
    return optuna.distributions.CategoricalDistribution(list(override.sweep_string_iterator()))


def import_optuna() -> Any:
    """Optuna with its log turned down. Raises ValueError where it is not installed."""
    try:
        import optuna
    except ImportError:
        raise UserError(
            "hydra/sweeper=optuna needs Optuna; install it with: pip install 'nas-lightning[sweeps]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
