"""What stands at a dotted path: a class of the user's own, a space, a source of images, a predictor, an algorithm."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from nas_lightning.errors import UserError


def found_at(path: str, *, said: str, error: type[UserError]) -> Any:
    """What stands at a dotted path; whether it is of the right kind is the caller's to say.

    Args:
        path: ``my_module.MyClass``, or ``my_module:MyClass`` as entry points say it.
        said: how the message begins: ``_target_=my_module.MyClass``.
        error: the class of the errors.

    Returns:
        Any Python value.

    Raises:
        UserError: as `error`: there is no such module, or nothing of that name in it. An import that fails inside the
            module keeps its traceback, which its author needs.
    """
    module, _, leaf = path.replace(":", ".").rpartition(".")
    if not module:
        raise error(f"{said[:100]}: that is no dotted path; give one such as my_module.MyClass")
    try:
        return getattr(import_module(module), leaf)
    except ModuleNotFoundError as missing:
        if missing.name is None or not (module + ".").startswith(missing.name + "."):
            raise
        raise error(
            f"{said[:100]}: there is no module {missing.name[:80]}; run from the folder that holds it, or put its "
            "folder on PYTHONPATH"
        ) from None
    except (AttributeError, ValueError):
        raise error(f"{said[:100]}: the module {module[:80]} has no {leaf[:80]}") from None
