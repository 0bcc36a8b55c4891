"""Seeded changes of files: of their bytes, and of the values that a JSON, YAML, pickle or table holds."""

import copy
import math

import numpy as np

ODD = (
    None,
    True,
    0,
    -1,
    7,
    2**31,
    2**63,
    10**400,
    -1.5,
    1e308,
    float("inf"),
    float("-inf"),
    float("nan"),
    "",
    "text",
    "NaN",
    "1e999",
    "../../x",
    "a\x00b",
    "\ud800",
    "<!--<script>",
    "line\nline",
    "x" * 5000,
    "é" * 300,
    [],
    [1, 2],
    [[]],
    [None],
    {},
    {"a": 1},
    {"": {"": []}},
    {"_target_": "os.mkdir", "_args_": ["boom"]},
)
TOKENS = (
    b"nan",
    b"inf",
    b"-1",
    b"1e999",
    b"[" * 100_000,
    b'{"a":' * 20_000,
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\0" * 9,
    b"\xff" * 9,
    b"\r",
    b'"',
    b",",
    b",,,,",
    b"\n\n",
    b"9" * 5000,
    b"93.1%",
    b" ",
    b"../../x",
    b"cos\nmkdir\n(X\x04\0\0\0boomtR",
)


def mutated_bytes(content, rng, others=()):
    """`content` with one to four changes, seldom with none; `others` are contents to splice with."""
    out = bytearray(content)
    if rng.random() < 0.03:
        return content
    for _ in range(1 if rng.random() < 0.6 else int(rng.integers(2, 5))):
        at = int(rng.integers(len(out) + 1))
        span = int(min(len(out) - at, 1 + rng.geometric(0.05)))
        kind = rng.integers(9)
        if kind == 0 and out:
            out[at % len(out)] ^= 1 << int(rng.integers(8))
        elif kind == 1 and out:
            out[at % len(out)] = int(rng.choice([0, 1, 127, 128, 255]))
        elif kind == 2:
            del out[at : at + span]
        elif kind == 3:
            out[at:at] = out[at : at + span] * int(rng.integers(1, 50))
        elif kind == 4:
            del out[at:]
        elif kind == 5:
            out[at : at + span] = rng.bytes(span)
        elif kind == 6:
            out[at : at + int(rng.integers(2)) * span] = TOKENS[rng.integers(len(TOKENS))]
        elif kind == 7 and others:
            other = others[rng.integers(len(others))]
            out[at:] = other[int(rng.integers(len(other) + 1)) :]
        elif kind == 8:
            out[at : at + 8] = int(rng.choice([0, 2**31 - 1, 2**32 - 1, 2**62, 2**63])).to_bytes(8, "little")
    return bytes(out)


def places_of(value, path=()):
    """Paths of all parts of nested dictionaries, lists and tuples, the outermost first."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places_of(inner, (*path, key))
    elif isinstance(value, (list, tuple)) and len(value) < 1000:
        for i, inner in enumerate(value):
            yield from places_of(inner, (*path, i))


def mutated_value(value, rng, odd=ODD):
    """A copy with one part exchanged, removed, doubled, renamed, wrapped or moved; seldom unchanged."""
    out = copy.deepcopy(value)
    if rng.random() < 0.03:
        return out
    places = list(places_of(out))
    path = places[rng.integers(len(places))]
    # half of the time a leaf that is not deep in a list: these are what a reader looks at first
    if rng.random() < 0.5:
        short = [p for p in places if len(p) <= 2] or places
        path = short[rng.integers(len(short))]
    new = odd[rng.integers(len(odd))]
    kind = rng.integers(6)
    if not path:
        return new if kind < 2 else {"x": out} if kind == 2 else [out] if kind == 3 else out
    return _changed(out, path, new, int(kind), rng)


def _changed(value, path, new, kind, rng):
    key, rest = path[0], path[1:]
    inner = list(value) if isinstance(value, tuple) else value
    if rest:
        inner[key] = _changed(inner[key], rest, new, kind, rng)
    elif kind == 0:
        del inner[key]
    elif kind == 1:
        inner[key] = [inner[key], inner[key]] if rng.random() < 0.5 else {"x": inner[key]}
    elif kind == 2 and isinstance(inner, dict):
        inner[str(new)[:50]] = inner.pop(key)
    elif kind == 2:
        inner.append(copy.deepcopy(inner[key]))
    elif kind == 3 and isinstance(inner[key], (int, float)) and math.isfinite(inner[key]):
        inner[key] = inner[key] * float(rng.choice([-1, 0, 100, 1e6, 1e-9, 1.5]))
    elif kind == 4:
        inner[key] = str(inner[key])
    else:
        inner[key] = new
    return tuple(inner) if isinstance(value, tuple) else inner


def mutated_column(values, rng):
    """A column of a table (a numpy array or a list of texts) with other numbers, another type or another shape."""
    if isinstance(values, list):
        out = list(values)
        at = int(rng.integers(len(out)))
        out[at] = [None, "", "x", out[0], "|x~0|", "é" * 100, "[" * 500, "7"][rng.integers(8)]
        return out if rng.random() < 0.8 else list(range(len(out)))
    out = np.array(values)
    kind = rng.integers(7)
    if kind == 0:
        return out.astype([np.float32, np.int64, np.int8, np.float64, np.uint16][rng.integers(5)], casting="unsafe")
    if kind == 1 and out.ndim == 1:
        return [str(v) for v in out]
    if kind == 2 and out.ndim == 1:
        return np.stack([out, out], axis=1)
    if kind == 3 and out.ndim == 2:
        return out[:, : max(1, out.shape[1] // 2)]
    if kind == 4 and out.ndim == 2:
        return np.ascontiguousarray(out[:, 0])
    odd = [np.nan, np.inf, -np.inf, -1, 93.1, 1e300, 0, 127, -(2**31)][rng.integers(9)]
    if out.dtype.kind == "f":
        out[rng.integers(len(out))] = odd
        return out
    if out.dtype.kind in "iu" and math.isfinite(odd):
        limits = np.iinfo(out.dtype)
        out[rng.integers(len(out))] = min(max(int(odd), int(limits.min)), int(limits.max))
    return out
