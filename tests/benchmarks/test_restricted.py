"""Pickles from strangers: plain numbers come through, and nothing else does anything."""

import collections
import os
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest

from nas_lightning.benchmarks import BenchmarkError
from nas_lightning.benchmarks.convert.restricted import load, load_all

SHARED = [1, 2.5, "two"]
VALUE = {
    "numbers": [
        0,
        1,
        -1,
        255,
        256,
        65535,
        65536,
        -(2**31),
        2**31,
        2**70,
        -(2**70),
        1.5,
        float("inf"),
        True,
        False,
        None,
    ],
    "text": ["", "é", "a" * 300, b"", b"\xff" * 300, "\ud800"],
    "shared": (SHARED, SHARED),
    ("cifar10", 777): {1: {"x-test@11": 93.1}, 2.0: (), 3: (1,), 4: (1, 2), 5: (1, 2, 3), 6: (1, 2, 3, 4)},
    "sets": ({1, "a", (2, 3)}, frozenset({4}), set()),
    "ordered": collections.OrderedDict([("b", 1), ("a", 2)]),
    "complex": 1 + 2j,
}
ARRAYS = [
    np.arange(6.0).reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
    np.arange(3, dtype=">f4"),
    np.array([True, False]),
    np.zeros((0, 4), np.uint8),
    np.array(1.5, np.float16),
    np.array([1 + 2j]),
]


@pytest.mark.parametrize("protocol", range(6))
def test_containers_and_numbers_are_read(protocol):
    value = {**VALUE, "text": VALUE["text"][:-1]} if protocol == 0 else VALUE
    found = load(pickle.dumps(value, protocol), "x")
    assert found == value
    assert found["shared"][0] is found["shared"][1]
    assert [type(number) for number in found["numbers"]] == [type(number) for number in value["numbers"]]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_and_their_numbers_are_rebuilt(protocol, array):
    """In containers too, where the file refers to them a second time, and with the data type that they share."""
    found = load(pickle.dumps([array, array, (array.copy(), *array.flat)], protocol), "x")
    assert found[0] is found[1]
    for copy in (found[0], found[2][0]):
        assert copy.dtype == array.dtype
        assert copy.flags.writeable
        np.testing.assert_array_equal(copy, array)
    assert found[2][1:] == tuple(array.flat)


def test_long_values_cross_the_window_of_the_reader():
    value = [b"x" * 3_000_000, "y" * 2_000_000, list(range(200_000)), {str(i): i / 7 for i in range(100_000)}]
    assert load(pickle.dumps(value, 4), "x") == value
    assert load(pickle.dumps(value, 2), "x") == value


def test_pickles_that_follow_one_another():
    assert load_all(pickle.dumps(1) + pickle.dumps([2]) + pickle.dumps("3"), "x", 3) == [1, [2], "3"]
    with pytest.raises(BenchmarkError, match="damaged or incomplete"):
        load_all(pickle.dumps(1), "x", 2)


def test_records_are_made_by_a_function_of_ours():
    Genotype = collections.namedtuple("Genotype", "normal reduce")
    globals()["Genotype"] = Genotype
    content = pickle.dumps([Genotype([("none", 0)], [])], 2)
    with pytest.raises(BenchmarkError, match=r"asks for .*Genotype"):
        load(content, "x")
    assert load(content, "x", records={"Genotype": lambda *cells: cells}) == [([("none", 0)], [])]


def _short(text):
    return b"\x8c" + bytes([len(text)]) + text.encode()


def _global(module, name):
    return b"c" + f"{module}\n{name}\n".encode()


def _dtype(text, state):
    return _global("numpy", "dtype") + b"(" + _short(text) + b"K\x00K\x01tR" + state + b"b"


PLAIN = b"(K\x03" + _short("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"
SHELL = _global("numpy.core.multiarray", "_reconstruct") + b"(" + _global("numpy", "ndarray") + b"K\x00\x85C\x01btR"

HOSTILE = {
    # np.dtype("O8") whose state clears its object flags: eight bytes of the file become a pointer
    "pointers": SHELL + b"(K\x01K\x01\x85" + _dtype("O8", PLAIN) + b"\x89C\x08AAAAAAAAtb.",
    "object scalar": _global("numpy.core.multiarray", "scalar") + b"(" + _dtype("O", PLAIN) + b"C\x08AAAAAAAAtR.",
    "structured": SHELL + b"(K\x01K\x01\x85" + _dtype("f8,O", PLAIN) + b"\x89C\x10" + b"A" * 16 + b"tb.",
    "void": SHELL + b"(K\x01K\x01\x85" + _dtype("V8", PLAIN) + b"\x89C\x08AAAAAAAAtb.",
    "flags": SHELL
    + b"(K\x01K\x01\x85"
    + _dtype("f8", b"(K\x03" + _short("<") + b"NNNK\x08K\x08K?t")
    + b"\x89C\x08AAAAAAAAtb.",
    "subarray": SHELL
    + b"(K\x01K\x01\x85"
    + _dtype("f8", b"(K\x03" + _short("<") + b"(NK\x02tNNK\x08K\x08K\x00t")
    + b"\x89C\x08AAAAAAAAtb.",
    "too few bytes": SHELL + b"(K\x01J\xff\xff\xff\x7f\x85" + _dtype("f8", PLAIN) + b"\x89C\x08AAAAAAAAtb.",
    "negative shape": SHELL + b"(K\x01J\xff\xff\xff\xff\x85" + _dtype("f8", PLAIN) + b"\x89C\x08AAAAAAAAtb.",
    "objects": SHELL + b"(K\x01K\x01\x85" + _dtype("f8", PLAIN) + b"\x89]K\x01atb.",
    "state of a dictionary": b"}}b.",
    "state of a function": _global("_codecs", "encode") + b"N}" + _short("__defaults__") + b"N\x85s\x86b.",
    "a class of its own": _global("numpy.core.multiarray", "_reconstruct")
    + b"("
    + _global("builtins", "set")
    + b"K\x00\x85C\x01btR.",
    "a set of nested tuples": b"\x8f(" + b")" + b"\x85" * 50 + b"\x90.",
    "a key that is nested deeply": b"}" + b")" + b"\x85" * 1_000_000 + b"Ns.",
    "instances": b"(i" + b"os\nsystem\n.",
    "an extension": b"\x82\x01.",
    "a call of a list": b"](tR.",
    "an encoding": _global("_codecs", "encode") + b"(" + _short("x") + _short("rot13") + b"tR.",
    "a stored tensor": b"Nq\x00Q.",
    "a long number": b"\x8b\xff\xff\xff\x00" + b"\x01" * 0xFFFFFF + b".",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_programs_end_in_a_sentence(name):
    with pytest.raises(BenchmarkError) as refusal:
        load(b"\x80\x04" + HOSTILE[name], "file.pickle")
    assert str(refusal.value).startswith("file.pickle")
    assert len(str(refusal.value)) < 300
    assert "\n" not in str(refusal.value)


BOMBS = """
import bz2, io, resource
from nas_lightning.benchmarks.convert.restricted import load

resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
for content in (b"Nr\\xff\\xff\\xff\\xff.", b"\\x8e" + b"\\xff" * 8, b"B\\xff\\xff\\xff\\x7f.",
                b"\\x8f" * 6_000_000, b")" + b"\\x85" * 6_000_000, b"(" * 6_000_000):
    try:
        load(bz2.BZ2File(io.BytesIO(bz2.compress(content))), "x", memory=2**28)
    except ValueError as error:
        print(str(error)[:60])
    else:
        print("read")
"""


def test_the_memory_that_objects_take_is_counted():
    """A few bytes that claim or make gigabytes: refused at once, in a process that could not hold them."""
    done = subprocess.run([sys.executable, "-c", BOMBS], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "read"  # a far place in the memo costs nothing
    assert all("damaged or incomplete" in line for line in lines[1:3])
    assert all("take more than" in line for line in lines[3:])
    assert len(lines) == 6


def test_bytes_beyond_the_window_keep_their_order():
    content = b"\x80\x02]q\x00(" + b"".join(b"J" + struct.pack("<i", i) for i in range(400_000)) + b"e."
    assert load(content, "x") == list(range(400_000))
