"""Near duplicates: which texts are alike, and how documents are linked while others come, change and go."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from api.bootstrap import Service
from ingest.catalogue import schema
from ingest.collections import CollectionSettings
from ingest.near_duplicates import SIMILARITY_MIN, signature_of, similarity
from tests.ingest.support import delete, ingest

WORDS = [f"word{number}" for number in range(300)]
HAN = "".join(chr(0x4E00 + number) for number in range(300))


def edited(changes: int) -> str:
    """The text of 300 words with so many of them replaced, evenly spread."""
    words = list(WORDS)
    for number in range(changes):
        words[number * 300 // changes] = f"other{number}"
    return " ".join(words)


def links(service: Service) -> dict[str, str | None]:
    """For each document what it is a duplicate of."""
    records, _ = service.documents.list(service.collections.get("default"))
    return {record.document_id: record.duplicate_of for record in records}


def bands(service: Service) -> int:
    """How many documents can be found by their likeness."""
    table = schema.signature_bands
    with service.catalogue.read() as connection:
        return connection.execute(select(func.count(table.c.version_pk.distinct()))).scalar_one()


def test_layout_and_case_make_no_difference() -> None:
    """Nor does punctuation; one changed word in three hundred hardly does."""
    one, other = (
        signature_of("The Ferry, leaving at NINE!\n\nfrom pier two."),
        signature_of("the ferry leaving at nine from pier two"),
    )
    assert similarity(one, other) == 1
    assert similarity(signature_of(edited(1)), signature_of(" ".join(WORDS))) > 0.9


@pytest.mark.parametrize("text", ["", "one", "one two three", "好", "x " * 50_000])
def test_any_text_has_a_signature(text: str) -> None:
    """Also one that is shorter than a shingle, or longer than a batch of them."""
    assert signature_of(text).shape == (128,)
    np.testing.assert_array_equal(signature_of(text), signature_of(text))


def test_chinese_is_compared_by_characters() -> None:
    """A text without spaces is not one word: three of 300 characters may differ."""
    changed = HAN[:50] + "甲" + HAN[51:150] + "乙" + HAN[151:]
    assert similarity(signature_of(HAN), signature_of(changed)) > SIMILARITY_MIN
    assert similarity(signature_of(HAN), signature_of(HAN[::-1])) < 0.2


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 120))
def test_the_estimate_is_near_the_true_share(changes: int) -> None:
    """Within five standard errors of the Jaccard index of the shingles."""

    def shingles(text: str) -> set[str]:
        words = text.split()
        return {" ".join(words[start : start + 5]) for start in range(len(words) - 4)}

    one, other = " ".join(WORDS), edited(changes)
    common = shingles(one) & shingles(other)
    true = len(common) / len(shingles(one) | shingles(other))
    error = (true * (1 - true) / 128) ** 0.5
    assert abs(similarity(signature_of(one), signature_of(other)) - true) <= 5 * error + 1e-9


def test_documents_are_linked_to_the_first(service: Service) -> None:
    """All to the same one, which alone is kept for comparison; what is different is not linked."""
    ingest(service, {"a.txt": edited(0).encode(), "other.txt": HAN.encode()})
    ingest(service, {"b.txt": edited(2).encode(), "c.txt": edited(3).encode()})
    assert links(service) == {"a.txt": None, "other.txt": None, "b.txt": "a.txt", "c.txt": "a.txt"}
    assert bands(service) == 2


def test_when_the_original_goes_the_next_takes_its_place(service: Service) -> None:
    """At once with the tombstone, and for all that were linked to it."""
    ingest(service, {f"{name}.txt": edited(number).encode() for number, name in enumerate("abcd")})
    delete(service, "a.txt")
    assert links(service) == {"b.txt": None, "c.txt": "b.txt", "d.txt": "b.txt"}
    delete(service, "b.txt", "c.txt")
    assert links(service) == {"d.txt": None}
    assert bands(service) == 1


def test_a_new_version_is_compared_anew(service: Service) -> None:
    """A duplicate that becomes something else is none any more, and an original leaves its place."""
    files = {f"{name}.txt": edited(number).encode() for number, name in enumerate("abc")}
    ingest(service, files)
    ingest(service, {"b.txt": HAN.encode()})
    assert links(service) == {"a.txt": None, "b.txt": None, "c.txt": "a.txt"}
    ingest(service, {"a.txt": HAN.encode()})
    assert links(service) == {"a.txt": "b.txt", "b.txt": None, "c.txt": None}
    ingest(service, {"a.txt": files["a.txt"]})
    assert links(service) == {"a.txt": "c.txt", "b.txt": None, "c.txt": None}


def test_those_that_are_only_like_their_original_part_without_it(service: Service) -> None:
    """Each may be near the original on another side; when it goes they are compared with each other."""
    left = " ".join([f"l{n}" for n in range(20)] + WORDS[20:])
    right = " ".join(WORDS[:-20] + [f"r{n}" for n in range(20)])
    ingest(service, {"a.txt": edited(0).encode(), "l.txt": left.encode(), "r.txt": right.encode()})
    assert links(service) == {"a.txt": None, "l.txt": "a.txt", "r.txt": "a.txt"}
    delete(service, "a.txt")
    assert links(service) == {"l.txt": None, "r.txt": None}


def test_an_original_that_may_not_be_seen_is_not_named(service: Service) -> None:
    """The link would tell that a hidden document exists."""
    ingest(service, {"board.txt": edited(0).encode()}, access=["board"])
    ingest(service, {"b.txt": edited(1).encode()})
    collection = service.collections.get("default")
    assert service.documents.get(collection, "b.txt", tags=frozenset({"staff"})).duplicate_of is None
    assert service.documents.get(collection, "b.txt", tags=frozenset({"board"})).duplicate_of == "board.txt"
    assert service.documents.list(collection, tags=frozenset())[0][0].duplicate_of is None


def test_collections_know_nothing_of_each_other(service: Service) -> None:
    """A tenant's text is not compared with another's."""
    service.put_collection("other", CollectionSettings())
    ingest(service, {"a.txt": edited(0).encode()}, collection="other")
    ingest(service, {"b.txt": edited(0).encode()})
    assert links(service) == {"b.txt": None}
