"""The main language of a text, as an ISO 639-1 code: by script where that decides, else by py3langid's model."""

from __future__ import annotations

import re

from ingest.sentences import cjk_share

_KANA = re.compile(r"[\u3040-\u30ff]")
_HANGUL = re.compile(r"[\uac00-\ud7af]")
_SAMPLE_CHARS = 4000
_LETTERS_MIN = 20


def detect_language(text: str) -> str | None:
    """`zh`, `ja`, `ko`, `en`, …; None when there are too few letters to tell. Looks at the first 4,000 characters."""
    sample = text[:_SAMPLE_CHARS]
    letters = sum(character.isalpha() for character in sample)
    if len(_HANGUL.findall(sample)) > 0.3 * max(letters, 1):
        return "ko"
    if cjk_share(sample) > 0.3:
        return "ja" if len(_KANA.findall(sample)) > 0.1 * letters else "zh"
    if letters < _LETTERS_MIN:
        return None
    import py3langid  # reading its model takes most of a second

    return str(py3langid.classify(sample)[0])
