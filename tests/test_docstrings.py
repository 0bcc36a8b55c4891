"""What a user can call says what it takes, gives and raises (Args, Returns, Raises, in Google's style), room by room.

A method that a class of this project declares says it once, there; what overrides it may say what is particular to it,
or nothing. Properties say what they are. Functions that only other modules of their room use count as well.
"""

import ast
import builtins
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
    "nas_lightning/benchmarks/measurements.py",
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
    def is_abstract(self) -> bool:
        """Whether it says what others do, and does nothing itself."""
        body = [n for n in self.node.body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
        return not body or any("abstractmethod" in ast.unparse(d) for d in self.node.decorator_list)

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


def project() -> list[Path]:
    return sorted([*(ROOT / "nas_lightning").rglob("*.py"), *(ROOT / "callbacks").glob("*.py")])


@functools.cache
def told_to_raise(function: ast.FunctionDef) -> frozenset[str]:
    """The exceptions of a docstring's section Raises."""
    given = re.search(r"^Raises:\n((?:[ ]+.*\n?)+)", ast.get_docstring(function) or "", re.MULTILINE)
    return frozenset(re.findall(r"^ {4}([\w.]+): ", given[1], re.MULTILINE) if given else ())


@functools.cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@functools.cache
def classes() -> dict[str, tuple[list[str], set[str]]]:
    """Name of every class of the project -> names of its bases, and of the methods that it documents itself."""
    found = {}
    for file in project():
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


def bases_of(name: str) -> set[str]:
    """An exception, of the project's or Python's own, and all that it is one of."""
    if name in classes():
        return {name}.union(*(bases_of(base) for base in classes()[name][0]))
    found = getattr(builtins, name, None)
    return {name, *(base.__name__ for base in found.__mro__)} if isinstance(found, type) else {name}


STARTED = ("__init__", "__post_init__", "__new__")
"""What calling a class runs."""


@functools.cache
def callables() -> dict[str, list[ast.FunctionDef]]:
    """Every function and method of the project by its bare name, and by a class's name what calling it runs."""
    found: dict[str, list[ast.FunctionDef]] = {}
    owned: dict[str, list[ast.FunctionDef]] = {}
    for file in project():
        for node in ast.walk(parsed(file)):
            if isinstance(node, ast.FunctionDef):
                found.setdefault(node.name, []).append(node)
            elif isinstance(node, ast.ClassDef):
                owned[node.name] = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name in STARTED]
    for name in owned:
        found[name] = owned[name] + [one for base in lineage(name) for one in owned.get(base, [])]
    return found


def lineage(name: str) -> list[str]:
    """The project's classes that a class derives from."""
    bases = [base for base in classes().get(name, ([], set()))[0] if base in classes()]
    return bases + [one for base in bases for one in lineage(base)]


@functools.cache
def raises(function: ast.FunctionDef) -> frozenset[str]:
    """Names of the exceptions that leave `function` by a ``raise`` of its own."""
    return frozenset().union(*(_leaving(statement, frozenset()) for statement in function.body))


def _leaving(node: ast.AST, caught: frozenset[str]) -> set[str]:
    """What leaves a statement; `caught` is what the handler around it has caught, for a ``raise`` without a name."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        return set()
    if isinstance(node, ast.Raise) and node.exc is None:
        return {name for name in caught if name in classes()}
    if isinstance(node, ast.Raise):
        made = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        name = ast.unparse(made).rpartition(".")[2]
        makers = {ast.unparse(f.returns) for f in callables().get(name, []) if f.returns is not None}
        return {n for n in makers | {name} if n in classes() or hasattr(builtins, n)}  # no parameter that holds a class
    if not isinstance(node, ast.Try):
        return set().union(*(_leaving(inner, caught) for inner in ast.iter_child_nodes(node)))
    handled = [frozenset(re.findall(r"\w+", ast.unparse(h.type))) if h.type else frozenset() for h in node.handlers]
    tried = set().union(*(_leaving(inner, caught) for inner in node.body))
    found = {name for name in tried if not bases_of(name) & frozenset().union(*handled)}
    for handler, names in zip(node.handlers, handled, strict=True):
        found = found.union(*(_leaving(inner, names) for inner in handler.body))
    return found.union(*(_leaving(inner, caught) for inner in (*node.orelse, *node.finalbody)))


@functools.cache
def called_in(function: ast.FunctionDef) -> frozenset[str]:
    """Bare names of what `function` calls, and of the attributes that it reads, which may be properties."""
    called = {n.func.id for n in ast.walk(function) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    return frozenset(called | {n.attr for n in ast.walk(function) if isinstance(n, ast.Attribute)})


def may_raise(function: ast.FunctionDef) -> set[str]:
    """What leaves `function`, and all that these are: by a ``raise`` of its own, of what it calls or says that it
    raises, and of its private helpers and constructors likewise."""
    found: set[str] = set()
    open_, seen = [function], {function}
    while open_:
        part = open_.pop()
        found |= raises(part)
        for name in called_in(part):
            for callee in callables().get(name, []):
                found |= raises(callee) | told_to_raise(callee)
                if callee not in seen and (callee.name in STARTED if name in classes() else re.match("_[^_]", name)):
                    seen.add(callee)
                    open_.append(callee)
    return set().union(*map(bases_of, found))


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


@pytest.mark.parametrize("file", files(), ids=lambda f: str(f.relative_to(ROOT)))
def test_what_is_public_says_what_it_raises(file):
    wrong = []
    for one in documented(file):
        if one.owner is not None and one.node.name in inherited(one.owner):
            continue
        for name in sorted(raises(one.node)):
            if not bases_of(name) & told_to_raise(one.node):
                wrong.append(f"{one.place}: {name}")
    assert not wrong, "\n".join(wrong)


def test_what_is_said_to_be_raised_is():
    wrong = []
    for one in (one for file in project() for one in documented(file) if not one.is_abstract):
        for name in told_to_raise(one.node) - {"OSError"}:  # which the system raises
            if name not in may_raise(one.node):
                wrong.append(f"{one.place}: {name}")
    assert not wrong, "\n".join(wrong)


def test_every_exported_function_and_class_lies_in_a_room_that_is_looked_at():
    import nas_lightning

    seen = {str(file.relative_to(ROOT)) for file in files()}
    for name in nas_lightning.__all__:
        found = getattr(nas_lightning, name)
        if getattr(found, "__module__", "").startswith("nas_lightning."):
            assert Path(*found.__module__.split(".")).with_suffix(".py").as_posix() in seen, name
