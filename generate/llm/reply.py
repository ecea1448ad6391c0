"""A short reply in one piece, for what a model is asked beside the answer."""

from __future__ import annotations

from contextlib import aclosing

from generate.llm.client import ChatClient, ChatRequest
from generate.llm.sentences import WithoutThoughts
from generate.llm.wire import Delta


async def reply_of(client: ChatClient, request: ChatRequest, *, chars_max: int) -> str:
    """The text without thoughts and surrounding white space; cut soon after `chars_max`, by hanging up.

    Raises as `ChatClient.stream` does.
    """
    thoughts, text = WithoutThoughts(), ""
    async with aclosing(client.stream(request)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Delta):
                text += thoughts.feed(piece.text)
            if len(text) > chars_max:
                return text
    return (text + thoughts.end()).strip()
