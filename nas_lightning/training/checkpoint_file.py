"""One checkpoint file: written atomically, verified by its checksums, read without ever executing what is in it."""

from __future__ import annotations

import errno
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import torch

from nas_lightning.errors import UserError
from nas_lightning.runs.files import write_atomically

CHECKPOINT_KEY = "nas_lightning"
"""Entry of a checkpoint that holds what rebuilds the network, as plain values."""

FORMAT = 1
"""Of that entry and of the state beside it; a checkpoint of another format is refused."""


class CheckpointError(UserError):
    """A checkpoint that cannot be used; the message says why and what to do."""


class DamagedCheckpointError(CheckpointError):
    """A file whose bytes are not those that were written, or that never was a checkpoint."""


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write `content` next to `path`, flush it to the disk, then rename. Raises OSError (a full disk, …)."""
    buffer = io.BytesIO()  # to a path, PyTorch would report a full disk as an internal error
    torch.save(content, buffer)
    write_atomically(path, buffer.getbuffer())


def verify(path: Path) -> None:
    """Compare every record of the archive with its CRC-32, which PyTorch writes and does not read.

    Raises DamagedCheckpointError. Records are stored as they are: a compressed one was not written by PyTorch.
    """
    with path.open("rb") as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                intact = all(record.compress_type == zipfile.ZIP_STORED for record in archive.infolist())
                intact = intact and archive.testzip() is None
        except Exception as error:  # zipfile raises many kinds for a damaged directory
            if isinstance(error, OSError) and error.errno != errno.EINVAL:  # it seeks to positions that cannot be
                raise
            raise _damaged(path) from error
    if not intact:
        raise _damaged(path)


def _damaged(path: Path) -> DamagedCheckpointError:
    return DamagedCheckpointError(f"checkpoint {path} is damaged or not a PyTorch checkpoint; use another one")


def checkpoint_at(place: Path | str) -> Path:
    """The file that ``checkpoint=…`` means: a .ckpt file itself, of a run folder its final checkpoint."""
    path = Path(place)
    return path / "checkpoints" / "final.ckpt" if path.is_dir() else path


def read_checkpoint(path: Path | str, map_location: Any = "cpu") -> dict[str, Any]:
    """The verified content of a checkpoint of ours, read with ``weights_only``.

    Raises DamagedCheckpointError, and CheckpointError for a missing or foreign file and for one of another format.
    """
    path = Path(path)
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):  # waited for without end
        raise CheckpointError(f"checkpoint {path} is no file; give the path of a .ckpt file of a run folder")
    try:
        verify(path)
        content = torch.load(path, map_location=map_location, weights_only=True)
    except (FileNotFoundError, IsADirectoryError):
        raise CheckpointError(
            f"checkpoint {path} does not exist; give the path of a .ckpt file of a run folder"
        ) from None
    except (OSError, CheckpointError):
        raise
    except Exception as error:  # PyTorch raises many kinds for a hostile archive
        raise _damaged(path) from error
    identity = content.get(CHECKPOINT_KEY) if isinstance(content, dict) else None
    if not isinstance(identity, dict):
        raise CheckpointError(
            f"checkpoint {path} was not written by nas-lightning (it has no {CHECKPOINT_KEY!r} entry)"
        )
    if identity.get("format") != FORMAT:
        raise CheckpointError(
            f"checkpoint {path} has format {identity.get('format')}, this version of nas-lightning reads format "
            f"{FORMAT}; move the folder away, or repeat its run with force=true"
        )
    return content
