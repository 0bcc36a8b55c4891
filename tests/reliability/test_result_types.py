"""One author and one reader of result.json, held to the same types."""

import json
import os
from pathlib import Path

import pytest

from nas_lightning.runs.files import RunError
from nas_lightning.runs.lock import holding, is_locked, locked
from nas_lightning.runs.result import read_result, write_result, wrong
from nas_lightning.runs.shapes import misfit

OLD = Path(__file__).parents[1] / "fixtures" / "before_the_move"
RESULTS = sorted(OLD.rglob("result.json"))
HEAD = {
    "kind": "standalone", "status": "complete", "run_hash": "0" * 12, "space": "nasbench201", "dataset": "digits",
    "seed": 0,
}  # fmt: skip


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.parent.name)
def test_what_was_written_before_is_read_and_written_again_as_it_was(file, tmp_path):
    found = read_result(file)
    assert write_result(tmp_path, found) == found
    assert json.loads((tmp_path / "result.json").read_text()) == json.loads(file.read_text())


def test_unknown_entries_stay_and_the_schema_version_comes_first(tmp_path):
    written = write_result(tmp_path, {**HEAD, "of_a_later_version": {"a": [1]}})
    assert next(iter(written)) == "schema_version"
    assert read_result(tmp_path / "result.json")["of_a_later_version"] == {"a": [1]}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"seed": "0"}, "seed is of type str"),
        ({"seed": True}, "seed is of type bool"),
        ({"plan": []}, "plan is of type list"),
        ({"parameters": 1.5}, "parameters is of type float"),
        ({"metrics": {"test": 3}}, "metrics.test is of type int"),
        ({"changed": {"a": [1]}}, "changed.a holds 1 values"),
        ({"ablation": {"setting": []}}, "ablation.setting is of type list"),
        (
            {"kind": "train", "metrics": {"accuracy": {"n": 3}}, "benchmark": {"name": "t"}},
            "accuracy lacks kendall_tau",
        ),
        ({"kind": "evaluation"}, "evaluation is missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_author_and_reader_refuse_the_same(wrong, words, tmp_path):
    with pytest.raises(TypeError, match=words):
        write_result(tmp_path, {**HEAD, **wrong})
    assert not list(tmp_path.iterdir())
    (tmp_path / "result.json").write_text(json.dumps({"schema_version": 1, **HEAD, **wrong}))
    with pytest.raises(RunError, match=f"{words}.*force=true"):
        read_result(tmp_path / "result.json")


def test_a_whole_number_is_a_number_and_a_truth_value_is_none():
    assert misfit({"tau": 1}, dict[str, float]) == ""
    assert "tau is of type bool" in misfit({"tau": True}, dict[str, float])
    assert "a.1 is of type str" in misfit({"a": [1, "2"]}, dict[str, list[int]])


def test_a_lock_is_had_by_one_and_goes_with_its_descriptor(tmp_path):
    path = tmp_path / "file"
    assert not is_locked(path)
    path.touch()
    first, second = (os.open(path, os.O_RDWR) for _ in range(2))
    assert locked(first)
    assert not locked(second)
    assert not locked(second, shared=True)
    assert is_locked(path)
    os.close(first)
    assert not is_locked(path)
    assert locked(second, shared=True)
    assert not is_locked(path)  # readers alone
    os.close(second)
    with holding(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


@pytest.mark.parametrize("changed", ["text", 5, [1], {"a": 3}, {"a": "ab"}])
def test_what_changed_is_a_mapping_of_pairs_whatever_the_kind(changed):
    for kind in ("train", "nothing", None):
        assert wrong({"kind": kind, "status": "diverged", "seed": 1, "changed": changed})
