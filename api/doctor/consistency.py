"""Proves that catalogue, vectors, postings and originals agree: a check for each thing that must be true."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection

from api.doctor import findings
from api.doctor.diagnosis import Check, failed, ok, warning
from api.doctor.findings import ServedIndex
from ingest.blobs import BlobStore
from ingest.catalogue import Catalogue
from ingest.errors import InvalidInput
from retrieve import audit_stored

_EXAMPLES = 3
_UPLOAD_AGAIN = "delete these documents, then upload them again"
_REPAIR = "stop the server, then `citewell doctor --repair`"


def check_consistency(catalogue: Catalogue, blobs: BlobStore, indexes: Path, *, serving: bool) -> list[Check]:
    """All deep checks. `indexes`: the folder where they are stored; `serving`: a server works on it all meanwhile."""
    with catalogue.read() as connection:
        checks = [
            check_texts(connection),
            check_chunks(connection),
            check_vectors(connection),
            check_strays(connection),
            check_originals(connection, blobs),
            check_damage(blobs),
            check_stray_originals(connection, blobs, serving=serving),
            check_states(connection),
        ]
        served = findings.served_indexes(connection)
    return checks + [check_index(catalogue, index, indexes) for index in served]


def check_texts(connection: Connection) -> Check:
    if bad := findings.documents_without_text(connection):
        return failed("texts", f"{len(bad)} documents without text: {_some(bad)}", _UPLOAD_AGAIN)
    return ok("texts", f"all {findings.count_live_documents(connection)} live documents have their text")


def check_chunks(connection: Connection) -> Check:
    if bad := findings.documents_with_wrong_chunks(connection):
        return failed(
            "chunks", f"{len(bad)} documents whose chunks differ from their text: {_some(bad)}", _UPLOAD_AGAIN
        )
    return ok("chunks", "every chunk is its span of the text")


def check_vectors(connection: Connection) -> Check:
    if bad := findings.chunks_without_good_vector(connection):
        return failed("vectors", f"{len(bad)} chunks without a vector of the right dimension and length 1", _REPAIR)
    return ok("vectors", "every chunk has a vector of the right dimension and length 1")


def check_strays(connection: Connection) -> Check:
    chunks, vectors = findings.stray_chunks(connection), findings.stray_vectors(connection)
    if chunks or vectors:
        return failed(
            "strays", f"{len(chunks)} chunks without a version, {len(vectors)} vectors without a chunk", _REPAIR
        )
    return ok("strays", "no chunk without a version, no vector without a chunk")


def check_originals(connection: Connection, blobs: BlobStore) -> Check:
    if bad := findings.documents_without_original(connection, blobs):
        return failed("originals", f"{len(bad)} documents without their original: {_some(bad)}", _UPLOAD_AGAIN)
    return ok("originals", "every document has its original")


def check_damage(blobs: BlobStore) -> Check:
    if bad := list(findings.damaged_originals(blobs)):
        return failed("checksums", f"{len(bad)} originals are damaged: {_some(bad)}", "restore them from a backup")
    return ok("checksums", "every original has the SHA-256 it is named by")


def check_stray_originals(connection: Connection, blobs: BlobStore, *, serving: bool) -> Check:
    if bad := findings.stray_originals(connection, blobs, serving=serving):
        return warning("stray originals", f"{len(bad)} originals that no document uses: {_some(bad)}", _REPAIR)
    return ok("stray originals", "none")


def check_states(connection: Connection) -> Check:
    stuck = [version.document_id for version in findings.abandoned_versions(connection)]
    stuck += findings.abandoned_documents(connection).values()
    receipts = findings.abandoned_receipts(connection)
    if stuck or receipts:
        detail = f"{len(stuck)} documents wait for nothing: {_some(stuck)}; {len(receipts)} deletions are incomplete"
        return failed("states", detail, _REPAIR)
    return ok("states", "no document and no deletion waits without a job")


def check_index(catalogue: Catalogue, index: ServedIndex, folder: Path) -> Check:
    """Opens the index as the next start would, and compares it with the catalogue, chunk by chunk."""
    name = f"index of {index.collection}" + ("" if index.is_live else f" ({index.generation.generation})")
    try:
        found = audit_stored(catalogue, index.collection_pk, index.generation, folder)
    except (InvalidInput, ValueError) as failure:
        return failed(name, f"cannot be built: {failure}", _REPAIR)
    audit = found.audit
    if not audit.agrees:
        detail = f"against {audit.chunks} live chunks: vectors: {audit.vectors}; postings: {audit.postings}"
        return failed(name, detail, _REPAIR)
    if found.damage is not None:
        return warning(name, f"what is stored cannot be used ({found.damage}); the next start builds it anew", _REPAIR)
    origin = "stored" if found.is_stored else "built from the catalogue: none is stored"
    return ok(name, f"{audit.chunks} vectors and postings, each that of a live chunk ({origin})")


def _some(names: Sequence[str]) -> str:
    more = len(names) - _EXAMPLES
    return ", ".join(names[:_EXAMPLES]) + (f" and {more} more" if more > 0 else "")
