"""Looking at, and renewing, what is stored of an index, without the service: for the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ingest.catalogue import Catalogue
from ingest.generations import Generation
from retrieve.audit import IndexAudit
from retrieve.generation_index import GenerationIndex
from retrieve.storage import DamagedIndex, IndexFolder


@dataclass(frozen=True, slots=True)
class StoredAudit:
    """An audit of the index that the next start would serve: what is stored, with the changes since.

    `is_stored`: anything is, or else it was built from the catalogue; `damage`: why what is stored cannot be used, and
    the catalogue was read instead.
    """

    audit: IndexAudit
    is_stored: bool
    damage: str | None


def audit_stored(catalogue: Catalogue, collection_pk: int, generation: Generation, folder: Path) -> StoredAudit:
    """Audit the index of a generation below `folder` (as `Indexes` lays it out), also beside a process at work on it.

    It is read in a copy, of which nothing remains. Raises `InvalidInput` or `ValueError` when the catalogue's vectors
    do not make an index.
    """
    own = folder / str(generation.pk)
    if not own.is_dir():
        return _audited(catalogue, collection_pk, generation, None, None)
    with TemporaryDirectory(prefix="audit-", dir=folder) as place:
        damage = None
        try:
            copy = IndexFolder(own).copied(Path(place) / "copy")
        except DamagedIndex as failure:
            copy, damage = None, str(failure)
        return _audited(catalogue, collection_pk, generation, copy, damage)


def renew_stored(catalogue: Catalogue, collection_pk: int, generation: Generation, folder: Path) -> None:
    """Discard what is stored of the index, build it from the catalogue, and store that. Errors as `audit_stored`.

    Only for the owner of the data directory, with nothing else at work.
    """
    own = IndexFolder(folder / str(generation.pk))
    own.clear()
    index = GenerationIndex(catalogue, collection_pk, generation, folder=own)
    try:
        index.advance()
        index.maintain()
        index.checkpoint()
    finally:
        index.close()


def _audited(
    catalogue: Catalogue, collection_pk: int, generation: Generation, folder: IndexFolder | None, damage: str | None
) -> StoredAudit:
    index = GenerationIndex(catalogue, collection_pk, generation, folder=folder)
    try:
        audit = index.audit()
        return StoredAudit(audit, folder is not None or damage is not None, damage or index.damage)
    finally:
        index.close()
