"""The support checker: figures, names and denials must agree; a verbatim quote is supported."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.settings import SHIPPED_DATA
from generate.citations import SUPPORT_MIN
from generate.support import EntailmentSupport, SupportWeights
from ingest.models import ModelRuntime
from tests.fakes import HashingEncoder

QUOTE = "MV Fulmar, built in 2011, stops sailing on the Tolm route when the mean wind reaches 34 knots."
PASSAGE = f"Heavy weather\n{QUOTE} MV Skarva Dawn stops at 38 knots. The master decides at 05:00."


@pytest.fixture
def checker() -> Iterator[EntailmentSupport]:
    runtime = ModelRuntime()
    weights = SupportWeights.load(SHIPPED_DATA / "models" / "support.json")
    yield EntailmentSupport(runtime, HashingEncoder(), weights, timeout_s=30)
    runtime.close()


@pytest.mark.parametrize(
    "sentence",
    [
        QUOTE,
        "MV Fulmar stops sailing on the Tolm route at a mean wind of 34 knots.",
        "According to the document, MV Fulmar stops sailing when the mean wind reaches 34 knots.",
        "When the mean wind reaches 34 knots, MV Fulmar stops sailing on the Tolm route.",
    ],
)
def test_what_the_quote_says_in_other_words_is_supported(checker: EntailmentSupport, sentence: str) -> None:
    """Left out, moved, led in."""
    assert checker.support(sentence, [QUOTE], [PASSAGE]) >= SUPPORT_MIN


@pytest.mark.parametrize(
    "sentence",
    [
        "MV Fulmar stops sailing on the Tolm route when the mean wind reaches 43 knots.",
        "MV Skarva Dawn stops sailing on the Tolm route when the mean wind reaches 34 knots.",
        "MV Petrel stops sailing on the Tolm route when the mean wind reaches 34 knots.",
        "MV Fulmar does not stop sailing on the Tolm route when the mean wind reaches 34 knots.",
        "The café on deck five sells soup and bread.",
    ],
)
def test_what_it_does_not_say_is_not_supported(checker: EntailmentSupport, sentence: str) -> None:
    """Another figure, another name of the passage or from elsewhere, a denial, another topic."""
    assert checker.support(sentence, [QUOTE], [PASSAGE]) < SUPPORT_MIN


def test_a_verbatim_quote_is_supported_whatever_it_says(checker: EntailmentSupport) -> None:
    """White space aside."""
    assert checker.support("It  is\nnot so.", ["He says it is so. It is not so."]) == 1.0


@pytest.mark.parametrize(
    ("sentence", "supported"),
    [
        ("富尔玛号在平均风速达到34节时停航。", True),
        ("富尔玛号在平均风速达到43节时停航。", False),
        ("富尔玛号在平均风速达到34节时不停航。", False),
        ("餐厅在九点关门。", False),
    ],
)
def test_chinese_is_checked_without_embeddings(sentence: str, supported: bool) -> None:
    """By an encoder that reads English only."""
    runtime, encoder = ModelRuntime(), HashingEncoder()
    encoder.languages = ("en",)
    weights = SupportWeights.load(SHIPPED_DATA / "models" / "support.json")
    checker = EntailmentSupport(runtime, encoder, weights, timeout_s=30)
    quote = "2011年建造的富尔玛号在平均风速达到34节时停航，船长可以提前决定。"
    assert (checker.support(sentence, [quote]) >= SUPPORT_MIN) is supported
    runtime.close()
