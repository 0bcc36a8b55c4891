"""Small faults in a module's syntax tree: what each is, and the source with it."""

from __future__ import annotations

import ast
import copy
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.MatMult: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}  # fmt: skip

SYMMETRIC = ("max", "min", "mul", "maximum", "minimum", "equal", "array_equal", "isclose", "gcd", "transpose")


@dataclass(frozen=True)
class Mutant:
    """One fault: `before` became `after` in `line` of `module`, the `nth` of its kind with these texts there."""

    module: str
    line: int
    kind: str
    before: str
    after: str
    nth: int
    number: int
    """Among all faults of the module, in the order in which they are found."""
    inside: bool
    """Of a function, or of its defaults, where it can be planted into what is imported already."""
    default: bool
    """Of a function's defaults, which others may have read when they were imported."""

    @property
    def key(self) -> str:
        """Names the fault whatever stands in other lines: what a resumed pass and the list of equivalent ones know."""
        text = f"{self.module}\n{self.kind}\n{self.before}\n{self.after}\n{self.nth}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return f"{self.key} {self.module}:{self.line} {self.kind}: {self.before}  →  {self.after}"


def faults(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """(kind, what replaces `node`) for every fault at `node` itself."""
    new = copy.copy(node)
    if isinstance(new, ast.Compare) and type(new.ops[0]) in COMPARISONS:
        new.ops = [COMPARISONS[type(new.ops[0])](), *new.ops[1:]]
        yield "comparison", new
    elif isinstance(new, (ast.BinOp, ast.AugAssign)) and type(new.op) in ARITHMETIC:
        new.op = ARITHMETIC[type(new.op)]()
        yield "arithmetic", new
    elif isinstance(new, ast.BoolOp):
        new.op = ast.Or() if isinstance(new.op, ast.And) else ast.And()
        yield "boolean", new
    elif isinstance(new, ast.UnaryOp) and isinstance(new.op, (ast.Not, ast.USub)):
        yield "boolean" if isinstance(new.op, ast.Not) else "arithmetic", new.operand
    elif isinstance(new, ast.IfExp):
        new.body, new.orelse = new.orelse, new.body
        yield "branches", new
    elif isinstance(new, ast.Constant):
        if isinstance(new.value, bool):
            yield "constant", ast.Constant(not new.value)
        elif isinstance(new.value, int):
            yield "constant", ast.Constant(new.value + 1)
        elif isinstance(new.value, float):
            yield "constant", ast.Constant(new.value * 2 if new.value else 1.0)
    elif isinstance(new, ast.Call) and len(new.args) >= 2 and not is_symmetric(new):
        new.args = [new.args[1], new.args[0], *new.args[2:]]
        yield "swapped arguments", new
    if removable(node):
        yield "removed", ast.Pass()


def is_symmetric(call: ast.Call) -> bool:
    """Whether the order of the first two arguments cannot matter, or cannot be changed."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name in SYMMETRIC or any(isinstance(argument, ast.Starred) for argument in call.args[:2])


def removable(node: ast.AST) -> bool:
    """A statement whose absence leaves every name defined."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call)
    if isinstance(node, ast.Assign):
        return all(isinstance(target, (ast.Attribute, ast.Subscript)) for target in node.targets)
    return isinstance(node, (ast.AugAssign, ast.Raise, ast.Continue, ast.Break))


def places(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None]]:
    """(parent, field, index) of every node that computes: no annotations, messages, decorators, doc or format texts."""
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if field in ("annotation", "returns", "decorator_list", "bases", "type_ignores"):
                continue
            for index, child in enumerate(value) if isinstance(value, list) else ((None, value),):
                if isinstance(child, ast.AST):
                    yield parent, field, index


def without_texts(tree: ast.Module) -> set[int]:
    """Ids of the nodes inside messages: raised errors' arguments, formatted strings, type-checking blocks."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        hidden: list[ast.AST] = []
        if isinstance(node, ast.Raise) and node.exc is not None:
            hidden = [node.exc]
        elif isinstance(node, (ast.JoinedStr, ast.AnnAssign)):
            hidden = [node] if isinstance(node, ast.JoinedStr) else [node.annotation]
        elif isinstance(node, ast.arg) and node.annotation is not None:
            hidden = [node.annotation]
        elif isinstance(node, ast.FunctionDef):
            hidden = [*node.decorator_list, *([node.returns] if node.returns else [])]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            hidden = [node]
        for part in hidden:
            skipped |= {id(inner) for inner in ast.walk(part)}
    return skipped


def planted(tree: ast.Module) -> Iterator[tuple[ast.AST, str, ast.AST]]:
    """(node, kind, replacement) of every fault; while a step lasts, `tree` holds the replacement."""
    skipped = without_texts(tree)
    for parent, field, index in list(places(tree)):
        held = getattr(parent, field)
        node = held if index is None else held[index]
        if id(node) in skipped:
            continue
        for kind, new in faults(node):
            put(parent, field, index, ast.copy_location(new, node))
            yield node, kind, new
            put(parent, field, index, node)


def mutants(module: str, source: str) -> list[Mutant]:
    """Every single fault of `source`, in the order of its lines."""
    tree, found = ast.parse(source), []
    # ``zip(…, strict=True)`` compares lengths that are equal, a frozen class computes what another does.
    idle = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.keyword) and n.arg in ("strict", "frozen")}
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    inside = {id(n) for function in functions for line in function.body for n in ast.walk(line)}
    given = [d for function in functions for d in [*function.args.defaults, *function.args.kw_defaults] if d]
    defaults = {id(n) for d in given for n in ast.walk(d)} - inside
    seen: dict[tuple[str, str, str], int] = {}
    for number, (node, kind, new) in enumerate(planted(tree)):
        before, after = ast.unparse(node), ast.unparse(new)
        if before != after:
            nth = seen[kind, before, after] = seen.get((kind, before, after), -1) + 1
            line = getattr(node, "lineno", 0)
            if id(node) in idle:
                continue
            found.append(
                Mutant(
                    module, line, kind, before, after, nth, number, id(node) in inside | defaults, id(node) in defaults
                )
            )
    return sorted(found, key=lambda mutant: mutant.line)


def source_with(mutant: Mutant, source: str) -> str:
    """`source` with the fault, without comments."""
    tree = ast.parse(source)
    for number, _ in enumerate(planted(tree)):
        if number == mutant.number:
            return ast.unparse(ast.fix_missing_locations(tree))
    raise ValueError(f"{mutant} is no fault of this source")


def put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    """Hang `node` where (parent, field, index) says."""
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node
