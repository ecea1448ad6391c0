"""Collections and their generations: names, what may change, and what would silently need a re-index."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api.bootstrap import Service
from ingest.collections import CollectionSettings, CollectionSize
from ingest.errors import Conflict, InvalidInput, NotFound
from ingest.generations import GenerationSpec, create_generation, list_generations, load_generation
from tests.ingest.support import ingest, search

SPEC = GenerationSpec("m", "1", 64, 60, 12, "a", "i")


@pytest.mark.parametrize("name", ["a", "0", "manuals-2025_v1.2", "A" * 100])
def test_good_names(service: Service, name: str) -> None:
    """Letters, digits, dots, dashes and underscores."""
    collection, is_new = service.put_collection(name, CollectionSettings())
    assert (collection.name, is_new) == (name, True)
    assert service.collections.get(name) == collection


@pytest.mark.parametrize("name", ["", ".a", "-a", "_a", "a b", "a/b", "ü", "A" * 101, "a\n", "~a"])
def test_bad_names(service: Service, name: str) -> None:
    """A name has to fit into a path as it is."""
    with pytest.raises(InvalidInput, match="is not valid"):
        service.put_collection(name, CollectionSettings())


def test_putting_again_changes_only_what_is_given(service: Service) -> None:
    """What is left out stays."""
    service.put_collection("a", CollectionSettings(language="en", source_priors={"x": 0.9}))
    changed, is_new = service.put_collection("a", CollectionSettings(templates={"t": "…"}))
    assert not is_new
    assert (changed.language, changed.source_priors, changed.templates) == ("en", {"x": 0.9}, {"t": "…"})
    cleared, _ = service.put_collection("a", CollectionSettings(source_priors={}))
    assert cleared.source_priors == {}


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        (CollectionSettings(chunk_tokens=61), "chunk_tokens is 60, not 61"),
        (CollectionSettings(overlap_tokens=0), "overlap_tokens is 12, not 0"),
        (CollectionSettings(embedding_model="other"), r"embedding_model is all-MiniLM-L6-v2\S*, not other"),
        (CollectionSettings(chunk_tokens=61, overlap_tokens=0), "not 61; overlap_tokens is 12, not 0"),
    ],
)
def test_a_silent_reindex_is_refused(service: Service, wanted: CollectionSettings, named: str) -> None:
    """Every difference is named, and nothing is changed."""
    service.put_collection("a", CollectionSettings())
    with pytest.raises(Conflict, match=named) as caught:
        service.put_collection("a", replace(wanted, language="de"))
    assert caught.value.code == "needs_reindex"
    assert service.collections.get("a").language is None


def test_the_same_settings_are_no_change(service: Service) -> None:
    """Spelling out what is so already is allowed."""
    first, _ = service.put_collection("a", CollectionSettings())
    again, is_new = service.put_collection("a", CollectionSettings(chunk_tokens=60, overlap_tokens=12))
    assert (again, is_new) == (first, False)


@pytest.mark.parametrize("prior", [-0.1, 1.1, float("nan")])
def test_a_prior_is_a_share(service: Service, prior: float) -> None:
    """Outside of [0, 1] it would make a score of credibility meaningless."""
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        service.put_collection("a", CollectionSettings(source_priors={"x": prior}))


def test_list_and_size(service: Service) -> None:
    """Collections by name; sizes count what is live."""
    service.put_collection("b", CollectionSettings())
    service.put_collection("a", CollectionSettings())
    assert [collection.name for collection in service.collections.list()] == ["a", "b", "default"]
    ingest(service, {"x.txt": b"One two three."}, "a")
    ingest(service, {"x.txt": b"One two three four."}, "a")
    assert service.collections.size(service.collections.get("a")) == CollectionSize(1, 1, 19)
    assert service.collections.size(service.collections.get("b")) == CollectionSize(0, 0, 0)


def test_an_unknown_collection_is_not_found(service: Service) -> None:
    """The error says how to create it."""
    with pytest.raises(NotFound, match="create it with PUT"):
        service.collections.get("nowhere")


def test_collections_do_not_see_each_other(service: Service) -> None:
    """The same id may live in two collections."""
    service.put_collection("a", CollectionSettings())
    ingest(service, {"x.txt": b"Ferries leave at nine."}, "a")
    ingest(service, {"x.txt": b"Ferries leave at ten."})
    assert [hit.text for hit in search(service, "ferries leave", "a")] == ["Ferries leave at nine."]
    assert [hit.text for hit in search(service, "ferries leave")] == ["Ferries leave at ten."]


def test_equal_specs_have_equal_fingerprints() -> None:
    """A fingerprint is a value of the fields alone; each field counts."""
    assert SPEC.fingerprint == GenerationSpec("m", "1", 64, 60, 12, "a", "i").fingerprint
    others = [
        replace(SPEC, embedder="n"),
        replace(SPEC, embedder_revision="2"),
        replace(SPEC, dimensions=65),
        replace(SPEC, chunk_tokens=61),
        replace(SPEC, overlap_tokens=13),
        replace(SPEC, analyser="b"),
        replace(SPEC, index_kind="j"),
    ]
    assert len({SPEC.fingerprint, *(other.fingerprint for other in others)}) == 8


def test_generations_are_numbered_within_their_collection(service: Service) -> None:
    """Going back to an earlier spec gives a new generation all the same."""
    made = [
        service.catalogue.write(lambda connection: create_generation(connection, "c", SPEC, state="building"))
        for _ in range(2)
    ]
    assert [one.generation for one in made] == [f"{SPEC.fingerprint}-1", f"{SPEC.fingerprint}-2"]
    with service.catalogue.read() as connection:
        assert list_generations(connection, "c") == made
        assert load_generation(connection, made[1].pk) == made[1]
        with pytest.raises(NotFound):
            load_generation(connection, 4711)
