"""The sentences beneath the fields of the configuration, read from the source: for ``--help`` and the reference page.

Python keeps no docstring of a dataclass's field, so that the source text is parsed; nothing is imported for it.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml

from nas_lightning.runs.packaged import heuristic_target


@dataclass(frozen=True)
class Field:
    """One field that can be typed.

    Args:
        path: as on the command line, ``evaluation.every``.
        default: of the schema, as text; empty where a group decides.
        sentence: what it means.
    """

    path: str
    default: str
    sentence: str


def documented(kind: type, prefix: str = "") -> Iterator[Field]:
    """Every leaf of a configuration dataclass, sections of it in their order."""
    hints, said = get_type_hints(kind), sentences(kind)
    for f in fields(kind):
        nested = [t for t in (hints[f.name], *get_args(hints[f.name])) if is_dataclass(t)]
        if nested and isinstance(nested[0], type):
            yield from documented(nested[0], f"{prefix}{f.name}.")
        else:
            yield Field(prefix + f.name, _default(f), said.get(f.name, ""))


def _default(field: Any) -> str:
    value = field.default
    if value is MISSING and field.default_factory is not MISSING:
        value = field.default_factory()
    if value is MISSING or value == "???":
        return ""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(str, value))}]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)


def sentences(kind: type) -> dict[str, str]:
    """Field name -> the string beneath it in the class's source.

    A schema that was made of a plan's dataclass has the sentences of that one.
    """
    module, name = kind.__module__, kind.__name__
    found = _classes(module)
    if name in found:
        return found[name]
    return _classes("nas_lightning.plan").get(name.removesuffix("Schema"), {})


@cache
def _classes(module: str) -> dict[str, dict[str, str]]:
    source = inspect.getsource(sys.modules[module])
    return {node.name: dict(_strings(node)) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)}


def _strings(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, after in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            yield field.target.id, " ".join(after.value.value.split())


@dataclass(frozen=True)
class About:
    """A heuristic by its docstring.

    Args:
        factor: its config group ``heuristics/<factor>``.
        number: its place among the 14; 0 for one beyond them.
        title: of the module, ``dropout: of paths and before the classifier``.
        sentence: what it sets.
        picture: a drawing in characters; empty without.
        parts: Mechanism, Source, Fires, Cost, Does not, Applies to.
        settings: arguments of the constructor.
        choices: settings that the package has files for.
    """

    factor: str
    number: int
    title: str
    sentence: str
    picture: str
    parts: dict[str, str]
    settings: tuple[str, ...]
    choices: tuple[str, ...]

    @property
    def line(self) -> str:
        """What it is in one line."""
        return f"{self.title[:1].upper()}{self.title[1:]}." if ":" in self.title else self.sentence


PARTS = ("Mechanism", "Source", "Fires", "Cost", "Does not", "Applies to")


def heuristics(conf: Path) -> list[About]:
    """The heuristics of a folder ``conf/heuristics``, by their numbers."""
    found = []
    for folder in sorted((conf / "heuristics").iterdir()):
        if folder.is_dir():
            choices = sorted(path.stem for path in folder.glob("*.yaml") if path.stem != "default")
            found.append(_about(folder.name, folder / "default.yaml", tuple(choices)))
    return sorted(found, key=lambda about: about.number)


def extras(conf: Path) -> list[About]:
    """The heuristics beyond the 14, of a folder ``conf/extra``, by their names."""
    return [_about(path.stem, path, ()) for path in sorted((conf / "extra").glob("*.yaml"))]


def _about(factor: str, setting: Path, choices: tuple[str, ...]) -> About:
    target = yaml.safe_load(setting.read_text(encoding="utf-8"))["_target_"]
    module, _, name = target.rpartition(".")
    spec = find_spec(heuristic_target(module))
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    node = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)
    title = ast.get_docstring(tree) or ""
    number = 0
    if title.startswith("Heuristic "):
        place, _, title = title.partition(",")
        number = int(place.removeprefix("Heuristic "))
    made = next(n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__")
    first, picture, parts = _read(ast.get_docstring(node) or "")
    return About(
        factor,
        number,
        title.strip().rstrip("."),
        sentence=first,
        picture=picture,
        parts=parts,
        settings=tuple(argument.arg for argument in made.args.args[1:] + made.args.kwonlyargs),
        choices=choices,
    )


def _read(docstring: str) -> tuple[str, str, dict[str, str]]:
    """First paragraph, picture, and the parts of a heuristic's docstring.

    >>> _read("Sets x.\\n\\nPicture::\\n\\n    █\\n\\nMechanism: y.\\nCost: none. Does not: z.")
    ('Sets x.', '█', {'Mechanism': 'y.', 'Cost': 'none.', 'Does not': 'z.'})
    """
    before, _, after = docstring.partition("Picture::\n\n")
    picture, _, rest = after.partition("\n\n") if after else ("", "", "")
    text = " ".join(f"{before} {rest}".split())
    marks = sorted((text.index(f"{name}: "), name) for name in PARTS if f"{name}: " in text)
    ends = [*(at for at, _ in marks[1:]), len(text)]
    parts = {name: text[at + len(name) + 2 : end].strip() for (at, name), end in zip(marks, ends, strict=True)}
    lines = picture.split("\n") if picture else []
    margin = min((len(line) - len(line.lstrip()) for line in lines), default=0)
    return text[: marks[0][0]].strip(), "\n".join(line[margin:] for line in lines), parts
