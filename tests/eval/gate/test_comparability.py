"""What may be compared with what."""

from __future__ import annotations

import ast

from eval.gate import differences
from eval.gate.comparability import _without_docstrings, scoring_fingerprint


def test_other_questions_judge_or_scoring_cannot_be_compared() -> None:
    """Each is told; other settings are what a comparison is for."""
    before = {"question_set": "a", "judge": None, "scoring": "1", "access": None, "fingerprint": "x"}
    assert differences(before, {**before, "fingerprint": "y"}) == []
    after = {**before, "question_set": "b", "judge": "j", "scoring": "2", "access": ["hr"]}
    assert len(differences(before, after)) == 4


def test_the_scoring_fingerprint_is_of_code_not_of_words() -> None:
    """Docstrings and comments do not count; a number does."""
    one = 'def f():\n    """Words."""\n    return 1  # why\n'
    other = 'def f():\n    """Other words."""\n\n    return 1\n'
    changed = "def f():\n    return 2\n"
    plain = [ast.unparse(_without_docstrings(ast.parse(source))) for source in (one, other, changed)]
    assert plain[0] == plain[1] != plain[2]
    assert len(scoring_fingerprint()) == 12
