"""``python -m nas_lightning.analysis <part>``: what a space and its tables are like. See docs/ANALYSIS.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from nas_lightning.analysis.output import show
from nas_lightning.errors import UserError
from nas_lightning.processes.output import forgiving_output
from nas_lightning.processes.signals import Stopped, stoppable
from nas_lightning.runs.files import refused_by_disk

PARTS = ("landscape", "hyperparameters", "fronts", "curves", "niches")


def parser() -> argparse.ArgumentParser:
    """The command line, one sub-command a part: the modules ``<part>_command`` with HELP, add_arguments and run."""
    top = argparse.ArgumentParser(prog="python -m nas_lightning.analysis", description=__doc__)
    parts = top.add_subparsers(dest="part", required=True, metavar="part")
    for name in PARTS:
        module = import_module(f"nas_lightning.analysis.{name}_command")
        part = parts.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(part)
        part.add_argument("--out", type=Path, help=f"folder of table and figure (default: analysis/{name})")
        part.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0, 2 for wrong input or a disk that refuses, 130 and 75 where it is interrupted; one sentence."""
    arguments = parser().parse_args(argv)
    out = arguments.out or Path("analysis") / arguments.part
    try:
        with stoppable():
            if out.exists() and not out.is_dir():
                raise UserError(f"--out {out} is a file; name a folder")
            arguments.run(arguments, out)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {refused_by_disk(error, out)}", file=sys.stderr)
        return 2
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        return stopped.exit_code
    show(f"Table and figure: {out}")
    return 0


if __name__ == "__main__":
    forgiving_output()
    sys.exit(main())
