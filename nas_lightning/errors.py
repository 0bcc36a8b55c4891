"""The one kind of error that loses its traceback: the user can mend it, and the message says how."""

from __future__ import annotations


class UserError(ValueError):
    """Wrong input, or a file or machine that does not allow what was asked: one sentence that says what to do.

    Commands print it without a traceback and exit with code 2. Everything else that is raised is a bug, a ValueError of
    any library too, and keeps its traceback.
    """
