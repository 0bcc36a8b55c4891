"""Pickles from strangers, read by a machine of our own that knows containers, numbers and plain numpy buffers alone.

A pickle is a program: it names functions and calls them, and sets the state of what they return. Python's own machine
with an allow-list of names is not enough, since what an allowed name does with a hostile state is not in our hands (the
`__setstate__` of a numpy dtype turns bytes into pointers), and since a key that is nested deeply enough overflows the
C stack when it is hashed. Here every opcode is ours: names become inert tokens, calling one of the few known tokens
runs a function of `pickled` on checked arguments, arrays are rebuilt from checked bytes, keys are flat, and what the
objects take in memory is counted while they are made.
"""

from __future__ import annotations

import codecs
import io
import struct
from collections.abc import Callable, Mapping
from typing import IO, Any

from nas_lightning.benchmarks.convert.pickled import (
    CALLS,
    NAMES,
    SCALARS,
    Name,
    Unbuilt,
    built,
    flat_key,
    pairs_as_dict,
    refused,
)
from nas_lightning.benchmarks.errors import BenchmarkError

_WINDOW = 2**20  # bytes that are read at a time
_LINE = 2**16  # longest line of the text opcodes
_FLOAT, _INT, _USHORT, _UINT, _ULONG = (struct.Struct(code).unpack_from for code in (">d", "<i", "<H", "<I", "<Q"))


class _Mark:
    """The start of a group on the stack."""


_MARK = _Mark()


class _Machine:
    """One pickle on its way from bytes to objects.

    `records` maps the names of further classes (of any module) to functions of ours that take their arguments.
    """

    def __init__(self, stream: IO[bytes], records: Mapping[str, Callable[..., Any]], memory: int) -> None:
        self.stream, self.records, self.memory = stream, records, memory
        self.left = memory
        self.buffer, self.position = b"", 0

    def name(self, module: Any, name: Any) -> Name:
        if type(module) is not str or type(name) is not str:
            raise refused("names a global by something else than text")
        if (module, name) not in NAMES and name not in self.records:
            raise BenchmarkError(
                f"the pickle asks for {ascii(f'{module}.{name}'[:80])[1:-1]}, which could run code; it was not read "
                "further (official benchmark files hold containers and numbers alone)"
            )
        return Name(module, name)

    def call(self, function: Any, arguments: Any) -> Any:
        if type(function) is not Name or type(arguments) is not tuple:
            raise refused("calls something that is no name")
        target = self.records.get(function.name) or CALLS.get((function.module, function.name))
        if target is None:
            raise refused(f"calls {function.name}, which is no function")
        try:
            return target(*arguments)
        except (TypeError, ValueError) as error:
            if isinstance(error, BenchmarkError):
                raise
            raise refused(f"calls {function.name} with other arguments than numpy and Python do") from None

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
                raise refused("fills something that is no dictionary")
            keys = values[::2]
            for key in keys:
                if type(key) not in SCALARS:
                    flat_key(key)
            self.spend(50 * len(keys))
            target.update(zip(keys, values[1::2], strict=True))

        def put(place: int, value: Any) -> None:
            if type(value) is Unbuilt:
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
                if type(top) is Unbuilt:
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
                    raise refused("appends to something that is no list")
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
                made = built(target, state)
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
                raise refused("has a protocol above 5")
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
                raise refused("holds a number of more than 1000 bytes")
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
            push(values if code == 0x6C else pairs_as_dict(list(zip(values[::2], values[1::2], strict=True))))
        elif code == 0x8F:  # EMPTY_SET
            self.spend(216)
            push(set())
        elif code == 0x90:  # ADDITEMS
            values = group()
            if type(stack[-1]) is not set:
                raise refused("adds to something that is no set")
            self.spend(60 * len(values))
            stack[-1].update(map(flat_key, values))
        elif code == 0x91:  # FROZENSET
            values = group()
            self.spend(216 + 60 * len(values))
            push(frozenset(map(flat_key, values)))
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
            raise refused("uses instructions that numbers do not need (instances, extensions, buffers from elsewhere)")
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
