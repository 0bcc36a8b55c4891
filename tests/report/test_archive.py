"""Archives of result files: the report reads them like the folders, and refuses hostile and damaged ones."""

import io
import tarfile

import pytest

from nas_lightning.report.__main__ import main
from nas_lightning.runs.archive import main as archive_main
from nas_lightning.runs.archive import pack, unpacked
from nas_lightning.runs.reading import find_runs

RESULT = b'{"schema_version": 1, "kind": "train", "status": "not_applicable", "reason": "no such width", "space": "x", '
RESULT += b'"dataset": "digits", "seed": 0, "run_hash": "0"}'


@pytest.fixture
def runs(tmp_path):
    for name in ("a/one", "b"):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "result.json").write_bytes(RESULT)
        (folder / "config.yaml").write_text("runs: /home/somebody\n")
        (folder / "ranking.png").write_bytes(b"picture")
    return tmp_path / "runs"


def test_an_archive_holds_the_result_files_alone_and_the_same_bytes_every_time(runs, tmp_path, capsys):
    assert archive_main([str(runs), str(tmp_path / "a.tar.xz")]) == 0
    assert "(2 runs, " in capsys.readouterr().out
    assert pack(runs, tmp_path / "b.tar.xz") == 2
    assert (tmp_path / "a.tar.xz").read_bytes() == (tmp_path / "b.tar.xz").read_bytes()
    with tarfile.open(tmp_path / "a.tar.xz") as archive:
        assert sorted(archive.getnames()) == ["a/one/result.json", "b/result.json"]


def test_the_report_reads_an_archive_like_its_folder(runs, tmp_path, capsys):
    pack(runs, tmp_path / "a.tar.xz")
    with unpacked([tmp_path / "a.tar.xz", runs]) as (inside, same):
        assert same == runs
        assert [run.result for run in find_runs([inside])] == [run.result for run in find_runs([runs])]
    assert not inside.exists()
    assert main([str(tmp_path / "a.tar.xz"), "--out", str(tmp_path / "report")]) == 0
    assert "2 not applicable" in capsys.readouterr().out


def hostile(path, name):
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(RESULT)
        archive.addfile(entry, io.BytesIO(RESULT))
    return path


def test_members_that_leave_the_folder_are_refused_or_stay_inside(tmp_path):
    (tmp_path / "in").mkdir()
    climbing = hostile(tmp_path / "in" / "climbing.tar", "../../outside.json")
    with pytest.raises(ValueError, match="is no intact archive of runs"), unpacked([climbing]):
        pass
    absolute = hostile(tmp_path / "in" / "absolute.tar", str(tmp_path / "outside.json"))
    with unpacked([absolute]) as (inside,):
        assert [path.name for path in inside.rglob("*.json")] == ["outside.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_damaged_and_missing_archives_are_a_sentence(runs, tmp_path, capsys):
    pack(runs, tmp_path / "a.tar.xz")
    (tmp_path / "cut.tar.xz").write_bytes((tmp_path / "a.tar.xz").read_bytes()[:100])
    assert main([str(tmp_path / "cut.tar.xz"), "--out", str(tmp_path / "r")]) == 2
    assert "is no intact archive of runs" in capsys.readouterr().err
    assert main([str(tmp_path / "none.tar.xz"), "--out", str(tmp_path / "r")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
    assert archive_main([str(runs), str(tmp_path / "a.zip")]) == 2
    assert archive_main([]) == 2


def test_a_folder_with_a_long_name_is_packed_and_read(tmp_path):
    folder = tmp_path / "runs" / ("distribution-" + "x" * 150)
    folder.mkdir(parents=True)
    (folder / "result.json").write_bytes(RESULT)
    assert pack(tmp_path / "runs", tmp_path / "one.tar.xz") == 1
    with unpacked([tmp_path / "one.tar.xz"]) as folders:
        assert [run.path.name for run in find_runs(folders)] == [folder.name]
