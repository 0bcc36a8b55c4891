"""Pickles from strangers, read by a machine of our own that knows containers, numbers and plain numpy buffers alone.

A pickle is a program: it names functions and calls them, and sets the state of what they return. Python's own machine
with an allow-list of names is not enough, since what an allowed name does with a hostile state is not in our hands (the
`__setstate__` of a numpy dtype turns bytes into pointers), and since a key that is nested deeply enough overflows the
C stack when it is hashed. Here every opcode is ours: names become inert tokens, calling one of the few known tokens
runs a function of this file on checked arguments, arrays are rebuilt from checked bytes, keys are flat, and what the
objects take in memory is counted while they are made.
"""

from __future__ import annotations

import codecs
import io
import math
import struct
from collections.abc import Callable, Mapping
from typing import IO, Any

import numpy as np

from nas_lightning.benchmarks.errors import BenchmarkError

_WINDOW = 2**20  # bytes that are read at a time
_LINE = 2**16  # longest line of the text opcodes
_NUMBERS = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "f16", "c8", "c16", "c32"}
_SCALARS = frozenset((str, int, float, bytes, bool, complex, type(None)))
_FLOAT, _INT, _USHORT, _UINT, _ULONG = (struct.Struct(code).unpack_from for code in (">d", "<i", "<H", "<I", "<Q"))


class _Name:
    """A global that the pickle names: nothing but its name."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _Unbuilt:
    """A numpy array or dtype before its state is known; `place` is where the memo holds it."""

    __slots__ = ("dtype", "place")

    def __init__(self, dtype: str | None) -> None:
        self.dtype, self.place = dtype, -1


class _Mark:
    """The start of a group on the stack."""


_MARK = _Mark()


def _refused(what: str) -> BenchmarkError:
    return BenchmarkError(f"the pickle {what}; official benchmark files hold containers and numbers alone")


def _key(key: Any) -> Any:
    """A value that may be hashed: flat, so that hashing takes no stack and no time."""
    kind = type(key)
    if kind in _SCALARS:
        return key
    if kind is tuple and len(key) <= 64 and all(type(part) in _SCALARS for part in key):
        return key
    if isinstance(key, np.generic):
        return key
    raise _refused(f"has a key or an element of a set that is no number, text or flat tuple ({kind.__name__})")


def _plain_dtype(text: Any) -> str:
    text = text.decode("latin1") if type(text) is bytes else text
    if type(text) is not str or text not in _NUMBERS:
        raise _refused(f"holds an array of type {str(text)[:20]!r}, which is no plain number")
    return text


def _array(raw: Any, dtype: Any, shape: Any, fortran: bool) -> np.ndarray:
    """An array of plain numbers from its bytes, all of them checked against one another."""
    raw = raw.encode("latin1") if type(raw) is str else raw
    if isinstance(dtype, _Unbuilt) and dtype.dtype is not None:
        dtype = np.dtype(dtype.dtype)  # its state was never set: native order
    if not isinstance(dtype, np.dtype) or not isinstance(raw, bytes | bytearray):
        raise _refused("holds an array that is no buffer of plain numbers")
    if type(shape) is not tuple or len(shape) > 8 or any(type(size) is not int or size < 0 for size in shape):
        raise _refused("holds an array without a plain shape")
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise _refused("holds an array whose bytes do not fill its shape")
    return np.frombuffer(bytearray(raw), dtype).reshape(shape, order="F" if fortran else "C")


def _pairs(pairs: Any) -> dict[Any, Any]:
    if type(pairs) not in (list, tuple) or any(type(pair) not in (list, tuple) or len(pair) != 2 for pair in pairs):
        raise _refused("builds a dictionary from something else than pairs")
    return {_key(key): value for key, value in pairs}


def _elements(kind: type, values: Any = ()) -> Any:
    if type(values) not in (list, tuple, set, frozenset):
        raise _refused("builds a set from something else than a list")
    return kind(_key(value) for value in values)


def _text_to_bytes(text: Any, encoding: Any = "latin1") -> bytes:
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise _refused("encodes something else than latin1 text")
    return text.encode("latin1")


def _complex(real: Any, imaginary: Any) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise _refused("holds a complex number without two parts")
    return complex(real, imaginary)


def _unbuilt_dtype(text: Any, align: Any = 0, copy: Any = 1) -> _Unbuilt:
    return _Unbuilt(_plain_dtype(text))


def _unbuilt_array(kind: Any, shape: Any, code: Any) -> _Unbuilt:
    if type(kind) is not _Name or kind.name != "ndarray" or kind.module != "numpy":
        raise _refused("rebuilds an array of a class of its own")
    return _Unbuilt(None)


def _scalar(dtype: Any, raw: Any) -> Any:
    return _array(raw, dtype, (1,), False)[0]


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    return _array(raw, dtype, shape, order == "F")


_CALLS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): lambda pairs=(): _pairs(pairs),
    ("_codecs", "encode"): _text_to_bytes,
    ("numpy", "dtype"): _unbuilt_dtype,
}
for _module in ("builtins", "__builtin__"):
    _CALLS[_module, "set"] = lambda values=(): _elements(set, values)
    _CALLS[_module, "frozenset"] = lambda values=(): _elements(frozenset, values)
    _CALLS[_module, "complex"] = _complex
    _CALLS[_module, "bytes"] = lambda: b""  # how old protocols write no bytes
for _module in ("numpy.core", "numpy._core"):
    _CALLS[f"{_module}.multiarray", "scalar"] = _scalar
    _CALLS[f"{_module}.multiarray", "_reconstruct"] = _unbuilt_array
    _CALLS[f"{_module}.numeric", "_frombuffer"] = _from_buffer
_NAMES = {*_CALLS, ("numpy", "ndarray")}


def _built(target: Any, state: Any) -> Any:
    """What BUILD makes of an array or dtype of ours and the state in the file."""
    if type(target) is not _Unbuilt or type(state) is not tuple:
        raise _refused(f"sets the state of a {type(target).__name__}, which could run code")
    if target.dtype is None:
        if len(state) != 5 or state[0] != 1:
            raise _refused("holds an array in a form that is not known")
        return _array(state[4], state[2], state[1], state[3] is True or state[3] == 1)
    order: Any = state[1] if len(state) > 1 else None
    order = order.decode("latin1") if type(order) is bytes else order
    rest = state[2:]
    if (
        len(state) not in (8, 9)
        or state[0] not in (3, 4)
        or order not in ("<", ">", "|", "=")
        or any(part is not None and (type(part) is not int or part not in (-1, 0)) for part in rest)
    ):
        raise _refused("holds a number type that is more than a plain number")
    return np.dtype(target.dtype).newbyteorder(order)


class _Machine:
    """One pickle on its way from bytes to objects.

    `records` maps the names of further classes (of any module) to functions of ours that take their arguments.
    """

    def __init__(self, stream: IO[bytes], records: Mapping[str, Callable[..., Any]], memory: int) -> None:
        self.stream, self.records, self.memory = stream, records, memory
        self.left = memory
        self.buffer, self.position = b"", 0

    def name(self, module: Any, name: Any) -> _Name:
        if type(module) is not str or type(name) is not str:
            raise _refused("names a global by something else than text")
        if (module, name) not in _NAMES and name not in self.records:
            raise BenchmarkError(
                f"the pickle asks for {ascii(f'{module}.{name}'[:80])[1:-1]}, which could run code; it was not read "
                "further (official benchmark files hold containers and numbers alone)"
            )
        return _Name(module, name)

    def call(self, function: Any, arguments: Any) -> Any:
        if type(function) is not _Name or type(arguments) is not tuple:
            raise _refused("calls something that is no name")
        target = self.records.get(function.name) or _CALLS.get((function.module, function.name))
        if target is None:
            raise _refused(f"calls {function.name}, which is no function")
        try:
            return target(*arguments)
        except (TypeError, ValueError) as error:
            if isinstance(error, BenchmarkError):
                raise
            raise _refused(f"calls {function.name} with other arguments than numpy and Python do") from None

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise BenchmarkError(
                f"the objects in the pickle take more than {self.memory / 2**20:,.0f} MB; it was not read further "
                "(official files take less; --memory-gb allows more for those of one piece)"
            )

    def more(self, wanted: int) -> None:
        """Move on in the file, so that `wanted` bytes lie at `position`, or as many as there are."""
        kept = self.buffer[self.position :]
        parts, have = [kept], len(kept)
        while have < wanted:
            part = self.stream.read(min(max(_WINDOW, wanted - have), 64 * _WINDOW))
            if not part:
                break
            self.spend(8 * len(part))  # no instruction takes more, but for those that count what they make
            parts.append(part)
            have += len(part)
        self.buffer, self.position = b"".join(parts), 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes. Raises EOFError where there are fewer."""
        if self.position + size > len(self.buffer):
            self.more(size)
            if size > len(self.buffer):
                raise EOFError("it ends inside a value")
        start = self.position
        self.position = start + size
        return self.buffer[start : self.position]

    def line(self) -> bytes:
        """The rest of a line, of a text instruction."""
        end = self.buffer.find(b"\n", self.position)
        if end < 0:
            self.more(_LINE)
            end = self.buffer.find(b"\n", self.position, self.position + _LINE)
            if end < 0:
                raise EOFError("it ends inside a line")
        text = self.buffer[self.position : end]
        self.position = end + 1
        return text

    def run(self) -> Any:
        """The object that the pickle describes."""
        stack: list[Any] = []
        marks: list[int] = []
        memo: list[Any] = []
        far: dict[int, Any] = {}  # places beyond the end of the memo
        push, pop, float_at = stack.append, stack.pop, _FLOAT

        def group() -> list[Any]:
            start = marks.pop()
            values = stack[start + 1 :]
            del stack[start:]
            self.spend(8 * len(values))
            return values

        def fill(target: Any, values: list[Any]) -> None:
            if type(target) is not dict or len(values) % 2:
                raise _refused("fills something that is no dictionary")
            keys = values[::2]
            for key in keys:
                if type(key) not in _SCALARS:
                    _key(key)
            self.spend(50 * len(keys))
            target.update(zip(keys, values[1::2], strict=True))

        def put(place: int, value: Any) -> None:
            if type(value) is _Unbuilt:
                value.place = place
            if place == len(memo):
                memo.append(value)
            elif 0 <= place < len(memo):
                memo[place] = value
            else:
                self.spend(200)
                far[place] = value

        def get(place: int) -> Any:
            return memo[place] if 0 <= place < len(memo) else far[place]

        position, buffer = self.position, self.buffer
        safe = len(buffer) - 16  # up to here an instruction of fixed size lies whole in the buffer
        while True:
            if position > safe:
                self.position = position
                self.more(_WINDOW)
                position, buffer = 0, self.buffer
                safe = len(buffer) - 16 if len(buffer) >= _WINDOW else len(buffer)
                if not buffer:
                    raise EOFError("it ends before its last object")
            code = buffer[position]
            position += 1
            # The most frequent instructions first: this loop is what reading costs.
            if code == 0x4B:  # BININT1
                push(buffer[position])
                position += 1
            elif code == 0x47:  # BINFLOAT
                push(float_at(buffer, position)[0])
                position += 8
            elif code == 0x94:  # MEMOIZE
                top = stack[-1]
                if type(top) is _Unbuilt:
                    top.place = len(memo)
                memo.append(top)
            elif code == 0x8C:  # SHORT_BINUNICODE
                start = position + 1
                position = start + buffer[position]
                if position > len(buffer):
                    self.position = start
                    push(self.take(position - start).decode("utf-8", "surrogatepass"))
                    position, buffer = self.position, self.buffer
                    safe = len(buffer) - 16
                else:
                    push(buffer[start:position].decode("utf-8", "surrogatepass"))
            elif code == 0x68:  # BINGET
                place = buffer[position]
                push(memo[place] if place < len(memo) else far[place])
                position += 1
            elif code == 0x6A:  # LONG_BINGET
                place = _UINT(buffer, position)[0]
                push(memo[place] if place < len(memo) else far[place])
                position += 4
            elif code == 0x4D:  # BININT2
                push(_USHORT(buffer, position)[0])
                position += 2
            elif code == 0x71:  # BINPUT
                put(buffer[position], stack[-1])
                position += 1
            elif code == 0x72:  # LONG_BINPUT
                put(_UINT(buffer, position)[0], stack[-1])
                position += 4
            elif code == 0x4A:  # BININT
                push(_INT(buffer, position)[0])
                position += 4
            elif code == 0x28:  # MARK
                self.spend(40)
                marks.append(len(stack))
                push(_MARK)
            elif code in (0x85, 0x86, 0x87):  # TUPLE1, TUPLE2, TUPLE3
                size = code - 0x84
                if len(stack) < size:
                    raise IndexError("stack")
                self.spend(64)
                stack[-size:] = [tuple(stack[-size:])]
            elif code == 0x75:  # SETITEMS
                items = group()
                fill(stack[-1], items)
            elif code == 0x73:  # SETITEM
                value, key = pop(), pop()
                fill(stack[-1], [key, value])
            elif code == 0x7D:  # EMPTY_DICT
                self.spend(64)
                push({})
            elif code == 0x5D:  # EMPTY_LIST
                self.spend(56)
                push([])
            elif code in (0x61, 0x65):  # APPEND, APPENDS
                items = group() if code == 0x65 else [pop()]
                if type(stack[-1]) is not list:
                    raise _refused("appends to something that is no list")
                self.spend(8 * len(items))
                stack[-1].extend(items)
            elif code == 0x4E:  # NONE
                push(None)
            elif code in (0x88, 0x89):  # NEWTRUE, NEWFALSE
                push(code == 0x88)
            elif code == 0x52 or code == 0x81:  # REDUCE, NEWOBJ
                arguments = pop()
                self.spend(216)
                push(self.call(pop(), arguments))
            elif code == 0x62:  # BUILD
                state, target = pop(), pop()
                made = _built(target, state)
                self.spend(getattr(made, "nbytes", 0) + 100)
                if target.place >= 0:
                    put(target.place, made)
                push(made)
            elif code == 0x2E:  # STOP
                self.position = position
                found = pop()
                if found is _MARK:
                    raise IndexError("stack")
                return found
            else:
                self.position = position
                self.seldom(code, stack, marks, group=group, put=put, get=get)
                position, buffer = self.position, self.buffer
                safe = len(buffer) - 16

    def seldom(
        self,
        code: int,
        stack: list[Any],
        marks: list[int],
        group: Callable[[], list[Any]],
        put: Callable[[int, Any], None],
        get: Callable[[int], Any],
    ) -> None:
        """Opcodes of old protocols, long values, sets, and those that are refused."""
        push, pop = stack.append, stack.pop
        if code == 0x80:  # PROTO
            if self.take(1)[0] > 5:
                raise _refused("has a protocol above 5")
        elif code == 0x95:  # FRAME
            self.take(8)
        elif code in (0x58, 0x8D, 0x42, 0x43, 0x8E, 0x54, 0x55, 0x96):  # text and bytes of 1, 4 and 8 bytes of length
            width = {0x43: 1, 0x55: 1, 0x8D: 8, 0x8E: 8, 0x96: 8}.get(code, 4)
            size = int.from_bytes(self.take(width), "little")
            if code in (0x58, 0x8D):
                push(self.take(size).decode("utf-8", "surrogatepass"))
            elif code in (0x54, 0x55):  # str of Python 2
                push(self.take(size).decode("latin1"))
            else:
                push(self.take(size))
        elif code in (0x8A, 0x8B):  # LONG1, LONG4
            size = int.from_bytes(self.take(1 if code == 0x8A else 4), "little")
            if size > 1000:
                raise _refused("holds a number of more than 1000 bytes")
            push(int.from_bytes(self.take(size), "little", signed=True))
        elif code in (0x49, 0x4C):  # INT, LONG
            text = self.line()
            push(text == b"01" if code == 0x49 and text in (b"00", b"01") else int(text.rstrip(b"L")))
        elif code == 0x46:  # FLOAT
            push(float(self.line()))
        elif code == 0x53:  # STRING
            text = self.line()
            if len(text) < 2 or text[0] != text[-1] or text[0] not in b"'\"":
                raise ValueError("a text without quotes")
            push(codecs.escape_decode(text[1:-1])[0].decode("latin1"))
        elif code == 0x56:  # UNICODE
            push(self.line().decode("raw-unicode-escape"))
        elif code == 0x63:  # GLOBAL
            module = self.line().decode()
            push(self.name(module, self.line().decode()))
        elif code == 0x93:  # STACK_GLOBAL
            name, module = pop(), pop()
            push(self.name(module, name))
        elif code == 0x29:  # EMPTY_TUPLE
            push(())
        elif code == 0x74:  # TUPLE
            values = group()
            self.spend(48)
            push(tuple(values))
        elif code in (0x6C, 0x64):  # LIST, DICT
            values = group()
            self.spend(56 + 50 * len(values))
            push(values if code == 0x6C else _pairs(list(zip(values[::2], values[1::2], strict=True))))
        elif code == 0x8F:  # EMPTY_SET
            self.spend(216)
            push(set())
        elif code == 0x90:  # ADDITEMS
            values = group()
            if type(stack[-1]) is not set:
                raise _refused("adds to something that is no set")
            self.spend(60 * len(values))
            stack[-1].update(map(_key, values))
        elif code == 0x91:  # FROZENSET
            values = group()
            self.spend(216 + 60 * len(values))
            push(frozenset(map(_key, values)))
        elif code == 0x30:  # POP
            if pop() is _MARK:
                marks.pop()
        elif code == 0x31:  # POP_MARK
            group()
        elif code == 0x32:  # DUP
            if stack[-1] is _MARK:
                raise IndexError("stack")
            push(stack[-1])
        elif code == 0x67:  # GET
            push(get(int(self.line())))
        elif code == 0x70:  # PUT
            put(int(self.line()), stack[-1])
        elif code in (0x50, 0x51):  # PERSID, BINPERSID
            raise BenchmarkError(
                "the pickle refers to stored tensors; use the version of the benchmark without trained weights"
            )
        elif code in (0x69, 0x6F, 0x92, 0x82, 0x83, 0x84, 0x97, 0x98):
            raise _refused("uses instructions that numbers do not need (instances, extensions, buffers from elsewhere)")
        else:
            raise ValueError(f"unknown instruction {code}")


def load(
    source: bytes | IO[bytes],
    what: str,
    *,
    records: Mapping[str, Callable[..., Any]] | None = None,
    memory: int | None = None,
) -> Any:
    """The object in a pickle of containers, numbers and plain numpy arrays.

    Args:
        source: the bytes, or a stream that is read up to the end of the pickle (and, in blocks, beyond it).
        what: the file, for messages.
        records: further classes by name (whatever their module), each with a function of ours for its arguments.
        memory: bytes that the objects may take, counted generously; by default 64 MB and 60 bytes for each in `source`
            (a pickle of numbers needs some 10), 8 GB for a stream.

    Raises:
        BenchmarkError: naming `what`, for anything refused or damaged.
    """
    return load_all(source, what, 1, records=records, memory=memory)[0]


def load_all(
    source: bytes | IO[bytes],
    what: str,
    count: int,
    *,
    records: Mapping[str, Callable[..., Any]] | None = None,
    memory: int | None = None,
) -> list[Any]:
    """`count` pickles that follow one another, as `load`."""
    if memory is None:
        memory = 2**26 + 60 * len(source) if isinstance(source, bytes) else 2**33
    machine = _Machine(io.BytesIO(source) if isinstance(source, bytes) else source, records or {}, memory)
    try:
        return [machine.run() for _ in range(count)]
    except BenchmarkError as error:
        raise BenchmarkError(f"{what}: {error}") from None
    except (EOFError, IndexError, KeyError, ValueError, TypeError, OverflowError, OSError, struct.error) as error:
        # what a damaged program does: it takes from an empty stack, or names what was never remembered
        reason = str(error).splitlines()[0][:80] if str(error) else ""
        raise BenchmarkError(
            f"{what} is damaged or incomplete ({type(error).__name__}: {reason}); fetch it again"
        ) from None
    except MemoryError:
        raise BenchmarkError(f"{what} does not fit into memory; use a machine with more") from None
