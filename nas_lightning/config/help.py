"""What ``--help`` prints: the groups, the heuristics with what each does, and a sentence per field."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from omegaconf import OmegaConf

from nas_lightning.config.fields import documented, heuristics
from nas_lightning.config.first_run import CHOOSES, RECIPE
from nas_lightning.runs.packaged import conf_folder

WIDTH = 110
TITLES = {
    "train": "Train one super-net and rank it (mode=supernet), train one network (mode=standalone), build a table of\n"
    "stand-alone accuracies (mode=table), or score with trained super-nets (mode=evaluate). Where nothing says what\n"
    f"to run ({', '.join(sorted(CHOOSES))}), {RECIPE} does.",
    "search": "Search an architecture on a table, on a trained super-net, or by real training.",
}


def register_help(command: str, kind: type, objectives: Mapping[str, type] | None = None) -> None:
    """Let Hydra find the text under ``${help_of_<command>:}``; it is made only where it is asked for."""

    def text() -> str:
        said = "\n".join(_lines(command, kind, objectives or {}))
        return said.replace("$", "$$").replace("$$APP_CONFIG_GROUPS", "$APP_CONFIG_GROUPS")  # of a string template

    OmegaConf.register_new_resolver(f"help_of_{command}", text, replace=True)


def _lines(command: str, kind: type, objectives: Mapping[str, type]) -> Iterator[str]:
    yield TITLES[command]
    yield f"\n== Groups ==  {command}.py group=choice\n\n$APP_CONFIG_GROUPS"
    if command == "train":
        yield "== Heuristics ==  heuristics/factor=choice, or heuristics.factor.setting=value\n"
        for about in heuristics(conf_folder()):
            yield f"{about.factor} ({', '.join(about.settings)})"
            yield _indented(about.line)
    yield f"\n== Fields ==  {command}.py field=value; in brackets the default, where no group decides\n"
    for field in documented(kind):
        yield from _field(field.path, field.default, field.sentence)
    for name, schema in objectives.items():
        for field in documented(schema, "objective."):
            if field.path != "objective.name":
                yield from _field(f"{field.path} (objective={name})", field.default, field.sentence)
    yield f"\n{command}.py --cfg job prints the whole configuration, -m runs a sweep; --hydra-help: what Hydra can do."


def _field(name: str, default: str, sentence: str) -> Iterator[str]:
    yield name + (f" [{default}]" if default else "")
    yield _indented(sentence)


def _indented(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
