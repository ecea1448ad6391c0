"""Two models side by side: which text goes to which, and that nothing of it is mixed up."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.errors import Unavailable
from ingest.models.by_script import TwoScriptEncoder, is_other_script
from ingest.models.encoder import PreparedText
from tests.fakes import HashingEncoder


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("The last ferry leaves at nine.", False),
        ("Überfälle in Łódź", False),
        ("", False),
        ("2026 — 34 %", False),
        ("Who is 习近平?", True),
        ("The word 報銷 means reimbursement of expenses", False),
        ("如何在 Kubernetes 上部署 PostgreSQL StatefulSet？", True),
        ("最后一班渡轮", True),
        ("船は何時に出ますか", True),
        ("막차는 몇 시에 출발합니까", True),
        ("Когда уходит последний паром", True),
        ("Who wrote Мастер?", False),
        ("Ω is measured in ohm", False),
        ("Nice 😀 weather", False),
    ],
)
def test_script_of_most_words(text: str, other: bool) -> None:
    """Words in Latin letters count one each, and so do Chinese characters; signs and numbers do not count."""
    assert is_other_script(text) is other


def test_each_text_has_the_vector_of_its_model() -> None:
    """In the order given, whatever stands beside it; and the tokens are the first model's."""
    latin, other = HashingEncoder("latin"), HashingEncoder("other", dimensions=64)
    joint = TwoScriptEncoder(latin, _Turned(other))
    texts = ["ferry", "渡轮 ferry 港口", "harbour", "港口"]
    vectors = joint.encode(texts, "document", fast=True)
    np.testing.assert_array_equal(vectors[[0, 2]], latin.encode(["ferry", "harbour"], "document", fast=True))
    np.testing.assert_array_equal(vectors[[1, 3]], -other.encode(["渡轮 ferry 港口", "港口"], "document", fast=True))
    assert joint.token_spans(texts) == latin.token_spans(texts)
    assert joint.encode([], "query", fast=True).shape == (0, 64)
    assert (joint.name, joint.revision) == ("latin+other", "1+1")


def test_what_counts_as_near_is_the_models_own() -> None:
    """A cosine that says something with one model says nothing with the other."""
    joint = TwoScriptEncoder(HashingEncoder(), _Turned(HashingEncoder()))
    assert (joint.least_cosine("ferry"), joint.least_cosine("渡轮")) == (-1.0, 0.5)
    assert joint.languages is None


def test_dimensions_must_agree() -> None:
    """Both kinds of vectors lie in one index."""
    with pytest.raises(Unavailable, match="a makes vectors of 64 dimensions, b of 32"):
        TwoScriptEncoder(HashingEncoder("a"), HashingEncoder("b", dimensions=32))


class _Turned(HashingEncoder):
    """Vectors of another model: the opposite ones."""

    def __init__(self, encoder: HashingEncoder) -> None:
        super().__init__(encoder.name, encoder.revision, encoder.dimensions)

    def least_cosine(self, query: str) -> float:
        return 0.5

    def forward(self, prepared: list[PreparedText], kind: str, *, fast: bool) -> np.ndarray:  # type: ignore[override, type-arg]
        return -super().forward(prepared, kind, fast=fast)  # type: ignore[arg-type]
