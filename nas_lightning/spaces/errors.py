"""What is wrong with an architecture, or with a space's name."""

from __future__ import annotations

from nas_lightning.errors import UserError


class ArchitectureError(UserError):
    """Malformed architecture: the message says in one sentence what is wrong and what is expected."""


class SpaceError(UserError):
    """A search space that is not known, or that cannot be built: one sentence that says what to do."""
