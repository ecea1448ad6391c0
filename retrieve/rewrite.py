"""The protocols of query rewriting, implemented by `generate`: a follow-up question in words that stand alone, and a
question taken apart.
"""

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


class QuestionDecomposer(Protocol):
    """Takes a question apart that asks for several things."""

    async def parts(self, question: str) -> tuple[str, ...]:
        """Simpler questions to search for beside it; none where it asks for one thing, or where this fails."""
        ...
