"""Answers made comparable: NFKC, case, punctuation, English articles; CJK text by characters.

Extends the normalisation of SQuAD (Rajpurkar et al., EMNLP 2016), which knows English only.
"""

from __future__ import annotations

import re
import unicodedata

_TOKEN = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+"
)
_THOUSANDS = re.compile(r"(?<=\d)[, ](?=\d{3}(?!\d))")
_ARTICLES = frozenset({"a", "an", "the"})


def answer_tokens(text: str) -> list[str]:
    """Words (CJK: characters) of `text`, compatibility forms and case folded, without punctuation and English articles.

    A comma or a space between thousands is dropped, so that 12,500 equals 12500.
    """
    folded = unicodedata.normalize("NFKC", _THOUSANDS.sub("", unicodedata.normalize("NFKC", text))).casefold()
    return [token for token in _TOKEN.findall(folded) if token not in _ARTICLES]
