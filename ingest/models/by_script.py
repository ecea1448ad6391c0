"""Two embedding models side by side: one for texts in Latin letters, one for all others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ingest.errors import Unavailable
from ingest.models.encoder import Encoder, FloatArray, PreparedText, SentenceTransformerEncoder, TextKind
from ingest.models.profiles import JOINT
from ingest.sentences import Span

_LATIN_WORDS = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+")
_OTHER_WORDS = re.compile(
    r"[\u3040-\u318f\u31a0-\u31ff\u3400-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff]"
    r"|[\u0370-\u1dff\u1f00-\u1fff\u2c00-\u2ddf\ua000-\ua95f\ua980-\uabff\ufb1d-\ufdff\ufe70-\ufefc]+"
)
"""A character of the scripts of China, Japan and Korea, or a run of letters of any other script but Latin."""

_OTHER_SHARE = 0.5


class TwoScriptEncoder:
    """Texts in Latin letters by `latin`, texts in other scripts by `other`.

    Both make vectors of as many dimensions, which lie in one index. Across the two cosines say nothing, and are small:
    what lies below `other`'s `least_cosine` may be of either. Tokens, and so the limits of chunks, are those of
    `latin`. Errors are those of the two, and `Unavailable` where their dimensions differ.
    """

    languages: tuple[str, ...] | None = None

    def __init__(self, latin: Encoder, other: Encoder) -> None:
        if latin.dimensions != other.dimensions:
            raise Unavailable(
                f"{latin.name} makes vectors of {latin.dimensions} dimensions, {other.name} of {other.dimensions}; "
                "two embedding models side by side need as many",
                code="model_unavailable",
            )
        self.latin, self.other = latin, other
        self.name = f"{latin.name}{JOINT}{other.name}"
        self.revision = f"{latin.revision}{JOINT}{other.revision}"
        self.dimensions = latin.dimensions
        self.judged_languages = latin.languages

    @property
    def word_embeddings(self) -> Any:
        """Those of `latin`, where it has some to share."""
        return self.latin.word_embeddings if isinstance(self.latin, SentenceTransformerEncoder) else None

    def least_cosine(self, query: str) -> float:
        return self._of(query).least_cosine(query)

    def prepare(self, texts: Sequence[str], kind: TextKind) -> list[PreparedText]:
        encoders = [self._of(text) for text in texts]
        prepared: dict[int, PreparedText] = {}
        for encoder in (self.latin, self.other):
            places = [place for place, one in enumerate(encoders) if one is encoder]
            if places:
                own = encoder.prepare([texts[place] for place in places], kind)
                prepared.update(
                    (place, PreparedText(one.tokens, (encoder, one))) for place, one in zip(places, own, strict=True)
                )
        return [prepared[place] for place in range(len(texts))]

    def forward(self, prepared: Sequence[PreparedText], kind: TextKind, *, fast: bool) -> FloatArray:
        vectors = np.empty((len(prepared), self.dimensions), dtype=np.float32)
        for encoder in (self.latin, self.other):
            places = [place for place, one in enumerate(prepared) if one.content[0] is encoder]
            if places:
                vectors[places] = encoder.forward([prepared[place].content[1] for place in places], kind, fast=fast)
        return vectors

    def encode(self, texts: Sequence[str], kind: TextKind, *, fast: bool) -> FloatArray:
        return self.forward(self.prepare(texts, kind), kind, fast=fast)

    def token_spans(self, texts: Sequence[str]) -> list[list[Span]]:
        return self.latin.token_spans(texts)

    def _of(self, text: str) -> Encoder:
        return self.other if is_other_script(text) else self.latin


def parts_of(encoder: Encoder) -> tuple[Encoder, ...]:
    """The two models of a joint one, which may also be used alone; none of another."""
    return (encoder.latin, encoder.other) if isinstance(encoder, TwoScriptEncoder) else ()


def is_other_script(text: str) -> bool:
    """Whether half of the words are not in Latin letters; each character of a script without spaces is a word."""
    if text.isascii():
        return False
    others = sum(1 for _ in _OTHER_WORDS.finditer(text))
    return others > 0 and others >= _OTHER_SHARE * (others + sum(1 for _ in _LATIN_WORDS.finditer(text)))
