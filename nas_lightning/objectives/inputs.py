"""Space and data have to go together: a network of images reads no words, and a language model no pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from nas_lightning.data.find import task_class
from nas_lightning.errors import UserError
from nas_lightning.plan import PlanError
from nas_lightning.runs.packaged import conf_folder
from nas_lightning.spaces import Space, get_space, packaged


def refuse_other_inputs(space: str | Space[Any], data: Mapping[str, Any]) -> None:
    """Refuse a ``data`` section whose inputs the space's networks do not read.

    Args:
        space: by name, or itself.
        data: the section, with ``name`` and ``_target_``.

    Raises:
        PlanError: it names the data and the spaces that would go together.
    """
    domain, task = get_space(space), task_class(data)
    if domain.inputs == task.inputs:
        return
    fitting = [name for name in _choices() if name[1] == domain.inputs]
    spaces = [name for name in packaged() if get_space(name).network and get_space(name).inputs == task.inputs]
    other = f", or space={' or '.join(spaces)} for these {task.inputs}" if spaces else ""
    raise PlanError(
        f"space={domain.name} reads {domain.inputs}, and data={data['name']} gives {task.inputs}: say "
        f"data={' or '.join(name for name, _ in fitting)}{other}"
    )


def _choices() -> list[tuple[str, str]]:
    """(name, what its inputs are) of every choice of the group ``data``, as far as their classes can be found."""
    found = []
    for file in sorted((conf_folder() / "data").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".yaml"):
            section = yaml.safe_load(file.read_text())
            section = section.get("data", section)  # of a file that also says which table goes with it
            try:
                found.append((file.name.removesuffix(".yaml"), task_class(section).inputs))
            except UserError:
                continue
    return found
