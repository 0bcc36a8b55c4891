"""Every reader on changed files: read, or one sentence; nothing executed, no signal, memory bounded."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from nas_lightning.errors import UserError
from tests.fuzz.__main__ import fuzz
from tests.fuzz.every import READERS
from tests.fuzz.sandbox import run

SHORT = 8


def fine(outcome):
    assert not outcome.wrong, "\n".join(f"case {case}: {said}" for case, said in outcome.wrong[:20])


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_some_changed_files_of_every_reader(reader):
    fine(fuzz(reader, SHORT))


@pytest.mark.fuzz
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_all_changed_files_of_every_reader(reader):
    fine(fuzz(reader, reader.share))


def test_there_are_enough():
    assert sum(reader.share for reader in READERS) >= 10_000
    assert sum(reader.share for reader in READERS if "pickle" in reader.name or ".pth" in reader.name) >= 2_000


class Raw(UserError):
    """As messages were before they were kept to one short line."""

    __str__ = Exception.__str__


def refuse(kind, text):
    raise kind(text)


DEEDS = [
    (lambda: None, ""),
    (lambda: refuse(UserError, "no such table; give another one"), ""),
    (lambda: refuse(UserError, "two\nlines " + 1000 * "x"), ""),
    (lambda: refuse(Raw, "two\nlines"), "one line"),
    (lambda: refuse(Raw, "x" * 300), "300 characters"),
    (lambda: {}["missing"], "KeyError"),
    (lambda: os.kill(os.getpid(), signal.SIGSEGV), "signal 11"),
    (lambda: os.mkdir("/tmp/nl-fuzz-never/never"), "did os.mkdir"),
    (lambda: subprocess.run(["true"], check=True), "did subprocess.Popen"),
    (lambda: bytearray(1 << 40), "MemoryError"),
    (lambda: os._exit(3), "ended by itself"),
    (lambda: Path("/tmp/nl-fuzz-never/never").write_text(""), "writes"),
]


def test_the_sandbox_sees_what_goes_wrong(tmp_path):
    outcome = run(lambda case: DEEDS[case][0](), len(DEEDS), str(tmp_path))
    wrong = [case for case, (_, words) in enumerate(DEEDS) if words]
    assert outcome.counts == {"read": 1, "refused": 2, "wrong": len(wrong)}
    assert [case for case, _ in outcome.wrong] == wrong
    for case, said in outcome.wrong:
        assert DEEDS[case][1] in said, said
