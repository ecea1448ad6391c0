"""What a model may write, as a grammar (EBNF as xgrammar reads it), for servers that can bind a model to one.

Everything is bounded: a model that knows no end of a sentence comes to its marker nevertheless.
"""

from __future__ import annotations

from collections.abc import Iterable

from generate.llm.prompts import NO_ANSWER

_SENTENCES_MAX = 8
_SENTENCE_CHARS_MAX = 400
_MARKS_MAX = 3
_QUOTES_MAX = 3


def cited_sentences(passages: int) -> str:
    """Up to 8 sentences of up to 400 characters, each ending with markers of passages that there are; or no answer."""
    numbers = " | ".join(f'"{number}"' for number in range(1, passages + 1))
    return "\n".join(
        (
            f'root ::= "{NO_ANSWER}" | sentence (" " sentence){{0,{_SENTENCES_MAX - 1}}}',
            f'sentence ::= first words mark{{1,{_MARKS_MAX}}} "."',
            r"first ::= [^\[\]【】［］\n\t ]",
            rf"words ::= [^\[\]【】［］\n\t]{{1,{_SENTENCE_CHARS_MAX}}}",
            'mark ::= " [" number "]"',
            f"number ::= {numbers}",
        )
    )


def quoted_sentences(sentences: Iterable[tuple[int, str]]) -> str:
    """Up to 3 of the sentences (number of the passage, text), each with its marker; or no answer."""
    quotes = " | ".join(f"{_literal(f'{text} [{number}]')}" for number, text in sentences)
    return "\n".join(
        (
            f'root ::= "{NO_ANSWER}" | quote (" " quote){{0,{_QUOTES_MAX - 1}}}',
            f"quote ::= {quotes}",
        )
    )


def list_of_texts(texts_max: int, *, chars_max: int) -> str:
    """A JSON list of up to `texts_max` strings of 1 to `chars_max` characters on one line, without escapes."""
    return "\n".join(
        (
            f'root ::= "[]" | "[" text (", " text){{0,{texts_max - 1}}} "]"',
            'text ::= "\\"" char "\\""',
            rf'char ::= [^"\\\n\r\t]{{1,{chars_max}}}',
        )
    )


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'
