"""What different spellings of a setting mean alike: precisions, ``~`` in paths.

A run is named, recorded and carried out by the settled values, so that what was typed in another way is one run.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from nas_lightning.errors import UserError, did_you_mean

PRECISIONS = {
    "32": "32-true",
    "64": "64-true",
    "16": "16-mixed",
    "bf16": "bf16-mixed",
    **{name: name for name in ("32-true", "64-true", "16-mixed", "bf16-mixed")},
}
"""Lightning's names, and its older ones."""

ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")

LONGEST_NAME = 255
"""Bytes of one folder's name, on the file systems there are."""


def settle(config: Any) -> Any:
    """The typed configuration with every value in its one form. Raises UserError for what is none."""
    _expand(config)
    trainer, study = getattr(config, "trainer", None), getattr(config, "study", None)
    if study is not None:
        check_study(study)
    if not config.runs.isprintable() or not config.runs.strip():
        raise UserError(f"runs={config.runs!r:.80} names no folder; use letters, digits and dashes")
    if any(len(part.encode()) > LONGEST_NAME for part in Path(config.runs).parts):
        raise UserError(f"runs={config.runs[:60]}… is too long for a folder's name; use at most {LONGEST_NAME} bytes")
    if trainer is not None:
        _check_accelerator(trainer)
        trainer.precision = precision_of(str(trainer.precision), str(trainer.accelerator))
    return config


def check_study(study: str) -> None:
    """Refuse a study whose name is no folder below the runs'. Raises UserError."""
    parts = study.split("/")
    odd = not study.isprintable() or "\\" in study  # line ends, marks that turn the text around
    if any(part.strip() in ("", ".", "..") for part in parts) or odd:
        raise UserError(f"study={study!r} names no folder in the folder of the runs; use letters, digits and dashes")
    if any(len(part.encode()) > 200 for part in parts):
        raise UserError(f"study={study[:60]}… is too long for a folder's name; use at most 200 characters")


def precision_of(name: str, accelerator: str) -> str:
    """Lightning's name of a precision. Raises UserError for an unknown one, and for 16-mixed on a CPU. Whether this
    machine has a GPU is no matter here: a sweep is planned where its jobs may not run.

    >>> precision_of("bf16", "cpu")
    'bf16-mixed'
    """
    if name not in PRECISIONS:
        known = ", ".join(dict.fromkeys(PRECISIONS.values()))
        raise UserError(
            f"trainer.precision={name[:60]} is none that training and scoring share; "
            f"{did_you_mean(name, PRECISIONS)}choose one of {known}"
        )
    settled = PRECISIONS[name]
    if settled == "16-mixed" and accelerator == "cpu":
        raise UserError(f"trainer.precision={name} needs a GPU; on a CPU choose bf16-mixed or 32-true")
    return settled


def _check_accelerator(trainer: Any) -> None:
    name = str(trainer.accelerator)
    if name not in ACCELERATORS:
        raise UserError(
            f"trainer.accelerator={name[:60]} is unknown; {did_you_mean(name, ACCELERATORS)}choose one of "
            f"{', '.join(ACCELERATORS)}"
        )


def _expand(section: Any) -> None:
    """Replace a leading ``~`` in every text: only paths begin so."""
    for field in fields(section):
        value = getattr(section, field.name)
        if is_dataclass(value):
            _expand(value)
        elif isinstance(value, str) or (isinstance(value, list) and value and all(isinstance(v, str) for v in value)):
            setattr(section, field.name, [expanded(v) for v in value] if isinstance(value, list) else expanded(value))


def expanded(text: str) -> str:
    """A path with the home folder in place of ``~``. Raises UserError where that is not known.

    >>> expanded("runs/~x")
    'runs/~x'
    """
    if not text.startswith("~"):
        return text
    try:
        return str(Path(text).expanduser())
    except RuntimeError:
        raise UserError(f"{text[:80]} names a home folder that does not exist; write the whole path") from None
