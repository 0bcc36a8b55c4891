"""The unattended session of a GPU, at toy size on the CPU: what it runs, what it saves, what stops it."""

import json
import os
import signal
import sys
import time

import pytest
from pyarrow import parquet

from perf import gpu_session


def lines(out):
    return [json.loads(line) for line in (out / "session.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_session_trains_ranks_and_goes_on_where_it_was(tmp_path, monkeypatch):
    """Its jobs run in this process: starting one takes longer than its work."""
    from nas_lightning.modes.main import train
    from tests.helpers.commands import composed

    begun = []

    def execute(command, log, seconds, environ=None):
        assert 0 < seconds <= 600
        begun.append(command)
        train(composed(*command[2:], "trainer.threads=1"), quiet=True)
        return 0

    monkeypatch.setattr(gpu_session, "execute", execute)
    tiny = ["--out", str(tmp_path), "--only", "quality", "--device", "cpu", "--tiny", "--seeds", "1", "--minutes", "10"]
    assert gpu_session.main([*tiny, "--arms", "tied stages", "--", "plan.protocol.learning_rate=0.07"]) == 0
    assert [command[-1].rsplit("/", 1)[1] for command in begun] == ["tied_stages-seed0", "tied_stages-seed0-unseen"]
    first, trained, unseen = lines(tmp_path)
    assert first["environment"]["torch"]
    assert (trained["outcome"], unseen["outcome"]) == ("done", "done")
    result = json.loads((tmp_path / "runs" / "tied_stages-seed0" / trained["run"] / "result.json").read_text())
    assert result["heuristics"]["sharing_curriculum"] == {"extent": "stage", "until": 1.0}
    assert result["plan"]["protocol"]["learning_rate"] == 0.07
    assert trained["metrics"]["class_separation"]["n"] == 10
    table = parquet.read_table(tmp_path / "runs" / "tied_stages-seed0-unseen" / unseen["run"] / "ranking.parquet")
    rows = table.sort_by("supernet_accuracy").to_pylist()
    best = [row["standalone_accuracy"] for row in rows if row["supernet_accuracy"] == rows[-1]["supernet_accuracy"]]
    assert unseen["top_picks"]["supernet_accuracy"] in best
    assert unseen["top_picks"]["params"] == max(rows, key=lambda row: row["params"])["standalone_accuracy"]
    assert not {"standalone_accuracy", "optimization_gap"} & set(unseen["top_picks"])
    again = []
    monkeypatch.setattr(gpu_session, "execute", lambda command, *_: again.append(command) or 0)
    assert gpu_session.main([*tiny, "--arms", "tied stages", "--", "plan.protocol.learning_rate=0.07"]) == 0
    assert again == begun, "the same jobs in the same folders, which train.py does not repeat"
    assert len(lines(tmp_path)) == 6


def test_the_jobs_of_a_full_session_are_those_of_the_recipe(tmp_path):
    args = gpu_session.parse(["--out", str(tmp_path), "--data", "/images", "trainer.precision=bf16-mixed"])
    found = list(gpu_session.jobs(args, tmp_path))
    names = [name for name, _, _ in found]
    assert names[:4] == [f"{what}: {arm}, seed 0" for arm in args.arms for what in ("train", "unseen")]
    assert len(found) == 3 * 2 * 2 + 2
    assert len({folder for _, folder, _ in found}) == len(found)
    first = found[0][2]()
    assert first[0] == "recipe=nasbench201_best"
    assert {"heuristics.sharing_curriculum.extent=stage", "seed=0", "data.root=/images"} < set(first)
    assert {"trainer.accelerator=gpu", "trainer.precision=bf16-mixed"} < set(first)
    with pytest.raises(FileNotFoundError, match="0 complete runs"):
        found[1][2]()
    for _, folder, _ in found[::2]:
        (folder / "run").mkdir(parents=True)
        (folder / "run" / "result.json").write_text("{}")
    assert "evaluation.architectures=all-random1000raw_seed0" in found[1][2]()
    (several,) = [text for text in found[-1][2]() if text.startswith("checkpoint=")]
    assert several.count("cells_tied_for_half-seed") == 3


def test_time_that_is_up_and_failures_are_lines_and_the_next_part_begins(tmp_path, monkeypatch, capsys):
    begun = []

    def execute(command, log, seconds, environ=None):
        begun.append(command)
        if "pytest" in command:
            assert environ == {"NAS_LIGHTNING_GPU_TESTS": "cpu"}
            report = next(text.split("=")[1] for text in command if text.startswith("--junitxml="))
            case = '<testcase classname="a" name="b">{}</testcase>'
            broken = case.format('<failure message="assert 1 == 2"/>')
            with open(report, "w") as file:
                file.write(f"<testsuites><testsuite>{case.format('')}{broken}</testsuite></testsuites>")
            return 1
        if "perf.gpu_nasbench201" in command:
            (tmp_path / "speed.json").write_text('{"results": {"variants": {"eager": {"images_per_second": 5.0}}}}')
        return gpu_session.TIMED_OUT

    monkeypatch.setattr(gpu_session, "execute", execute)
    assert gpu_session.main(["--out", str(tmp_path), "--device", "cpu", "--tiny", "--seeds", "1"]) == 1
    found = {line["name"]: line for line in lines(tmp_path)}
    tests = found["pytest -m gpu"]
    assert (tests["outcome"], tests["tests"], tests["passed"]) == ("failed", 2, 1)
    assert tests["failures"] == {"a::b": "assert 1 == 2"}
    assert found["eager"]["images_per_second"] == 5.0
    assert found["perf.gpu_nasbench201"]["outcome"] == "out of time"
    assert found["train: tied stages, seed 0"]["outcome"] == "out of time"
    assert "holds 0 complete runs" in found["unseen: tied stages, seed 0"]["reason"]
    begun.clear()
    assert (
        gpu_session.main(["--out", str(tmp_path), "--only", "quality", "--device", "cpu", "--tiny", "--minutes", "0"])
        == 75
    )
    assert not begun
    assert lines(tmp_path)[-1]["outcome"] == "out of time"


def test_tests_that_were_all_skipped_prove_nothing(tmp_path, monkeypatch):
    def execute(command, log, seconds, environ=None):
        report = next(text.split("=")[1] for text in command if text.startswith("--junitxml="))
        with open(report, "w") as file:
            file.write(
                '<testsuite><testcase classname="a" name="b"><skipped message="no CUDA"/></testcase></testsuite>'
            )
        return 0

    monkeypatch.setattr(gpu_session, "execute", execute)
    assert gpu_session.main(["--out", str(tmp_path), "--only", "correctness", "--device", "cpu", "--tiny"]) == 1


@pytest.mark.slow
def test_a_command_that_outlasts_its_time_is_told_to_end(tmp_path):
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('saved')))\n"
        "print('on', flush=True)\n"
        "time.sleep(60)"
    )
    log, started = tmp_path / "log", time.monotonic()
    assert gpu_session.execute([sys.executable, "-c", code], log, 3.0) == "out of time"
    assert time.monotonic() - started < 50
    assert log.read_text() == "on\nsaved\n"
    assert gpu_session.execute([sys.executable, "-c", "import os; print(os.environ['A'])"], log, 60.0, {"A": "b"}) == 0
    assert log.read_text().endswith("saved\nb\n")
    assert gpu_session.outcome(75) == "out of time"


def test_a_session_that_is_told_to_end_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu_session, "execute", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    assert gpu_session.main(["--out", str(tmp_path), "--only", "quality", "--device", "cpu", "--tiny"]) == 75
    assert capsys.readouterr().err == "terminated: the same command goes on from here\n"


def test_what_cannot_be_done_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        gpu_session.parse(["--out", str(tmp_path), "--device", "cpu"])
    assert "add --tiny" in capsys.readouterr().err
