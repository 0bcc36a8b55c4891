"""What a kill leaves is gone after the next command; what the living write stays."""

import os
import signal
import subprocess
import sys
import time

import pytest

from nas_lightning.benchmarks.table_file import replacing
from nas_lightning.runs import temporary
from nas_lightning.runs.files import remove_leftovers, write_atomically

BODY = """
import sys, time
from pathlib import Path
from nas_lightning.benchmarks.table_file import replacing
from nas_lightning.runs.temporary import temporary_folder
with replacing(Path(sys.argv[1]) / "t.parquet") as part, temporary_folder("test") as folder:
    part.write_bytes(b"half")
    (folder / "deep").mkdir()
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def at_work(tmp_path, monkeypatch):
    """A process that writes a table and holds a temporary folder; (process, folder of the table, temporary folder)."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    with subprocess.Popen([sys.executable, "-c", BODY, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        yield process, tmp_path, tmp_path / "tmp"
        process.kill()


def test_the_next_command_removes_what_a_kill_left(at_work):
    process, folder, temporary_folders = at_work
    remove_leftovers(folder)
    temporary.remove_abandoned()
    assert len(list(folder.glob(".t.parquet.*"))) == 1, "its process lives"
    assert len(list(temporary_folders.iterdir())) == 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(list(folder.glob(".t.parquet.*"))) == 1
    with replacing(folder / "other.arrow") as part:
        part.write_bytes(b"whole")
    with temporary.temporary_folder("test") as mine:
        assert list(temporary_folders.iterdir()) == [mine.parent]
    assert not list(temporary_folders.iterdir())
    assert sorted(p.name for p in folder.iterdir()) == ["other.arrow", "tmp"]


def test_an_empty_folder_of_a_process_killed_at_once_goes_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "nas-lightning-sweep-abc").mkdir()
    temporary.remove_abandoned()
    assert (tmp_path / "nas-lightning-sweep-abc").exists()
    os.utime(tmp_path / "nas-lightning-sweep-abc", (time.time() - 3600,) * 2)
    temporary.remove_abandoned()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.json", "t.parquet", "t.arrow", "index.html", "page.md", "runs.tar.xz", "x.svg"])
def test_every_kind_of_file_is_cleared_and_no_other(tmp_path, name):
    (tmp_path / f".{name}.abcd_123").write_text("")
    (tmp_path / f".{name}.abcd_123.part").write_text("")  # of versions before
    (tmp_path / f".{name}").write_text("")
    (tmp_path / f"{name}.abcd_123").write_text("")
    remove_leftovers(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([f".{name}", f"{name}.abcd_123"])
    remove_leftovers(tmp_path / "missing")
    write_atomically(tmp_path / name, b"x")
    assert (tmp_path / name).read_bytes() == b"x"
