"""The contract of every passage reader: the fake that stands for it in other tests, and the shipped model."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.models import JointReader, PassageReader
from tests.fakes import OverlapReader

QUESTION = "When does the last ferry leave?"
PASSAGES = [
    "The last ferry leaves at nine in the evening.",
    "",
    "最后一班渡轮于晚上九点离开港口。",
    "a" * 3000,
    "Timber was sold by weight. " * 100,
    "naïve café 😀 at nine",
]


SHIPPED = Path(__file__).resolve().parents[3] / "data" / "models" / "minilm-reader"


@pytest.fixture(scope="module", params=["fake", pytest.param("real", marks=pytest.mark.real_model)])
def reader(request: pytest.FixtureRequest) -> PassageReader:
    """The fake, and the shipped adapter on the packaged model."""
    return OverlapReader() if request.param == "fake" else JointReader.load(SHIPPED)


def test_every_passage_gets_a_finite_reading(reader: PassageReader) -> None:
    """Whatever the passage, empty or endless; words give at least one span."""
    readings = reader.read([(QUESTION, passage) for passage in PASSAGES])
    assert len(readings) == len(PASSAGES)
    for reading, passage in zip(readings, PASSAGES, strict=True):
        assert np.isfinite([reading.relevance, reading.no_answer]).all()
        assert bool(reading.spans) == bool(passage)


def test_a_reading_does_not_depend_on_its_neighbours(reader: PassageReader) -> None:
    """Alone as among others, but for rounding."""
    alone = reader.read([(QUESTION, PASSAGES[0])])[0]
    among = reader.read([(QUESTION, passage) for passage in PASSAGES])[0]
    assert alone.relevance == pytest.approx(among.relevance, abs=0.1)
    assert (alone.spans[0].start, alone.spans[0].end) == (among.spans[0].start, among.spans[0].end)


def test_the_passage_that_answers_is_the_most_relevant(reader: PassageReader) -> None:
    """What reading is for."""
    readings = reader.read([(QUESTION, passage) for passage in PASSAGES])
    assert max(range(len(PASSAGES)), key=lambda place: readings[place].relevance) == 0


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from("ab cdé 港口，。1.\n😀"), max_size=200))
def test_spans_lie_in_the_passage_and_do_not_overlap(reader: PassageReader, passage: str) -> None:
    """Offsets are code points of the passage as given; best first, at most five."""
    spans = reader.read([("who leaves é 港口?", passage)])[0].spans
    assert len(spans) <= 5
    assert [span.score for span in spans] == sorted((span.score for span in spans), reverse=True)
    assert all(0 <= span.start < span.end <= len(passage) for span in spans)
    ordered = sorted(spans, key=lambda span: span.start)
    assert all(one.end <= other.start for one, other in pairwise(ordered))
    assert all(not passage[span.start].isspace() and not passage[span.end - 1].isspace() for span in spans)
