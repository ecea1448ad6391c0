"""The documents that ship with citewell, ingested like any upload."""

from __future__ import annotations

import hashlib
import json
import mimetypes
from pathlib import Path

from api.bootstrap import DEFAULT_COLLECTION, Service
from api.settings import SHIPPED_DATA
from ingest.documents import Upload
from ingest.errors import NotFound
from ingest.parsing.media_types import detect_media_type


def submit_samples(service: Service, folder: Path = SHIPPED_DATA / "documents") -> str | None:
    """Queue what is missing or changed into `default`; returns the job, None when there is nothing to do."""
    collection = service.collections.get(DEFAULT_COLLECTION)
    metadata = json.loads(folder.with_name("documents-metadata.json").read_text(encoding="utf-8"))
    uploads = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        document_id = path.relative_to(folder).as_posix()
        try:
            if service.documents.get(collection, document_id).sha256 == _sha256(path):
                continue
        except NotFound:
            pass
        with path.open("rb") as stream:
            blob = service.blobs.put(stream, max_bytes=service.settings.upload_max_bytes)
        uploads.append(
            Upload(
                document_id=document_id,
                filename=path.name,
                media_type=detect_media_type(path.name, mimetypes.guess_type(path.name)[0], blob.head),
                blob=blob,
                metadata=metadata.get(document_id, {}),
            )
        )
    if not uploads:
        return None
    submission = service.documents.submit(collection, uploads, key_id=None)
    service.runner.notify()
    return submission.job_id


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
