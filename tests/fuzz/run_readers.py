"""Readers of what trainings and searches leave: checkpoints, run folders, journals, archives, lists of scores."""

import io
import json
import shutil
import tarfile
import zipfile
from contextlib import suppress
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from nas_lightning.ranking.architecture_sets import architecture_set
from nas_lightning.report.score_files import read_score_file
from nas_lightning.runs.archive import pack, unpacked
from nas_lightning.runs.environment import environment, environment_changes
from nas_lightning.runs.files import RunError
from nas_lightning.runs.reading import checked, find_runs, read_run
from nas_lightning.runs.result import finished
from nas_lightning.scoring.partial import PartialScores
from nas_lightning.scoring.trained import check_same_images, find_trained
from nas_lightning.search import runner
from nas_lightning.search.budget import Budget
from nas_lightning.search.journal import seal, unseal
from nas_lightning.search.runner import SearchPlan, run_search
from nas_lightning.search.weak_labels import read_weak_labels
from nas_lightning.spaces import get_space
from nas_lightning.training.checkpoint_file import CHECKPOINT_KEY, FORMAT, read_checkpoint
from nas_lightning.training.checkpoints import resume_point
from nas_lightning.training.module import SuperNetModule, load_network
from tests.benchmarks.test_convert_lists import genotype
from tests.fuzz.mutations import mutated_bytes, mutated_column, mutated_value
from tests.fuzz.readers import (
    SPACES,
    _mutated_pickle,
    _pth,
    csv_text,
    drawn,
    fresh,
    pick,
    pickles,
    place,
    reader,
    write_json,
)
from tests.helpers.run_folders import write_evaluation, write_run, write_search
from tests.helpers.small_plans import small_plan
from tests.helpers.toy_space import make_objective

# -- checkpoints -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def checkpoint():
    module = SuperNetModule("nasbench201", small_plan("nasbench201"), 10, 1, 0)
    module._trainer = None
    return {
        "state_dict": module.state_dict(),
        CHECKPOINT_KEY: {"format": FORMAT, **module.identity},
        "global_step": 3,
        "epoch": 1,
    }


def use_checkpoint(path):
    """As evaluation, search and resumption do."""
    read_checkpoint(path)
    load_network(path)
    find_trained(str(path))
    resume_point(path.parent, weights=checkpoint()["state_dict"])


@lru_cache(maxsize=1)
def _checkpoint_bytes():
    return _pth(checkpoint(), True)


@reader("checkpoint: bytes", 300, use_checkpoint)
def _(rng, folder):
    path = fresh(folder, "run/checkpoints/final.ckpt")
    path.write_bytes(mutated_bytes(_checkpoint_bytes(), rng))
    return path


@reader("checkpoint: the pickle within, checksums right", 500, use_checkpoint)
def _(rng, folder):
    path = fresh(folder, "run/checkpoints/final.ckpt")
    with zipfile.ZipFile(io.BytesIO(_checkpoint_bytes())) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith(".pkl"):
                content = mutated_bytes(content, rng) if rng.random() < 0.7 else _mutated_pickle(rng, pickles())
            target.writestr(name, content)
    return path


@reader("checkpoint: its description", 400, use_checkpoint)
def _(rng, folder):
    path = fresh(folder, "run/checkpoints/final.ckpt")
    value = checkpoint()
    head = mutated_value(value[CHECKPOINT_KEY], rng)
    content = {**value, CHECKPOINT_KEY: head}
    if rng.random() < 0.2:
        content = mutated_value({k: v for k, v in content.items() if k != "state_dict"}, rng)
    path.write_bytes(_pth(content, True))
    return path


def read_configuration(path):
    check_same_images(path, {"name": "digits", "image_size": None})
    find_trained(str(path))


@reader("config.yaml beside a checkpoint", 300, read_configuration)
def _(rng, folder):
    path = fresh(folder, "run/checkpoints/final.ckpt")
    path.write_bytes(_checkpoint_bytes())
    value = {
        "recipe": "none",
        "seed": 0,
        "data": {"name": "digits", "split_seed": 0, "max_train_images": None, "image_size": None},
    }
    config = path.parent.parent / "config.yaml"
    if rng.random() < 0.6:
        text = json.dumps(mutated_value(value, rng)) if rng.random() < 0.5 else ""
        config.write_bytes(text.encode("utf-8", "surrogatepass") or mutated_bytes(yaml.safe_dump(value).encode(), rng))
    else:
        config.write_bytes(mutated_bytes(yaml.safe_dump(value).encode(), rng))
    return path


# -- run folders, journals, archives -----------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def run_folders():
    root = place() / "runs"
    return (
        write_run(root / "train", n=12, ablation={"factor": "sampling", "setting": "fairnas"}),
        write_evaluation(root / "evaluation", n=12),
        write_search(root / "search", evaluations=5),
    )


def copied(folder, original):
    target = folder / "run"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(original, target)
    return target


def use_run(path):
    """As the next command, a report and a summary do; one that cannot be read is a listed failure."""
    from nas_lightning.search.summary import read_results, summarise

    with suppress(RunError):
        finished(path)
    run = checked(read_run(path))
    assert len(run.reason) < 300, run.reason
    assert "\n" not in run.reason, run.reason
    if run.status == "complete":
        _ = run.record, run.seconds, run.epochs
    summarise(read_results(path.parent))
    conclusions([run])


def conclusions(runs):
    from nas_lightning.report.gap import gaps
    from nas_lightning.report.study import conditions_of

    conditions, _ = conditions_of(runs, 100)
    gaps(conditions)


@reader("result.json, field by field", 1200, use_run)
def _(rng, folder):
    target = copied(folder, pick(rng, run_folders()))
    file = target / "result.json"
    return write_json(file, json.loads(file.read_text()), rng).parent


def arrow(values):
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError):  # lists beside numbers: Arrow has no such column
        return pa.array([str(value) for value in values])


@reader("files of a run", 500, use_run)
def _(rng, folder):
    target = copied(folder, pick(rng, run_folders()))
    file = pick(rng, sorted(p for p in target.iterdir() if p.is_file() and p.name != "result.json"))
    content = file.read_bytes()
    if file.name == "ranking.parquet" and rng.random() < 0.7:
        columns = pq.read_table(file).to_pydict()
        name = pick(rng, list(columns))
        values = columns[name]
        numeric = isinstance(values[0], float | int)
        columns[name] = mutated_column(np.array(values) if numeric else values, rng)
        made = {k: arrow(v.tolist() if isinstance(v, np.ndarray) else v) for k, v in columns.items() if k != "x"}
        pq.write_table(pa.table(made), file)
    else:
        file.write_bytes(mutated_bytes(content or b"{}", rng))
    return target


def whole_report(path):
    from nas_lightning.report.page import render
    from nas_lightning.report.study import conditions_of

    runs = [checked(run) for run in find_runs([path])]
    conditions, remarks = conditions_of(runs, 100)
    render(conditions, runs, [], remarks)


@reader("the report's page with one such run", 150, whole_report)
def _(rng, folder):
    root = folder / "study"
    shutil.rmtree(root, ignore_errors=True)
    for i, original in enumerate(run_folders()):
        shutil.copytree(original, root / str(i))
    file = root / str(int(rng.integers(3))) / "result.json"
    write_json(file, json.loads(file.read_text()), rng)
    return root


def read_environment(path):
    environment_changes(path, environment_now())


@lru_cache(maxsize=1)
def environment_now():
    return environment(threads=1)


@reader("environment.json", 200, read_environment)
def _(rng, folder):
    return write_json(fresh(folder, "environment.json"), environment_now(), rng).parent


SEARCH = SearchPlan("regularized_evolution", Budget("evaluations", 12), baseline_seeds=0, settings={"population": 4})


def search_in(folder):
    runner.environment = lambda *_: {}  # it asks git
    run_search(SEARCH, make_objective((9,)), folder, progress=False)


@lru_cache(maxsize=1)
def journal():
    root = place() / "search"
    search_in(root)
    (path,) = root.glob("*/journal.jsonl")
    return path.parent.name, path.read_bytes()


def _journal(rng, folder, content):
    root = folder / "searches"
    shutil.rmtree(root, ignore_errors=True)
    fresh(root, f"{journal()[0]}/journal.jsonl").write_bytes(content)
    return root


@reader("journal of a search: bytes", 300, search_in)
def _(rng, folder):
    return _journal(rng, folder, mutated_bytes(journal()[1], rng))


@reader("journal of a search: entries, sealed again", 500, search_in)
def _(rng, folder):
    lines = journal()[1].splitlines()
    at = int(rng.integers(len(lines)))
    lines[at] = seal(json.dumps(mutated_value(unseal(lines[at]), rng)))[:-1]
    return _journal(rng, folder, b"\n".join(lines) + b"\n")


def read_table_journal(path):
    from nas_lightning.modes.table import finished_tasks, journal_rows

    list(journal_rows(path))
    finished_tasks(path)


@reader("journal of a table", 300, read_table_journal)
def _(rng, folder):
    row = {"architecture": "a", "seed": 1, "validation": 0.5, "test": 0.5, "seconds": 1.0}
    lines = [seal(json.dumps(row)), seal(json.dumps(mutated_value(row, rng))), seal(json.dumps(row))]
    content = b"\n".join(lines)
    fresh(folder, "journal.jsonl").write_bytes(mutated_bytes(content, rng) if rng.random() < 0.5 else content)
    return folder


def read_partial(path):
    partial = PartialScores(path, 10, lambda: {"weights": "a", "set": "b"})
    for note in partial.notes:
        assert len(note) < 300, note
        assert "\n" not in note, note


@reader("partial scores", 200, read_partial)
def _(rng, folder):
    key = {"weights": "a", "set": "b"}
    if rng.random() < 0.3:
        key = mutated_value(key, rng)
    index = np.arange(5)
    if rng.random() < 0.3:
        index = np.array([pick(rng, [50, -20, 0.5, "x", 2**40])])
    buffer = io.BytesIO()
    np.savez(buffer, key=np.array(json.dumps(key)), index=index, values=np.ones((len(index), 2)))
    content = buffer.getvalue()
    path = fresh(folder, "partial/evaluation.partial.rank0.npz")
    path.write_bytes(mutated_bytes(content, rng) if rng.random() < 0.5 else content)
    return path.parent


def read_archive(path):
    with unpacked([path]) as folders:
        for run in find_runs(folders):
            checked(run)


@lru_cache(maxsize=1)
def archives():
    run_folders()
    pack(place() / "runs", place() / "runs.tar.xz")
    made = [(".tar.xz", (place() / "runs.tar.xz").read_bytes())]
    for suffix, mode in ((".tar.gz", "w:gz"), (".tar", "w")):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as archive:
            archive.add(place() / "runs", "runs")
        made.append((suffix, buffer.getvalue()))
    return made


@reader("archive of runs", 300, read_archive)
def _(rng, folder):
    suffix, content = pick(rng, archives())
    path = fresh(folder, f"a{suffix}")
    path.write_bytes(mutated_bytes(content, rng))
    return path


@reader("archive: members", 200, read_archive)
def _(rng, folder):
    path = fresh(folder, "m.tar")
    names = ("../x", "/tmp/x", "a/../../x", "runs/result.json", "a/" * 40 + "x", "n" * 300, "\udc80x", "", "C:\\x", ".")
    kinds = (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for _ in range(int(rng.integers(1, 4))):
            member = tarfile.TarInfo(pick(rng, names))
            member.type, member.linkname = pick(rng, kinds), pick(rng, names)
            member.size = 5 if member.type == tarfile.REGTYPE else 0
            member.mode = int(rng.integers(0o10000))
            archive.addfile(member, io.BytesIO(b"12345"))
    return path


# -- lists of architectures and scores ---------------------------------------------------------------------------------


def read_scores(path):
    read_score_file(path)


@reader("score file", 600, read_scores)
def _(rng, folder):
    kind = int(rng.integers(4))
    rows = [{"architecture": str(a), "acc": i / 20} for i, a in enumerate(drawn("nasbench201"))]
    if kind == 0:
        path = fresh(folder, "s.csv")
        path.write_bytes(mutated_bytes(csv_text("nasbench201"), rng))
    elif kind == 1:
        path = write_json(fresh(folder, "s.json"), rows, rng)
    elif kind == 2:
        path = write_json(fresh(folder, "s.json"), {r["architecture"]: r["acc"] for r in rows}, rng)
    else:
        path = parquet_list(rng, fresh(folder, "s.parquet"))
    return path


def parquet_list(rng, path):
    columns = {
        "architecture": [str(a) for a in drawn("nasbench201")],
        "supernet_accuracy": np.linspace(0, 1, 12),
        "params": np.arange(12),
        "standalone_accuracy": np.linspace(0, 1, 12),
    }
    name = pick(rng, list(columns))
    columns[name] = mutated_column(columns[name], rng)
    made = {}
    for key, values in columns.items():
        try:
            made[key] = pa.array(values.tolist() if isinstance(values, np.ndarray) else values)
        except (pa.ArrowException, TypeError):
            made[key] = pa.array([str(v) for v in values])
    pq.write_table(pa.table(made), path)
    if rng.random() < 0.4:
        path.write_bytes(mutated_bytes(path.read_bytes(), rng))
    return path


def read_set(path):
    architecture_set(str(path), get_space("nasbench201"))


@reader("list of architectures", 500, read_set)
def _(rng, folder):
    kind = int(rng.integers(3))
    if kind == 0:
        path = fresh(folder, "l.txt")
        path.write_bytes(mutated_bytes("\n".join(str(a) for a in drawn("nasbench201")).encode(), rng))
    elif kind == 1:
        path = fresh(folder, "l.csv")
        path.write_bytes(mutated_bytes(csv_text("nasbench201"), rng))
    else:
        path = parquet_list(rng, fresh(folder, "l.parquet"))
    return path


def read_labels(path):
    labels = read_weak_labels(path, get_space("nasbench201"))
    labels.features(), labels.vote()


@reader("weak labels", 300, read_labels)
def _(rng, folder):
    return parquet_list(rng, fresh(folder, "w.parquet"))


def parse(path):
    space, text = json.loads(path.read_text())
    arch = get_space(space).parse(text)
    get_space(space).key(arch)


@reader("architectures in text", 1000, parse)
def _(rng, folder):
    space = pick(rng, SPACES)
    arch = pick(rng, drawn(space))
    if space == "darts_nds" and rng.random() < 0.5:
        value = mutated_value(genotype(arch), rng)
    elif rng.random() < 0.2:
        matrix = {"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]}
        value = mutated_value([str(arch), 3, [[1, 2], [3]], matrix], rng)
    else:
        value = mutated_bytes(str(arch).encode(), rng).decode("latin1")
    path = fresh(folder, "x.json")
    path.write_text(json.dumps([space, value]))
    return path
