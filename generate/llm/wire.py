"""The wire format of chat completions as a stream: bytes to lines, lines to pieces. Trusts nothing that arrives."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from generate.answer import Usage
from generate.llm.failures import of_bad_reply, of_stream_error

LINE_BYTES_MAX = 1 << 20
_DATA = b"data:"
_DONE = "[DONE]"
_THOUGHTS = ("reasoning", "reasoning_content")


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer's text; empty where the model is at work without saying anything yet."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The model's answer is complete (`finish_reason`), or the token counts have arrived (`usage`), or both."""

    finish_reason: str | None = None
    usage: Usage | None = None


async def data_lines(body: AsyncIterator[bytes]) -> AsyncGenerator[str, None]:
    """The `data` of each server-sent event in a stream of bytes, as text; bytes that are no UTF-8 become U+FFFD.

    Lines end with LF only, or CR LF: JSON may hold any other line separator. The stream ends at `[DONE]`. Raises
    `ServerFailure` for a line of more than 1 MiB.
    """
    rest = b""
    async for block in body:
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > LINE_BYTES_MAX:
            raise of_bad_reply(f"a line of more than {LINE_BYTES_MAX:,} bytes")
        for line in lines:
            if line.startswith(_DATA):
                data = line[len(_DATA) :].decode("utf-8", "replace").strip()
                if data == _DONE:
                    return
                yield data


def pieces_of(data: str) -> list[Delta | Ended]:
    """What one event says. Raises `ServerFailure` for invalid JSON, another shape, or an error that it reports."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        raise of_bad_reply(f"an event that is no JSON: {data[:60]!r}") from None
    if not isinstance(event, dict):
        raise of_bad_reply("an event that is no JSON object")
    if event.get("error"):
        raise of_stream_error(event["error"])
    found: list[Delta | Ended] = []
    for choice in _list(event.get("choices")):
        found += _of_choice(choice)
    usage = usage_of(event)
    return [*found, Ended(usage=usage)] if usage is not None else found


def usage_of(event: Mapping[str, Any]) -> Usage | None:
    """The token counts of an event or a whole reply, where it has them."""
    counts = event.get("usage")
    if not isinstance(counts, dict):
        return None
    prompt, completion = counts.get("prompt_tokens"), counts.get("completion_tokens")
    if not isinstance(prompt, int) or not isinstance(completion, int) or min(prompt, completion) < 0:
        return None
    return Usage(prompt, completion)


def _of_choice(choice: object) -> list[Delta | Ended]:
    delta = choice.get("delta", {}) if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(delta, dict):
        raise of_bad_reply("a choice without a delta")
    text, reason = delta.get("content"), choice.get("finish_reason")
    if text is not None and not isinstance(text, str):
        raise of_bad_reply("content that is no text")
    found: list[Delta | Ended] = []
    if text or any(delta.get(name) for name in _THOUGHTS):
        found.append(Delta(text or ""))
    if isinstance(reason, str):
        found.append(Ended(finish_reason=reason))
    return found


def _list(value: object) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise of_bad_reply("choices that are no list")
    return value


class Cleaner:
    """Makes text of a model fit to be stored and sent on, piece by piece.

    Joins halves of a surrogate pair that came in two pieces; half a pair alone becomes U+FFFD; control characters but
    line feeds and tabs are left out.
    """

    def __init__(self) -> None:
        self._half = ""

    def clean(self, text: str) -> str:
        text = self._half + text
        self._half = text[-1] if text and "\ud800" <= text[-1] <= "\udbff" else ""
        return _clean(text[: len(text) - len(self._half)])

    def end(self) -> str:
        """What was held back."""
        half, self._half = self._half, ""
        return _clean(half)


def _clean(text: str) -> str:
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return "".join(one for one in whole if one in "\n\t" or unicodedata.category(one) != "Cc")
