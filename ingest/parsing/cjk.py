"""Mends the blanks that recognisers and glyph-by-glyph PDFs put between characters of scripts written without
them.
"""

from __future__ import annotations

import re

_IDEOGRAPHIC = (
    "\u2e80-\u303f\u3040-\u30ff\u3100-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef"
)
_GAP = re.compile(f"(?<=[{_IDEOGRAPHIC}])[ \u00a0]+(?=[{_IDEOGRAPHIC}])")
_ADJACENT = re.compile(f"(?<=[{_IDEOGRAPHIC}])(?=[{_IDEOGRAPHIC}])")


def close_gaps(text: str) -> str:
    """Remove blanks between ideographic characters (Chinese, Japanese kana, full-width forms), not line
    breaks.
    """
    return _GAP.sub("", text)


def is_spaced_out(text: str) -> bool:
    """More neighbouring ideographic characters are parted by a blank than not: the blanks are layout, not
    writing.
    """
    return len(_GAP.findall(text)) > len(_ADJACENT.findall(text))
