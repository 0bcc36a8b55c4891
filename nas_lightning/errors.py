"""The one kind of error that loses its traceback: the user can mend it, and the message says how."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 299
"""Characters of a message that is printed."""


class UserError(ValueError):
    """Wrong input, or a file or machine that does not allow what was asked: one sentence that says what to do.

    Commands print it without a traceback and exit with code 2. Everything else that is raised is a bug, a ValueError of
    any library too, and keeps its traceback. Whatever a message quotes from a file, it is printed as one line of at
    most `LONGEST` characters.
    """

    def __str__(self) -> str:
        return one_sentence(super().__str__())


def one_sentence(text: str) -> str:
    """Text as one printable line of at most `LONGEST` characters; the middle is left out of a longer one, since the
    beginning says what is wrong and the end what to do.

    Args:
        text: a message of several lines.

    Returns:
        One line.

    >>> one_sentence("two\\nlines\\x1b")
    'two lines\ufffd'
    """
    line = "".join(c if c.isprintable() else "\ufffd" for c in re.sub(r"\s+", " ", text).strip())
    if len(line) <= LONGEST:
        return line
    head = LONGEST * 3 // 5
    return f"{line[:head].rstrip()} … {line[len(line) - (LONGEST - head - 3) :].lstrip()}"


def nearest(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """At most `n` of the `known` names that are most like `name`: by their letters, then those that it begins.

    Args:
        name: What was typed.
        known: What could have been meant.
        n: How many are returned at most.

    Returns:
        Names of `known`, the nearest first.

    >>> nearest("acc", ["accuracy", "macs"])
    ['macs', 'accuracy']
    """
    names = list(dict.fromkeys(known))
    begun = [k for k in names if name and k.lower().startswith(name.lower())]
    return list(dict.fromkeys([*get_close_matches(name, names, n=n), *begun]))[:n]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The question that names the nearest of `known`, with a blank behind it; empty where none is near.

    Args:
        name: What was typed.
        known: What could have been meant.

    Returns:
        The beginning of a sentence that goes on with what may be chosen.

    >>> did_you_mean("cifr10", ["cifar10", "cifar100", "digits"])
    'did you mean cifar10 or cifar100? '
    """
    close = nearest(name, known)
    return f"did you mean {' or '.join(close)}? " if close else ""
