"""Passages as data: each in a fence that its document cannot forge, without tokens that a chat template knows."""

from __future__ import annotations

import hashlib
import re

from retrieve import Hit

_CODE_DIGITS = 16
_CONTROL = re.compile(
    r"<(?=[|｜])"  # <|im_start|>, <|eot_id|>, <｜User｜>
    r"|(?<=[|｜])>"
    r"|<(?=/?(?:s|bos|eos|pad|unk|think|thinking|tool_call|tool_response|start_of_turn|end_of_turn)>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])"
    r"|<(?=<SYS>>|</SYS>>)",
    re.IGNORECASE,
)


def fenced(number: int, hit: Hit) -> str:
    """The passage under its number, between two lines that hold a code made of the passage itself.

    Whoever writes a document would have to write a text that contains its own hash to end the fence early; and since
    the code depends on nothing else, equal passages make equal prompts.
    """
    title = " ".join(defused(hit.title or hit.document_id).split())
    heading = " ".join(defused(hit.heading or "").split())
    text = defused(hit.text).strip()
    code = hashlib.sha256(f"{title}\0{heading}\0{text}".encode("utf-8", "replace")).hexdigest()[:_CODE_DIGITS]
    source = f"{title} > {heading}" if heading and heading != title else title
    dated = f" ({hit.document_date})" if hit.document_date else ""
    return f"[{number}] {code}\nFrom: {source}{dated}\n{text}\n{code}\n\n"


def defused(text: str) -> str:
    """`text` with a space in every token by which chat templates tell who speaks, so that it stays plain text."""
    return _CONTROL.sub(lambda match: f" {match.group()}" if match.group() == ">" else f"{match.group()} ", text)
