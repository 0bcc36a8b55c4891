"""What a user sees when a command line is wrong: one sentence, the valid names beneath it, and an exit code.

Exit codes: 0 done, 1 a bug or a crash (with its traceback), 2 wrong input or a disk that refuses (one sentence), 75
ended by SIGTERM or by another process that does not answer and 130 by Ctrl-C: the same command goes on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nas_lightning.config.check import ELSEWHERE
from nas_lightning.config.shorthand import written_out
from nas_lightning.errors import UserError, did_you_mean, nearest, one_sentence
from nas_lightning.processes.launch import RankSilentError, is_started_by_rank_0
from nas_lightning.processes.output import forgiving_output
from nas_lightning.processes.signals import INTERRUPTED, Stopped, stoppable
from nas_lightning.runs.files import refused_by_disk

INPUT_ERROR = 2


def valid_names(error: BaseException) -> str | None:
    """The names that would have been valid where an override names an unknown key, as a line; None for other errors."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OmegaConfBaseException):
        cause = cause.__cause__
    parent = getattr(cause, "parent_node", None)
    if not isinstance(cause, OmegaConfBaseException) or not isinstance(parent, DictConfig):
        return None
    names = [str(name) for name in parent]
    wrong = str(cause.key)
    if wrong in names:  # the key exists, its value is of a wrong type
        return None
    deeper = [ELSEWHERE[wrong]] if wrong in ELSEWHERE else list(paths_to(wrong, parent))
    close = deeper or nearest(wrong, names, n=1)
    guess = f"Did you mean {' or '.join(close)}? " if close else ""
    where = str(cause.full_key or "").rpartition(".")[0]
    place = f" in {where}" if where else ""
    return f"{guess}Valid names{place}: {', '.join(sorted(names))}"


def paths_to(name: str, config: DictConfig) -> Iterator[str]:
    """Where a key of this name stands below `config`, as ``trainer.deterministic``."""
    for key in map(str, config):
        if not OmegaConf.is_missing(config, key) and not OmegaConf.is_interpolation(config, key):
            below = config[key]
            if isinstance(below, DictConfig) and key != "hydra":
                if name in below:  # a heuristic is chosen as a file of its group
                    yield f"{key}{'/' if key == 'heuristics' else '.'}{name}"
                yield from (f"{key}.{path}" for path in paths_to(name, below))


def describe(error: BaseException) -> str:
    """The message of a configuration error, its cause, and the valid names."""
    if isinstance(error, OverrideParseException):
        key = error.override.partition("=")[0].lstrip("+~") if isinstance(error.override, str) else "name"
        return (
            f"error: {one_sentence(str(error.override))[:120]} cannot be read: = , : ( ) [ ] {{ }} and spaces mean "
            f"something to Hydra; put such a value into quotes twice, as in '{key[:40]}=\"value\"'"
        )
    if isinstance(error, MissingConfigException) and error.options is not None and error.missing_cfg_file:
        path = error.missing_cfg_file
        group, _, choice = path.partition("/../") if "/../" in path else path.rpartition("/")
        if group:  # one of a group's files; without a group it is the installation that lacks one
            known = sorted(error.options)
            guess = did_you_mean(choice, known)
            return f"error: {group}={one_sentence(choice)[:80]} does not exist; {guess}choose one of {', '.join(known)}"
    if isinstance(error.__cause__, UserError):  # of what Hydra has built, such as a sweeper
        return f"error: {error.__cause__}"
    # Without Hydra's advice to add the key: what is added by + is read by nobody.
    lines = str(error).strip().split("\n")
    if lines[0].startswith("Ambiguous value for argument"):
        key, _, value = one_sentence(lines[0].partition("'")[2].rstrip("'")).partition("=")
        return (
            f"error: {key}={value[:80]} is several values: add -m to try each, write [{value[:40]}] for a list, or put "
            f"it into quotes twice, as in '{key[:40]}=\"{value[:40]}\"'"
        )
    advice = ("To append to your config use", "To append to your default list use")
    parts = ["\n".join(line for line in lines if not line.startswith(advice))]
    if isinstance(error.__cause__, OmegaConfBaseException):
        # Without the lines in which OmegaConf names its own types.
        parts.append(str(error.__cause__).strip().split("\n")[0])
    names = valid_names(error)
    return "\n".join(dict.fromkeys([*parts, *([names] if names else [])]))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes that Python could not decode
        return False
    return True


def tell(error: UserError) -> None:
    """Print the sentence of wrong input on standard error, unless that was done where it was found."""
    if not getattr(error, "was_printed", False):
        print(f"error: {error}", file=sys.stderr)


def run_main(main: Callable[[], Any], complete: Callable[[list[str]], list[str]] = list) -> None:
    """Call a Hydra main; turn wrong input (`UserError`) into one sentence on stderr and exit code 2.

    Everything else keeps its traceback. Must be called before Hydra handles errors by itself, which is why it asks for
    full errors.

    Args:
        main: The function that `hydra.main` decorates.
        complete: What makes of the arguments that were typed those that Hydra reads.
    """
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    forgiving_output()
    sys.argv[1:] = complete(written_out(sys.argv[1:]))
    if os.getcwd() not in sys.path:  # classes of the user's own folder, behind everything that is installed
        sys.path.append(os.getcwd())
    try:
        if odd := [text for text in sys.argv[1:] if not text.isascii() and not _is_utf8(text)]:
            raise UserError(f"{odd[0]!a:.80} is no UTF-8 text; rename the file, or set the terminal to UTF-8")
        with stoppable():
            main()
    except (HydraException, OmegaConfBaseException) as error:
        print(describe(error), file=sys.stderr)
        sys.exit(INPUT_ERROR)
    except UserError as error:
        tell(error)
        sys.exit(INPUT_ERROR)
    except OSError as error:  # of Hydra's own folders: a job says it itself
        if not error.filename:
            raise
        tell(refused_by_disk(error))
        sys.exit(INPUT_ERROR)
    except ValueError as error:
        if "Config group override must be a string or a list" not in str(error):
            raise
        tell(UserError("null and numbers are no choice of a group, such as data=…; name one of its choices"))
        sys.exit(INPUT_ERROR)
    except RankSilentError as silent:
        print(f"error: {silent}", file=sys.stderr)
        sys.exit(silent.exit_code)
    except Stopped as stop:
        if not is_started_by_rank_0():  # which says it
            print(stop, file=sys.stderr)
        sys.exit(stop.exit_code)
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from here", file=sys.stderr)
        sys.exit(INTERRUPTED)
