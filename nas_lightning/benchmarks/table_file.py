"""The table format: Arrow columns with a JSON header, as Arrow IPC (memory-mapped) or Parquet (shipped, exchanged).

An Arrow file is uncompressed and has one record batch, so that every column is a plain array in the mapped file. The
header (schema metadata, key ``nas_lightning``) says what each column means and holds a CRC-32 of every column and of
itself. A file is written beside its destination, flushed to disk and renamed: what carries the final name is whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nas_lightning.benchmarks.column import KINDS, refused
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.runs.files import parse_json, remove_leftovers
from nas_lightning.runs.lock import locked

FORMAT, VERSION = "nas-lightning-table", 1
HEADER = b"nas_lightning"
CHECKED_AT_OPEN = 64 * 2**20  # bytes; the columns of larger files are checked by `verify` alone


def arrow_array(values: Any) -> pa.Array:
    """numpy [n] or [n, k], or strings, to one Arrow array without nulls."""
    if isinstance(values, pa.Array):
        return values
    if isinstance(values, np.ndarray) and values.ndim == 2:
        flat = np.ascontiguousarray(values).reshape(-1)
        if values.dtype == np.uint8 and values.shape[1] == 16:  # digests
            return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(values), [None, pa.py_buffer(flat)])
        return pa.FixedSizeListArray.from_arrays(pa.array(flat), values.shape[1])
    return pa.array(values)


def numpy_array(array: pa.Array) -> np.ndarray:
    """Zero-copy view of an Arrow array: [n], [n, k] for lists of fixed size, uint8 [n, 16] for digests."""
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        return array.values.to_numpy(zero_copy_only=True)[array.offset * size :][: len(array) * size].reshape(-1, size)
    if pa.types.is_fixed_size_binary(array.type):
        width = array.type.byte_width
        flat = np.frombuffer(array.buffers()[1], np.uint8)
        return flat[array.offset * width :][: len(array) * width].reshape(-1, width)
    return array.to_numpy(zero_copy_only=True)


def checksum(array: pa.Array) -> int:
    """CRC-32 of a column's content, the same in memory, in an Arrow file and from Parquet."""
    if pa.types.is_string(array.type):
        offsets = np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]
        text = array.buffers()[2]
        start = int(offsets[0]) if len(array) else 0
        stop = int(offsets[-1]) if len(array) else 0
        body = memoryview(text)[start:stop] if text is not None else b""
        return zlib.crc32(body, zlib.crc32(np.ascontiguousarray(offsets - start).tobytes()))
    return zlib.crc32(np.ascontiguousarray(numpy_array(array)).view(np.uint8).data)


def _header_crc(header: dict[str, Any]) -> int:
    body = {key: value for key, value in header.items() if key != "header_crc32"}
    return zlib.crc32(json.dumps(body, sort_keys=True).encode())


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name when the block ends well and vanishes when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    part = Path(name)
    try:
        locked(handle)  # a mark for `remove_leftovers` that the writer lives
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.chmod(0o644)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
        os.close(handle)


def _check_suffix(path: Path) -> None:
    if path.suffix not in (".arrow", ".parquet"):
        raise BenchmarkError(f"{path.name} must end in .arrow (memory-mapped) or .parquet (compressed)")


def check_destination(path: Path) -> None:
    """Refuse a place where no table can be written, before anything is computed for it. Raises BenchmarkError."""
    _check_suffix(path)
    if path.is_dir():
        raise BenchmarkError(f"{path} is a folder; name the file to write in it")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise BenchmarkError(f"{path} cannot be written: {folder} is no folder that takes files; choose another place")


def write_columns(path: Path, columns: dict[str, Any], header: dict[str, Any]) -> None:
    """Write arrays of equal length as Arrow IPC (.arrow) or Parquet (.parquet), atomically."""
    arrays = {name: arrow_array(values) for name, values in columns.items()}
    rows = {len(array) for array in arrays.values()}
    if len(rows) != 1:
        raise BenchmarkError(f"the columns of a table must be equally long, not {sorted(rows)} rows")
    header = {
        "format": FORMAT,
        "version": VERSION,
        "rows": rows.pop(),
        **header,
        "crc32": {name: checksum(array) for name, array in arrays.items()},
    }
    header["header_crc32"] = _header_crc(header)
    table = pa.Table.from_arrays(list(arrays.values()), names=list(arrays)).replace_schema_metadata(
        {HEADER: json.dumps(header, sort_keys=True).encode()}
    )
    _check_suffix(path)
    with replacing(path) as part:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            pq.write_table(table, part, compression="zstd", compression_level=19)
        else:
            with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table, max_chunksize=max(len(table), 1))


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Any Parquet file. Raises BenchmarkError where it is damaged."""
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=columns, use_threads=False)
        _ = table.column_names  # which may be no UTF-8 text
        return table
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> BenchmarkError:
    reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
    return BenchmarkError(f"{path} is damaged or incomplete ({reason}); fetch or convert it again")


def header_of(table: pa.Table) -> dict[str, Any] | None:
    """The JSON header, or None where the table is not in this format."""
    raw = (table.schema.metadata or {}).get(HEADER)
    if raw is None:
        return None
    try:
        header = parse_json(raw)
        return header if header["format"] == FORMAT else None
    except (ValueError, KeyError, TypeError):
        return {"format": FORMAT, "damaged": True}


def read_table(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """A table of this format with its header; Arrow files stay on disk and are paged in as they are read.

    Raises BenchmarkError for a missing, foreign, truncated or corrupt file.
    """
    if not path.is_file():
        raise BenchmarkError(f"{path} does not exist; give a table's path, or a name that list shows")
    if path.suffix == ".parquet":
        table = read_parquet(path).combine_chunks()
    else:
        try:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        except (pa.ArrowException, OSError, UnicodeError) as error:
            raise _damaged(path, error) from None
    header = header_of(table)
    if header is None:
        raise BenchmarkError(
            f"{path} is no table of this project; convert it first (python -m nas_lightning.benchmarks convert --help)"
        )
    if header.get("version") != VERSION and not header.get("damaged"):
        raise BenchmarkError(
            f"{path} has format version {header.get('version')}, this program reads {VERSION}; "
            "convert the source file again"
        )
    if header.get("damaged") or header.get("header_crc32") != _header_crc(header):
        raise BenchmarkError(
            f"{path} is damaged or incomplete (its header does not match its checksum); fetch or convert it again"
        )
    if wrong := _wrong_header(table, header):
        raise BenchmarkError(f"{path} is damaged or incomplete ({wrong}); fetch or convert it again")
    if path.stat().st_size <= CHECKED_AT_OPEN:
        verify_columns(path, table, header)
    return table, header


def _wrong_header(table: pa.Table, header: dict[str, Any]) -> str:
    """What of a header no table of ours has, in words; empty where it fits the columns."""
    sums, meanings, datasets = header.get("crc32"), header.get("columns"), header.get("datasets")
    if not isinstance(sums, dict) or header.get("rows") != len(table) or sorted(sums) != sorted(table.column_names):
        return "its columns are not those of its header"
    if not isinstance(header.get("space"), str) or not isinstance(header.get("space_target", ""), str):
        return "its header names no space"
    if not isinstance(datasets, list) or not all(isinstance(name, str) for name in datasets):
        return "its header names no data sets"
    if not isinstance(meanings, dict):
        return "its header says nothing of its columns"
    for name, meaning in meanings.items():
        if name not in sums:
            return f"it lacks the column {name[:60]}"
        if not isinstance(meaning, dict) or not isinstance(meaning.get("quantity"), str):
            return f"its header does not say what {name[:60]} is"
        epochs = meaning.get("epochs")
        if (
            meaning.get("kind") not in KINDS
            or not isinstance(meaning.get("dataset", ""), str)
            or not (epochs is None or (type(epochs) is int and 0 <= epochs < 2**31))
        ):
            return f"its header is odd about {name[:60]}"
        if wrong := _wrong_type(table.schema.field(name).type, meaning["kind"]):
            return f"{name[:60]} {wrong}"
    return ""


def _wrong_type(kind: pa.DataType, of: str) -> str:
    inner = kind.value_type if pa.types.is_fixed_size_list(kind) else kind
    if pa.types.is_fixed_size_list(kind) != (of != "value"):
        return f"has the wrong shape for kind {of}"
    if pa.types.is_fixed_size_list(kind) and not kind.list_size:
        return "holds rows of no numbers"
    number = pa.types.is_integer(inner) or pa.types.is_floating(inner) or pa.types.is_boolean(inner)
    return "" if number else "holds no numbers"


def single(table: pa.Table, name: str) -> pa.Array:
    """A column as the one array that it is in this format."""
    chunks = table.column(name).chunks
    return chunks[0] if len(chunks) == 1 else pa.array([], table.schema.field(name).type)


def verify_columns(path: Path, table: pa.Table, header: dict[str, Any]) -> None:
    """Compare every column with its CRC-32, and its numbers with what can be measured. Raises BenchmarkError naming the
    damaged ones."""
    try:
        wrong = [name for name in table.column_names if checksum(single(table, name)) != header["crc32"][name]]
        if nulls := [name for name in table.column_names if single(table, name).null_count]:
            raise BenchmarkError(f"{path} has empty places in {nulls[0]}; convert it again")
        for name, meaning in header["columns"].items():
            if reason := refused(meaning["quantity"], numpy_array(single(table, name))):
                raise BenchmarkError(f"{path}: column {name} {reason}")
    except (ValueError, IndexError, TypeError, pa.ArrowException) as error:
        if isinstance(error, BenchmarkError):
            raise
        raise _damaged(path, error) from None
    if wrong:
        raise BenchmarkError(
            f"{path} is damaged ({', '.join(wrong)} do not match their checksums); fetch or convert it again"
        )
