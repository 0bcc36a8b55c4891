"""What a user can call says what it takes and gives: Args and Returns, in Google's style, for whole rooms.

A method that a class of this project declares says it once, there; what overrides it may say what is particular to it,
or nothing. Properties say what they are. Functions that only other modules of their room use count as well.
"""

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = (
    "nas_lightning/ranking",
    "nas_lightning/scoring",
    "nas_lightning/predictors",
    "nas_lightning/search/algorithms",
    "nas_lightning/spaces",
    "callbacks",
)
"""Whole rooms: every public function, and every public method of a public class."""
FILES = (
    "nas_lightning/heuristic.py",
    "nas_lightning/plan.py",
    "nas_lightning/nets/base.py",
    "nas_lightning/data/task.py",
    "nas_lightning/data/source.py",
    "nas_lightning/search/algorithm.py",
    "nas_lightning/search/function.py",
    "nas_lightning/benchmarks/benchmark.py",
    "nas_lightning/benchmarks/writer.py",
    "nas_lightning/data/module.py",
    "nas_lightning/errors.py",
    "nas_lightning/modes/configure.py",
    "nas_lightning/nets/build.py",
    "nas_lightning/report/inline.py",
    "nas_lightning/runs/frame.py",
    "nas_lightning/runs/reading.py",
    "nas_lightning/training/make.py",
    "nas_lightning/training/module.py",
)
"""The interfaces of the five nouns, and what `nas_lightning.__all__` names besides."""
HOOKS = (
    "on_",
    "configure_",
    "state_dict",
    "load_state_dict",
    "setup",
    "teardown",
    "forward",
    "backward",
    "training_step",
)
"""Methods that Lightning calls, with Lightning's arguments."""


@dataclass(frozen=True)
class Documented:
    """A public function or method of a file."""

    place: str
    node: ast.FunctionDef
    owner: str | None
    """The class of a method."""

    @property
    def parameters(self) -> list[str]:
        given = self.node.args
        names = [a.arg for a in [*given.posonlyargs, *given.args, *given.kwonlyargs]]
        names += [a.arg for a in (given.vararg, given.kwarg) if a is not None]
        is_static = any(ast.unparse(d) == "staticmethod" for d in self.node.decorator_list)
        return [n for n in names[int(self.owner is not None and not is_static) :] if not n.startswith("_")]

    @property
    def gives(self) -> bool:
        return self.node.returns is not None and ast.unparse(self.node.returns) not in ("None", "NoReturn")

    @property
    def missing(self) -> list[str]:
        if self.owner is not None and self.node.name in inherited(self.owner):
            return []
        text = ast.get_docstring(self.node)
        if text is None:
            return ["a docstring"]
        if any("property" in ast.unparse(d) for d in self.node.decorator_list):
            return []
        given = re.search(r"^Args:\n((?:[ ]+.*\n?)+)", text, re.MULTILINE)
        told = re.findall(r"^ {4}\*{0,2}([\w, ]+?): ", given[1], re.MULTILINE) if given else []
        named = {name.strip() for group in told for name in group.split(",")}
        found = [name for name in self.parameters if name not in named]
        if self.gives and not re.search(r"^(Returns|Yields):\n {4}\S", text, re.MULTILINE):
            found.append("Returns")
        return found


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@functools.cache
def classes() -> dict[str, tuple[list[str], set[str]]]:
    """Name of every class of the project -> names of its bases, and of the methods that it documents itself."""
    found = {}
    for file in [*(ROOT / "nas_lightning").rglob("*.py"), *(ROOT / "callbacks").glob("*.py")]:
        for node in ast.walk(parsed(file)):
            if isinstance(node, ast.ClassDef):
                bases = [re.split(r"\W", ast.unparse(base).rpartition(".")[2])[0] for base in node.bases]
                methods = {m.name for m in node.body if isinstance(m, ast.FunctionDef) and ast.get_docstring(m)}
                found[node.name] = (bases, methods)
    return found


def inherited(owner: str) -> set[str]:
    """Methods that some base of a class declares."""
    bases = [base for base in classes()[owner][0] if base in classes()]
    return set().union(*(classes()[base][1] | inherited(base) for base in bases))


def documented(file: Path) -> Iterator[Documented]:
    for node in parsed(file).body:
        place = f"{file.relative_to(ROOT)}:{node.lineno} "
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield Documented(place + node.name, node, None)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and not inner.name.startswith(("_", *HOOKS)):
                    yield Documented(f"{place}{node.name}.{inner.name}", inner, node.name)


def files() -> list[Path]:
    return [*(f for room in ROOMS for f in sorted((ROOT / room).rglob("*.py"))), *(ROOT / name for name in FILES)]


@pytest.mark.parametrize("file", files(), ids=lambda f: str(f.relative_to(ROOT)))
def test_what_is_public_says_what_it_takes_and_gives(file):
    wrong = [f"{one.place}: {', '.join(one.missing)}" for one in documented(file) if one.missing]
    assert not wrong, "\n".join(wrong)


def test_every_exported_function_and_class_lies_in_a_room_that_is_looked_at():
    import nas_lightning

    seen = {str(file.relative_to(ROOT)) for file in files()}
    for name in nas_lightning.__all__:
        found = getattr(nas_lightning, name)
        if getattr(found, "__module__", "").startswith("nas_lightning."):
            assert Path(*found.__module__.split(".")).with_suffix(".py").as_posix() in seen, name
