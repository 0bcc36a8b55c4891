"""Corrupt, truncated and hostile files: every reader says in one sentence what is wrong, and executes nothing."""

import itertools
import json
import os
import pickle

import numpy as np
import pytest

from nas_lightning.data.find import get_source
from nas_lightning.data.images import DataError
from nas_lightning.data.sources.imagenet16_120 import IMAGENET16_MD5
from nas_lightning.ranking.architecture_sets import architecture_set
from nas_lightning.report.__main__ import main as report
from nas_lightning.runs.environment import environment, environment_changes, record_environment
from nas_lightning.runs.files import RunError, write_atomically
from nas_lightning.runs.folder import held, remove_leftovers
from nas_lightning.runs.reading import COMPLETE, FAILED, read_run
from nas_lightning.runs.result import finished
from nas_lightning.scoring.trained import check_same_images
from nas_lightning.spaces import get_space
from tests.helpers.run_folders import write_run, write_search


class Bomb:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "imagenet16_120"])
def test_a_pickle_bomb_among_the_images_does_not_go_off(tmp_path, name):
    content = pickle.dumps({b"data": Bomb(tmp_path / "boom"), "data": Bomb(tmp_path / "boom"), "labels": []})
    files = {
        "cifar10": ("cifar-10-batches-py", [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"]),
        "cifar100": ("cifar-100-python", ["train", "test", "meta"]),
        "imagenet16_120": ("ImageNet16", list(IMAGENET16_MD5)),
    }[name]
    (tmp_path / files[0]).mkdir()
    for file in files[1]:
        (tmp_path / files[0] / file).write_bytes(content)
    with pytest.raises(DataError) as refusal:
        get_source(name, root=tmp_path).read()
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "boom").exists()


GARBAGE = [
    b"",
    b"\0" * 64,
    b"\xff\xfe\x00binary\x9c",
    b"PAR1 and no more",
    b'{"a": [1, 2',
    b"[1, 2]",
    b"null",
    b"1e999",
]


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".parquet"])
@pytest.mark.parametrize("content", GARBAGE, ids=str)
def test_a_list_of_architectures_that_is_none(tmp_path, suffix, content):
    file = tmp_path / f"list{suffix}"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="list") as refusal:
        architecture_set(str(file), get_space("nasbench201"))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", GARBAGE, ids=str)
def test_a_damaged_result_is_refused_and_never_taken_for_complete(tmp_path, content):
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(RunError, match="force=true"):
        finished(tmp_path)
    run = read_run(tmp_path)
    assert run.status == FAILED
    assert "\n" not in run.reason


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return write_run(root / "train", ablation={"factor": "sampling", "setting": "fairnas"}), write_search(
        root / "search"
    )


def copy_of(folder, target):
    target.mkdir(parents=True)
    for file in folder.iterdir():
        if file.is_file():
            (target / file.name).write_bytes(file.read_bytes())
    return target


READERS = ("ranking", "predictions", "epochs", "search", "seconds", "record")


LAUGHS = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{new}: &{new} [{', '.join(10 * [f'*{old}'])}]\n" for old, new in itertools.pairwise("abcdefghij")
)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"data: [",
        b"data: !!python/object/apply:os.mkdir [boom]\n",
        f"{LAUGHS}data: {{name: *j}}\n".encode(),
    ],
    ids=["binary", "cut", "object", "laughs"],
)
def test_the_configuration_beside_a_checkpoint_is_read_or_refused(tmp_path, content):
    checkpoint = tmp_path / "run" / "checkpoints" / "final.ckpt"
    write_atomically(checkpoint, b"")
    (tmp_path / "run" / "config.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.yaml is damaged") as refusal:
        check_same_images(checkpoint, {"name": "digits"})
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("content", [b"", b"[1]", b"data: 3\n", b"data: {name: digits, more: {_target_: os.mkdir}}\n"])
def test_a_configuration_without_images_says_nothing_about_them(tmp_path, content):
    checkpoint = tmp_path / "run" / "checkpoints" / "final.ckpt"
    write_atomically(checkpoint, b"")
    (tmp_path / "run" / "config.yaml").write_bytes(content)
    check_same_images(checkpoint, {"name": "digits"})


def test_every_file_of_a_run_cut_or_replaced_is_read_or_refused(tmp_path, folders):
    refused = 0
    for which, original in enumerate(folders):
        for file in sorted(p.name for p in original.iterdir() if p.is_file()):
            whole = (original / file).read_bytes()
            for i, content in enumerate((*GARBAGE, whole[: len(whole) // 2], whole[:-5])):
                run_folder = copy_of(original, tmp_path / f"{which}-{file}-{i}")
                (run_folder / file).write_bytes(content)
                run = read_run(run_folder)
                assert run.status in (COMPLETE, FAILED)
                for reader in READERS if run.status == COMPLETE else ():
                    try:
                        getattr(run, reader)
                    except ValueError as error:
                        refused += 1
                        assert str(run_folder) in str(error)  # noqa: PT017  it may also be read
    assert refused > 10


@pytest.mark.parametrize(
    ("name", "value"),
    [("metrics", 3), ("metrics", {"accuracy": [1]}), ("seed", "0"), ("plan", []), ("evaluation", "x"), ("study", {})],
)
def test_entries_of_another_type_fail_that_run_and_not_the_report(tmp_path, folders, capsys, name, value):
    bad = copy_of(folders[0], tmp_path / "bad")
    result = json.loads((bad / "result.json").read_text())
    (bad / "result.json").write_text(json.dumps({**result, name: value}))
    run = read_run(bad)
    assert run.status == FAILED
    assert run.reason.startswith(f"in result.json {name}")


@pytest.mark.slow
def test_the_report_lists_a_hostile_run_as_failed(tmp_path, folders, capsys):
    copy_of(folders[0], tmp_path / "runs/good")
    bad = copy_of(folders[0], tmp_path / "runs/bad")
    result = json.loads((bad / "result.json").read_text())
    script = "<script>alert(1)</script>"
    (bad / "result.json").write_text(json.dumps({**result, "metrics": [script], "space": script}))
    (tmp_path / "runs/evil").mkdir()
    (tmp_path / "runs/evil/error.txt").write_text(f"ValueError: {script}")
    assert (
        report([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--replicates", "100", "--formats", "none"])
        == 0
    )
    assert "1 complete, 2 failed" in capsys.readouterr().out
    assert script not in (tmp_path / "out/index.html").read_text()


def test_a_folder_belongs_to_one_process(tmp_path):
    folder = tmp_path / "run"
    with held(folder):
        assert folder.is_dir()
        with pytest.raises(RunError, match="another process is at work"), held(folder):
            pass
        (folder / "config.yaml").write_text("x")
    with held(folder):
        pass
    assert (folder / "config.yaml").exists()
    with held(tmp_path / "nothing"):
        pass
    assert not (tmp_path / "nothing").exists()


def test_half_written_files_of_the_dead_are_removed_and_those_of_the_living_stay(tmp_path, monkeypatch):
    (tmp_path / ".result.json.abcdefgh").write_text("{")
    (tmp_path / ".gitignore").write_text("*")
    seen = []

    def look(source, target, real=os.replace):
        remove_leftovers(tmp_path)
        seen.extend(sorted(p.name for p in tmp_path.iterdir()))
        real(source, target)

    monkeypatch.setattr(os, "replace", look)
    write_atomically(tmp_path / "timings.json", b"{}")
    assert len(seen) == 2
    assert seen[1].startswith(".timings.json.")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".gitignore", "timings.json"]


def test_a_table_of_random_bytes_is_refused(tmp_path):
    from nas_lightning.benchmarks import Benchmark

    rng = np.random.default_rng(0)
    for suffix in (".arrow", ".parquet"):
        for head in (b"", b"ARROW1\0\0", b"PAR1"):
            file = tmp_path / f"table{suffix}"
            file.write_bytes(head + rng.bytes(500))
            with pytest.raises(ValueError, match="table") as refusal:
                Benchmark.open(file, space="nasbench201")
            assert "\n" not in str(refusal.value)


def test_another_environment_is_noticed(tmp_path):
    now = environment(threads=2)
    assert environment_changes(tmp_path, now) == []
    then = {**now, "threads": 1, "packages": {**now["packages"], "torch": "1.0"}}
    write_atomically(tmp_path / "environment.json", json.dumps(then).encode())
    assert environment_changes(tmp_path, now) == [f"torch 1.0 -> {now['packages']['torch']}", "threads 1 -> 2"]
    assert environment_changes(tmp_path, then) == []
    assert environment_changes(tmp_path, {**then, "commit": "0" * 40})[0].endswith(" -> 000000000000")
    (tmp_path / "environment.json").write_bytes(b"[")
    assert environment_changes(tmp_path, now) == []


@pytest.mark.parametrize("begun", ["checkpoints/final.ckpt", "checkpoints/step-00000001.ckpt", "journal.jsonl"])
def test_what_goes_on_in_another_environment_says_so_and_keeps_both(tmp_path, capsys, begun):
    now = environment(threads=2)
    then = {**now, "threads": 1}
    record_environment(tmp_path, then)
    write_atomically(tmp_path / begun, b"x")
    record_environment(tmp_path, then)
    assert capsys.readouterr().err == ""
    record_environment(tmp_path, now)
    assert "goes on in another environment (threads 1 -> 2)" in capsys.readouterr().err
    record_environment(tmp_path, now)
    assert capsys.readouterr().err == ""
    kept = json.loads((tmp_path / "environment.json").read_text())
    assert kept == {**now, "earlier": [then]}
