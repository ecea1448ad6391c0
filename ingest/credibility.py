"""How far a document is to be believed, in [0, 1], from components that are each kept visible.

    credibility = weighted mean of the components that are known

with weights source 0.4, freshness 0.2, corroboration 0.15, feedback 0.15, extraction 0.1. `source` is a configured
prior (0.5 where nothing is configured); `freshness` halves with every half-life of the document's own date; `feedback`
is the mean of a Beta(1, 1) posterior over judged answers that cited the document; `extraction` is the parser's quality;
`corroboration` is computed by `retrieve` and written through here: 0.5 with nobody else's support, nearer to 1 with it.

What changes an input leaves a mark on the documents concerned (`credibility_due`), in its own transaction; `retrieve`'s
keeper works the marks off and calls `recompute`. A higher mark includes the lower ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from fnmatch import fnmatchcase
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, func, select, update

from ingest.catalogue import schema

FACTS_DUE: Final = 1
"""Source prior, date or metadata may have changed."""
SUPPORT_DUE: Final = 2
"""A document that supported this one came, went or changed."""
NEW_TEXT_DUE: Final = 3
"""The document has a new text, which may also support others."""

_WEIGHTS = {"source": 0.4, "freshness": 0.2, "corroboration": 0.15, "feedback": 0.15, "extraction": 0.1}
_UNKNOWN_SOURCE = 0.5
_AUTHORITY_PRIORS = {"board": 0.8, "management": 0.7, "department": 0.6, "external": 0.6, "informal": 0.3}
_SUPPORTERS_MAX = 3
_KEYS_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class Credibility:
    """Components in [0, 1]; None where nothing is known."""

    source: float = _UNKNOWN_SOURCE
    freshness: float | None = None
    corroboration: float | None = None
    feedback: float | None = None
    extraction: float | None = None

    @property
    def score(self) -> float:
        """Weighted mean of the known components."""
        known = [(_WEIGHTS[name], float(value)) for name, value in asdict(self).items() if value is not None]
        return sum(weight * value for weight, value in known) / sum(weight for weight, _ in known)


def source_prior(priors: Mapping[str, float], document_id: str, metadata: Mapping[str, Any]) -> float:
    """The prior of the longest pattern (shell wildcards) that matches the document's id or its `source` metadata.

    Where none does, that of its `authority` metadata (`board`, `management`, `department`, `external`, `informal`), and
    0.5 without a known one. Neighbouring ranks are too near to decide a contradiction; an informal note is not.
    """
    source, authority = metadata.get("source"), metadata.get("authority")
    names = [document_id, source] if isinstance(source, str) and source else [document_id]
    matching = [pattern for pattern in priors if any(fnmatchcase(name, pattern) for name in names)]
    if matching:
        return priors[max(matching, key=lambda pattern: (len(pattern), pattern))]
    return _AUTHORITY_PRIORS.get(authority.casefold() if isinstance(authority, str) else "", _UNKNOWN_SOURCE)


def stated_date(metadata: Mapping[str, Any], own: date | None) -> date | None:
    """The caller's `date` metadata where it is an ISO date, else the document's own."""
    try:
        return date.fromisoformat(str(metadata.get("date"))[:10])
    except ValueError:
        return own


def freshness(document_date: date | None, today: date, half_life_days: float) -> float | None:
    """2 ** (-age / half-life), 1 for a date in the future; None without a date."""
    if document_date is None:
        return None
    return float(2 ** (-max((today - document_date).days, 0) / half_life_days))


def corroboration(supporters: Sequence[int]) -> float | None:
    """From how many independent documents support each key statement: 1 - 0.5 ** (1 + their mean, at most 3 each).

    0.5 where nobody else says it (which is no reason for doubt), 0.75 with one supporter for each statement, 0.94 with
    three; None for a document without statements.
    """
    if not supporters:
        return None
    mean = sum(min(count, _SUPPORTERS_MAX) for count in supporters) / len(supporters)
    return float(1 - 0.5 ** (1 + mean))


def feedback(correct: int, incorrect: int) -> float | None:
    """Mean of the Beta(1 + correct, 1 + incorrect) posterior; None without any judgement."""
    return (1 + correct) / (2 + correct + incorrect) if correct + incorrect else None


def observe(connection: Connection, document_pk: int, *, correct: bool) -> None:
    """Count one judged answer that cited the document, and recompute its feedback component."""
    documents = schema.documents
    column = documents.c.feedback_correct if correct else documents.c.feedback_incorrect
    where = documents.c.pk == document_pk
    connection.execute(update(documents).where(where).values({column: column + 1}))
    row = connection.execute(select(documents).where(where)).one_or_none()
    if row is not None:
        _store(connection, row, feedback=feedback(row.feedback_correct, row.feedback_incorrect))


def recompute(
    connection: Connection,
    document_pks: Sequence[int],
    *,
    today: date,
    half_life_days: float,
    support: Mapping[int, float | None] | None = None,
) -> None:
    """Bring source, freshness, extraction and (for the keys of `support`) corroboration up to date; take the marks off.

    The caller passes documents whose marks it read in this same transaction: none that came meanwhile is lost.
    """
    priors = _priors(connection)
    support = support or {}
    for row in _facts(connection, document_pks):
        day = stated_date(row.metadata, date.fromisoformat(row.own_date) if row.own_date else None)
        _store(
            connection,
            row,
            source=source_prior(priors[row.collection_pk], row.document_id, row.metadata),
            freshness=freshness(day, today, half_life_days),
            corroboration=support.get(row.pk, row.credibility_corroboration),
            extraction=row.quality,
        )
    documents = schema.documents
    connection.execute(update(documents).where(documents.c.pk.in_(document_pks)).values(credibility_due=0))


def mark(connection: Connection, condition: Any, due: int) -> None:
    """Leave a mark on the documents that meet a condition; a higher one stays."""
    documents = schema.documents
    connection.execute(
        update(documents).where(condition, documents.c.credibility_due < due).values(credibility_due=due)
    )


def mark_supported(connection: Connection, document_pks: Sequence[int]) -> None:
    """Documents that these ones support have to be looked at again: their supporters change or go."""
    support, documents = schema.corroborations, schema.documents
    for start in range(0, len(document_pks), _KEYS_PER_QUERY):
        page = document_pks[start : start + _KEYS_PER_QUERY]
        mark(
            connection,
            documents.c.pk.in_(select(support.c.document_pk).where(support.c.supporter_pk.in_(page))),
            SUPPORT_DUE,
        )


def mark_dated(connection: Connection) -> None:
    """Another day has begun: whatever has a date is less fresh."""
    documents = schema.documents
    mark(connection, documents.c.tombstoned_at.is_(None) & documents.c.credibility_freshness.is_not(None), FACTS_DUE)


def next_due(connection: Connection, limit: int) -> list[Row[Any]]:
    """Keys, collections and marks of live documents that have one, in order of arrival."""
    documents = schema.documents
    query = select(
        documents.c.pk, documents.c.collection_pk, documents.c.live_version_pk, documents.c.credibility_due
    ).where(_is_due())
    return list(connection.execute(query.order_by(documents.c.pk).limit(limit)))


def count_due(connection: Connection) -> int:
    """Live documents that have a mark."""
    return connection.execute(select(func.count()).select_from(schema.documents).where(_is_due())).scalar_one()


def _is_due() -> ColumnElement[bool]:
    documents = schema.documents
    live = documents.c.tombstoned_at.is_(None) & documents.c.live_version_pk.is_not(None)
    return live & (documents.c.credibility_due > 0)


def _priors(connection: Connection) -> dict[int, Mapping[str, float]]:
    table = schema.collections
    return {row.pk: row.source_priors for row in connection.execute(select(table.c.pk, table.c.source_priors))}


def _facts(connection: Connection, document_pks: Sequence[int]) -> list[Row[Any]]:
    """The documents with date and extraction quality of their live version."""
    documents, versions = schema.documents, schema.versions
    query = (
        select(documents, versions.c.document_date.label("own_date"), versions.c.quality)
        .select_from(documents.join(versions, versions.c.pk == documents.c.live_version_pk))
        .where(documents.c.pk.in_(document_pks))
    )
    return list(connection.execute(query))


def _store(connection: Connection, row: Row[Any], **components: float | None) -> None:
    """Write what differs from the row, and the score that follows."""
    present = {name: row._mapping[f"credibility_{name}"] for name in _WEIGHTS}
    credibility = Credibility(**{**present, **components})
    values = {
        "credibility": credibility.score,
        **{f"credibility_{name}": value for name, value in asdict(credibility).items()},
    }
    if any(row._mapping[name] != value for name, value in values.items()):
        documents = schema.documents
        connection.execute(update(documents).where(documents.c.pk == row.pk).values(**values))
