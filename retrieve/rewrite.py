"""The protocol of query rewriting: a follow-up question in words that stand alone. Implemented by `generate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class QueryRewriter(Protocol):
    """Makes a question independent of the questions before it."""

    async def rewrite(self, question: str, history: Sequence[str]) -> str:
        """The question to search for; `history` are the questions before it, oldest first, as asked or standing alone.

        Returns the question as it is when it needs nothing from them.
        """
        ...
