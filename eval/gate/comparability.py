"""Whether two runs may be compared at all: the same questions, judged in the same way by the same code."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_SCORING = ("abilities.py", "measures", "normalise.py", "rows.py", "summary.py")
_TOLD = {
    "question_set": "the question set was changed",
    "scoring": "the scoring code is another",
    "judge": "the judge is another",
    "access": "they were asked with other access tags",
}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What forbids a comparison, in words; empty when nothing does. Both are the environments of runs."""
    return [told for name, told in _TOLD.items() if before.get(name) != after.get(name)]


@cache
def scoring_fingerprint() -> str:
    """First 12 hex digits of the SHA-256 over the scoring code, without comments, docstrings and layout."""
    root = Path(__file__).resolve().parent.parent
    files = sorted(file for name in _SCORING for file in (root / name).rglob("*.py") or ()) + sorted(
        root / name for name in _SCORING if name.endswith(".py")
    )
    digest = hashlib.sha256()
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        digest.update(ast.unparse(_without_docstrings(tree)).encode())
    return digest.hexdigest()[:12]


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:]
    return tree
