"""Keeping a collection in step with a folder: compare by hashes, send what is new or changed, delete what is gone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.client.errors import ProblemError
from api.client.types import Receipt, Submission
from api.client.uploads import UploadFile, find_files
from ingest.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from api.client.client import Client

_CORPUS_ENDINGS = (".jsonl", ".jsonl.gz")
_DELETED_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class FolderPlan:
    """What brings a collection in step with a folder: ids of documents by what is to be done with them.

    `adopt` have the folder's bytes already, and are only marked as its own; `failed` cannot be read, and have not
    changed since; `corpora` are files of many documents, which are always sent, and of which nothing is deleted.
    """

    add: tuple[str, ...]
    update: tuple[str, ...]
    adopt: tuple[str, ...]
    unchanged: tuple[str, ...]
    failed: tuple[str, ...]
    remove: tuple[str, ...]
    corpora: tuple[str, ...]

    def as_json(self) -> dict[str, list[str]]:
        return {name: list(ids) for name, ids in asdict(self).items()}


class FolderSync:
    """A folder and the collection that follows it. `origin` marks the folder's documents: its full path by default.

    Raises `InvalidInput` (`not_a_folder`, `no_files`): an empty folder is more likely not mounted than emptied.
    """

    def __init__(self, client: Client, folder: Path, *, collection: str, origin: str | None = None) -> None:
        if not folder.is_dir():
            raise InvalidInput(f"{folder} is not a folder; only a folder can be synchronised", code="not_a_folder")
        self._client = client
        self._collection = collection
        self._origin = origin or folder.resolve().as_posix()
        self._files = {file.document_id: file for file in find_files([folder])}

    def plan(self) -> FolderPlan:
        """Compare by hashes. Raises `Conflict` (`origin_conflict`) for documents that belong to another folder."""
        corpora = tuple(name for name in self._files if name.lower().endswith(_CORPUS_ENDINGS))
        hashes = {name: _sha256(file.path) for name, file in self._files.items() if name not in corpora}
        found = self._compare(hashes)
        if conflicts := found.pop("conflicts"):
            named = ", ".join(repr(name) for name in conflicts[:10])
            raise Conflict(
                f"{len(conflicts)} files have the ids of documents that came from elsewhere: {named}; rename them, or "
                "use another collection",
                code="origin_conflict",
            )
        return FolderPlan(**{name: tuple(ids) for name, ids in found.items()}, corpora=corpora)

    def _compare(self, hashes: dict[str, str]) -> dict[str, list[str]]:
        """In a collection that is still to be made, everything is new."""
        try:
            return self._client.compare_documents(hashes, origin=self._origin, collection=self._collection)
        except ProblemError as problem:
            if problem.code != "collection_not_found":
                raise
            nothing: dict[str, list[str]] = {name: [] for name in ("update", "adopt", "unchanged", "failed", "remove")}
            return {"add": list(hashes), **nothing, "conflicts": []}

    def send(self, plan: FolderPlan, *, everything: bool = False, **attributes: Any) -> Iterator[Submission]:
        """Upload what is new, changed or to be marked; with `everything` also the unchanged, for their attributes.

        `attributes` (`metadata`, `access`, `password`) are those of `Client.upload_all`.
        """
        names = [*plan.add, *plan.update, *plan.adopt, *(plan.unchanged if everything else ())]
        yield from self._upload(names, origin=self._origin, **attributes)
        yield from self._upload(list(plan.corpora), origin=None, **attributes)

    def remove(self, plan: FolderPlan) -> list[Receipt]:
        """Delete what is no longer in the folder."""
        receipts = []
        for start in range(0, len(plan.remove), _DELETED_AT_ONCE):
            page = plan.remove[start : start + _DELETED_AT_ONCE]
            receipts.append(self._client.delete_documents(page, collection=self._collection))
        return receipts

    def _upload(self, names: list[str], *, origin: str | None, **attributes: Any) -> Iterator[Submission]:
        upload: Callable[..., Iterator[Submission]] = self._client.upload_all
        files: list[UploadFile] = [self._files[name] for name in names]
        yield from upload(files, collection=self._collection, origin=origin, **attributes)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
