"""The gate's ladder on stored answers: replays of the baseline with today's parts."""

from __future__ import annotations

from sqlalchemy import select

from eval.rows import EvaluationRow
from generate.answers import Answers
from generate.replay import Replayer, Stage
from ingest.catalogue import Catalogue, schema
from ingest.documents import load_version_text
from ingest.errors import CitewellError, Gone
from retrieve import Access


class StoredReplays:
    """Replays answers that the catalogue still holds. Not to be used on an event loop."""

    def __init__(
        self, catalogue: Catalogue, collection_pk: int, answers: Answers, replayer: Replayer, access: Access
    ) -> None:
        self._catalogue = catalogue
        self._collection_pk = collection_pk
        self._answers = answers
        self._replayer = replayer
        self._access = access

    def from_candidates(self, row: EvaluationRow) -> bool | None:
        return self._same(row, "candidates")

    def from_generation(self, row: EvaluationRow) -> bool | None:
        return self._same(row, "generation")

    def quotes_stand(self, row: EvaluationRow) -> bool | None:
        """Whether the live text of each cited document still holds what was quoted; None without quotes."""
        if not row.citations:
            return None
        texts = {document_id: self._live_text(document_id) for document_id in {c.document_id for c in row.citations}}
        return all(citation.quote in texts[citation.document_id] for citation in row.citations)

    def _live_text(self, document_id: str) -> str:
        """Empty where the document is gone."""
        documents = schema.documents
        query = select(documents.c.live_version_pk).where(
            documents.c.collection_pk == self._collection_pk,
            documents.c.document_id == document_id,
            documents.c.tombstoned_at.is_(None),
            documents.c.live_version_pk.is_not(None),
        )
        with self._catalogue.read() as connection:
            version_pk = connection.execute(query).scalar()
            try:
                return "" if version_pk is None else load_version_text(connection, version_pk).text
            except Gone:
                return ""

    def _same(self, row: EvaluationRow, stage: Stage) -> bool | None:
        """None when the answer was forgotten or deleted, or its generation is gone."""
        if row.answer_id is None:
            return None
        try:
            stored = self._answers.get(row.answer_id)
            return self._replayer.replay_apart(stored, stage, access=self._access).same
        except CitewellError:
            return None
