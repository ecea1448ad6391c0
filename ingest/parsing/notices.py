"""Signs of progress from a parser to the process that waits for it. Nobody listens unless a worker sets `listener`."""

from __future__ import annotations

from collections.abc import Callable


def _nobody() -> None:
    pass


listener: Callable[[], None] = _nobody


def page_recognised() -> None:
    """A page was read from its picture, which takes seconds: the document may have that much more time."""
    listener()
