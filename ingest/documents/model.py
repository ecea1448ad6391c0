"""Documents as callers hand them in and see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from ingest.blobs import Blob
from ingest.credibility import Credibility
from ingest.errors import CitewellError
from ingest.parsing.document import Page


@dataclass(frozen=True, slots=True)
class Upload:
    """One file handed in. `problem` is set when it cannot be read at all: it is recorded as failed beside good ones.

    `origin` names the folder that the document is kept in step with.
    """

    document_id: str
    filename: str
    media_type: str
    blob: Blob
    metadata: Mapping[str, Any] = field(default_factory=dict)
    access: Sequence[str] | None = None
    password: str | None = field(default=None, repr=False)
    parent_document_id: str | None = None
    origin: str | None = None
    problem: CitewellError | None = None


@dataclass(frozen=True, slots=True)
class SubmittedDocument:
    """What became of one upload: `queued`, `unchanged` (same bytes as the live version) or `failed`."""

    document_id: str
    filename: str
    status: str


@dataclass(frozen=True, slots=True)
class Submission:
    """A recorded upload; `job_id` is there also when everything was unchanged (the job has then succeeded)."""

    job_id: str
    documents: tuple[SubmittedDocument, ...]


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A document with the facts of its live version, or of its newest one while none is live.

    `duplicate_of` names the document that this one repeats, or nearly so.
    """

    pk: int
    document_id: str
    version: int
    live_version_pk: int | None
    title: str | None
    media_type: str
    filename: str
    sha256: str
    bytes: int
    pages: int | None
    chunks: int
    language: str | None
    access: tuple[str, ...]
    origin: str | None
    parent_document_id: str | None
    duplicate_of: str | None
    credibility: Credibility
    metadata: Mapping[str, Any]
    status: str
    error_code: str | None
    error_message: str | None
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class VersionText:
    """The extracted text of one version, with the pages its offsets fall on."""

    document_id: str
    version: int
    version_pk: int
    text: str
    pages: tuple[Page, ...]
    title: str | None
    document_date: date | None


@dataclass(frozen=True, slots=True)
class Original:
    """The stored original: a file, or (for a corpus line) its canonical JSON in memory."""

    media_type: str
    filename: str
    path: Path | None
    data: bytes | None
