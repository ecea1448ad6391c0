"""Abilities of RGB and MIRAGE's cases, by hand-made rows."""

from __future__ import annotations

import pytest

from eval.abilities import ability_metrics
from tests.eval.made_rows import FAILED, REFUSED, WRONG, row

UNANSWERABLE = {"answerable": False}
RIGHTLY_REFUSED = {**UNANSWERABLE, **REFUSED, "correct": True, "success": True}


def test_each_ability_counts_its_own_questions() -> None:
    """Half the noisy ones right; an error is a failure; both documents are needed."""
    found = ability_metrics(
        [
            row("n1", tags=("ability:noise",)),
            row("n2", tags=("ability:noise",), **WRONG),
            row("r1", tags=("ability:rejection",), **RIGHTLY_REFUSED),
            row("r2", tags=("ability:gold-removed",), **UNANSWERABLE, **FAILED),
            row("t1", tags=("ability:two-documents",)),
            row("t2", tags=("ability:two-documents",), evidence_found=False),
            row("e1", tags=("ability:edited",), **RIGHTLY_REFUSED),
            row("other"),
        ]
    )
    values = {name: metric.value for name, metric in found.items()}
    assert values == {
        "noise_robustness": 0.5, "negative_rejection": 0.5, "information_integration": 0.5,
        "counterfactual_robustness": 1.0,
    }  # fmt: skip
    assert found["noise_robustness"].n == 2


def test_questions_asked_of_the_gold_document_alone_tell_reader_from_retriever() -> None:
    """Of three pairs one is lost in the noise, one by the reader; a question without its pair is left out."""
    rows = []
    for name, alone, whole in (("a", {}, {}), ("b", {}, WRONG), ("c", WRONG, WRONG)):
        rows += [row(f"o{name}", question=name, tags=("ability:oracle",), cluster=name, **alone)]
        rows += [row(f"p{name}", question=name, tags=("ability:plain",), cluster=name, **whole)]
    rows += [row("od", question="d", tags=("ability:oracle",))]
    found = ability_metrics(rows)
    assert found["noise_vulnerability"].value == pytest.approx(1 / 3)
    assert found["context_insensitivity"].value == pytest.approx(1 / 3)


def test_a_set_without_drafted_questions_has_no_abilities() -> None:
    """Nothing is shown rather than unscored rows."""
    assert ability_metrics([row("q")]) == {}
