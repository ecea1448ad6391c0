"""Committing groups: many documents in few statements, and each as if it had come alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event, select

from api.bootstrap import Service
from ingest.catalogue import schema
from tests.ingest.support import ingest, search


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is executed meanwhile, by any engine; a statement with many rows is one."""
    executed: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        executed.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield executed
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def corpus(*lines: tuple[str, str]) -> dict[str, bytes]:
    """A file with a line for each (id, text)."""
    return {"all.jsonl": "\n".join(json.dumps({"id": name, "text": text}) for name, text in lines).encode()}


def texts(service: Service) -> dict[str, tuple[int, str]]:
    """Version and text of each document."""
    collection = service.collections.get("default")
    records, _ = service.documents.list(collection)
    return {one.document_id: (one.version, service.documents.text(collection, one.document_id).text) for one in records}


def test_lines_are_changed_in_few_statements(service: Service) -> None:
    """Documents that are ready together are committed and linked together, by a handful of statements; once they are
    there, nothing is.
    """
    lines = [(f"line-{number}", f"Ferry {number} leaves harbour {number * 7}.") for number in range(100)]
    watched = ("UPDATE versions", "UPDATE job_documents", "INSERT INTO signatures", "INSERT INTO version_texts")
    with statements() as executed:
        assert ingest(service, corpus(*lines)).done == 100
    groups = sum(one.startswith("INSERT INTO signatures") for one in executed)
    assert 1 <= groups < 50
    assert 4 <= sum(one.startswith(watched) for one in executed) < 6 * groups + 5
    assert len(texts(service)) == 100
    with statements() as executed:
        assert ingest(service, corpus(*lines)).state == "succeeded"
    assert not any(
        one.startswith(("INSERT INTO versions", "INSERT INTO chunks", "UPDATE versions")) for one in executed
    )


def test_a_document_that_comes_twice_in_a_job_ends_as_its_last(service: Service) -> None:
    """Both versions are recorded, in order; the first one is history, and only the last is found."""
    job = ingest(
        service, corpus(("a", "Dogs pay nothing."), ("b", "Cats pay."), ("a", "Dogs pay half."), ("b", "Cats pay."))
    )
    assert (job.state, job.done, job.failed) == ("succeeded", 4, 0)
    assert texts(service) == {"a": (2, "Dogs pay half."), "b": (1, "Cats pay.")}
    assert [hit.text for hit in search(service, "dogs pay") if hit.document_id == "a"] == ["Dogs pay half."]
    versions = schema.versions
    with service.catalogue.read() as connection:
        states = connection.execute(select(versions.c.state).order_by(versions.c.pk)).scalars().all()
    assert sorted(states) == ["live", "live", "retired"]


def test_lines_old_and_new_keep_their_order_in_the_job(service: Service) -> None:
    """Unchanged, replaced, new and bad ones in one file."""
    ingest(service, corpus(("a", "One."), ("b", "Two.")))
    lines = corpus(("n", "New."), ("a", "One."), ("b", "Changed."), ("m", "More."))
    lines = {"all.jsonl": lines["all.jsonl"] + b"\nnonsense\n" + corpus(("z", "Last."))["all.jsonl"]}
    job = ingest(service, lines)
    parts, _ = service.jobs.documents(job.job_id)
    assert [(one.document_id, one.state) for one in parts if one.document_id != "all.jsonl"] == [
        ("n", "succeeded"),
        ("a", "unchanged"),
        ("b", "succeeded"),
        ("m", "succeeded"),
        ("all.jsonl#5", "failed"),
        ("z", "succeeded"),
    ]
    assert texts(service)["b"] == (2, "Changed.")


def test_metadata_of_unchanged_lines_is_applied(service: Service) -> None:
    """Although the text is neither embedded nor stored again."""
    ingest(service, corpus(("a", "One.")))
    ingest(service, corpus(("a", "One.")), metadata={"year": 2024})
    record = service.documents.get(service.collections.get("default"), "a")
    assert (record.version, record.metadata) == (1, {"year": 2024})
