"""Cases in forked processes: what ends one of them, a signal too, is that case's outcome and not the end of the rest.

A child has 3 GiB more address space than it starts with, 30 seconds a case, and a hook that notes whatever starts
a program, opens a connection, or writes outside the folder of the cases.
"""

import faulthandler
import json
import os
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from nas_lightning.errors import UserError

MEMORY, SECONDS, LONGEST = 3 << 30, 30, 300
_STARTS = {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "subprocess.Popen",
           "socket.connect", "pty.spawn", "ctypes.dlopen"}  # fmt: skip
_CHANGES = {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate"}
READ, REFUSED = "read", "refused"


@dataclass
class Outcome:
    """Of many cases: how many were read and refused, and (case, what went wrong) for the others."""

    counts: Counter = field(default_factory=Counter)
    wrong: list = field(default_factory=list)
    peak_mb: float = 0.0

    @property
    def cases(self):
        return sum(self.counts.values())


class TooSlow(BaseException):
    """A case took too long; no reader catches it."""


def judged(do, case):
    """The outcome of one case in this process: "read", "refused", or what is wrong with it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            do(case)
    except UserError as error:
        text = str(error)
        if "\n" in text or "\r" in text or not text.strip():
            return f"not one line: {text[:300]!r}"
        if len(text) >= LONGEST:
            return f"{len(text)} characters: {text[:400]!r}"
        if not text.isprintable():
            return f"not printable: {text[:300]!r}"
        return REFUSED
    except TooSlow:
        return f"took more than {SECONDS} s"
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)
        own = [f"{Path(f.filename).name}:{f.lineno}" for f in where if "nas_lightning" in f.filename][-3:]
        return f"{type(error).__name__}: {str(error)[:200]!r} at {' < '.join(reversed(own))}"
    return READ


def _watch(folder, seen):
    def hook(event, arguments):
        if event in _STARTS:
            seen.append(f"{event} {arguments!r:.100}")
        elif event == "open" and isinstance(arguments[0], str | bytes):
            path = os.path.abspath(os.fsdecode(arguments[0]))
            writes = (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and not path.startswith((folder, "/dev/null")) and "__pycache__" not in path:
                seen.append(f"writes {path}")
        elif event in _CHANGES and isinstance(arguments[0], str | bytes | os.PathLike):
            path = os.path.abspath(os.fsdecode(arguments[0]))
            if not path.startswith(folder) and "__pycache__" not in path:
                seen.append(f"{event} {path}")

    sys.addaudithook(hook)


def _child(do, first, count, folder, pipe):
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.disable()
    quiet = os.open(os.devnull, os.O_RDWR)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    tempfile.tempdir = folder
    os.chdir(folder)

    def late(*_):
        raise TooSlow

    signal.signal(signal.SIGALRM, late)
    seen = []
    _watch(folder, seen)
    for case in range(first, count):
        os.write(pipe, b"%d\n" % case)
        seen.clear()
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        said = judged(do, case)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if seen:
            said = f"did {seen[0]}"
        os.write(pipe, json.dumps(said).encode() + b"\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    os.write(pipe, f"peak {peak:.0f}\n".encode())


def run(do, count, folder):
    """`do(case)` for the cases 0 … count − 1, each in a child process that many share until one kills it."""
    outcome, first = Outcome(), 0
    folder = os.path.realpath(folder)
    while first < count:
        source, sink = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(source)
            try:
                _child(do, first, count, folder, sink)
            finally:
                os._exit(0)
        os.close(sink)
        with open(source, "rb") as stream:
            lines = stream.read().decode().splitlines()
        _, status = os.waitpid(child, 0)
        case = first
        for line in lines:
            if line.startswith("peak"):
                outcome.peak_mb = max(outcome.peak_mb, float(line.split()[1]))
            elif line.startswith('"'):
                _count(outcome, case, json.loads(line))
                first = case + 1
            else:
                case = int(line)
        if not lines or lines[-1].isdigit():  # it ended within a case
            number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            _count(outcome, case, f"signal {number}" if number else f"ended by itself with {status >> 8}")
            first = case + 1
    return outcome


def _count(outcome, case, said):
    outcome.counts[said if said in (READ, REFUSED) else "wrong"] += 1
    if said not in (READ, REFUSED):
        outcome.wrong.append((case, said))
