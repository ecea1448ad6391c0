"""Short words for what most tests of the pipeline do: hand in files, wait, look."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from api.bootstrap import Service
from ingest.deletion import Receipt
from ingest.documents import Submission, Upload
from ingest.errors import ExtractionFailed, Unavailable
from ingest.jobs import TERMINAL_STATES, Job
from ingest.parsing import ParsedDocument, ParseLimits, SourceFile, detect_media_type
from ingest.parsing.mail import EmlParser
from ingest.parsing.media_types import EML
from retrieve import Access, Hit, Query

WAIT_S = 30.0


class TextParser:
    """A parser without processes: the file is the text, mails are mails; `BROKEN` at the beginning cannot be read.

    `ENDLESS` is read until it is given up; `endless` tells that it has begun.
    """

    def __init__(self) -> None:
        self.parsed: list[str] = []
        self.before: Callable[[SourceFile], None] = lambda source: None
        self.quality: dict[str, float] = {}
        self.endless = threading.Event()

    def parse(self, source: SourceFile, *, given_up: threading.Event) -> ParsedDocument:
        self.before(source)
        self.parsed.append(source.filename)
        if source.media_type == EML:
            return EmlParser().parse(source, ParseLimits())
        text = source.path.read_text()
        if text.startswith("ENDLESS"):
            self.endless.set()
            assert given_up.wait(WAIT_S)
            raise Unavailable("given up")
        if text.startswith("BROKEN"):
            raise ExtractionFailed(f"{source.filename} is broken")
        return ParsedDocument(text, None, parser="text", quality=self.quality.get(source.filename, 1.0))


def upload(service: Service, document_id: str, data: bytes, **fields: Any) -> Upload:
    """An upload whose bytes lie in the blob store; the file name is the id, the media type follows from it."""
    blob = service.blobs.put(io.BytesIO(data), max_bytes=1 << 30)
    media_type = fields.pop("media_type", None) or detect_media_type(document_id, None, blob.head)
    return Upload(document_id, document_id, media_type, blob, **fields)


def submit(service: Service, files: Mapping[str, bytes], collection: str = "default", **fields: Any) -> Submission:
    """Record the files as one job, and wake the workers."""
    uploads = [upload(service, document_id, data, **fields) for document_id, data in files.items()]
    submission = service.documents.submit(service.collections.get(collection), uploads, key_id=None)
    service.runner.notify()
    return submission


def ingest(service: Service, files: Mapping[str, bytes], collection: str = "default", **fields: Any) -> Job:
    """Hand in the files and wait for the end of their job."""
    return finished(service, submit(service, files, collection, **fields).job_id)


def finished(service: Service, job_id: str) -> Job:
    """The job in its terminal state."""
    wait_for(lambda: service.jobs.get(job_id).state in TERMINAL_STATES)
    return service.jobs.get(job_id)


def purged(service: Service, receipt: Receipt) -> Receipt:
    """The receipt after the purge."""
    service.runner.notify()
    wait_for(lambda: service.deletion.receipt(receipt.receipt_id).state == "purged")
    return service.deletion.receipt(receipt.receipt_id)


def delete(service: Service, *document_ids: str, collection: str = "default") -> Receipt:
    """Delete documents and wait for their purge."""
    found = service.collections.get(collection)
    return purged(service, service.deletion.delete_documents(found, document_ids, key_id=None))


def search(
    service: Service, text: str, collection: str = "default", access: Access | None = None, **query: Any
) -> Sequence[Hit]:
    """The hits of a search of the live generation."""
    found = service.collections.get(collection)
    return service.searcher.search(
        Query(text, **query),
        collection_pk=found.pk,
        generation=found.live_generation,
        access=access or Access.everything(),
    ).hits


def wait_for(condition: Callable[[], bool]) -> None:
    """Poll until the condition holds; fails after thirty seconds."""
    give_up = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.005)
