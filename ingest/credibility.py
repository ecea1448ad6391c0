"""How far a document is to be believed, in [0, 1], from components that are each kept visible.

    credibility = weighted mean of the components that are known

with weights source 0.4, freshness 0.2, corroboration 0.15, feedback 0.15, extraction 0.1. `source` is a configured
prior (0.5 where nothing is configured); `freshness` halves with every half-life of the document's own date; `feedback`
is the mean of a Beta(1, 1) posterior over judged answers that cited the document; `extraction` is the parser's quality.
`corroboration` is computed by `retrieve` and written through here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from fnmatch import fnmatchcase

from sqlalchemy import Connection, select, update

from ingest.catalogue import schema

_WEIGHTS = {"source": 0.4, "freshness": 0.2, "corroboration": 0.15, "feedback": 0.15, "extraction": 0.1}
_UNKNOWN_SOURCE = 0.5
_AUTHORITY_PRIORS = {"board": 0.8, "management": 0.7, "department": 0.6, "external": 0.6, "informal": 0.3}


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


def source_prior(
    priors: Mapping[str, float], document_id: str, source: str | None, authority: str | None = None
) -> float:
    """The prior of the longest pattern (shell wildcards) that matches the document's id or its `source` metadata.

    Where none does, that of its `authority` metadata (`board`, `management`, `department`, `external`, `informal`), and
    0.5 without a known one. Neighbouring ranks are too near to decide a contradiction; an informal note is not.
    """
    matching = [
        pattern for pattern in priors if fnmatchcase(document_id, pattern) or (source and fnmatchcase(source, pattern))
    ]
    if matching:
        return priors[max(matching, key=lambda pattern: (len(pattern), pattern))]
    return _AUTHORITY_PRIORS.get((authority or "").casefold(), _UNKNOWN_SOURCE)


def freshness(document_date: date | None, today: date, half_life_days: float) -> float | None:
    """2 ** (-age / half-life), 1 for a date in the future; None without a date."""
    if document_date is None:
        return None
    return float(2 ** (-max((today - document_date).days, 0) / half_life_days))


def observe(connection: Connection, document_pk: int, *, correct: bool) -> None:
    """Count one judged answer that cited the document, and recompute its feedback component."""
    column = schema.documents.c.feedback_correct if correct else schema.documents.c.feedback_incorrect
    where = schema.documents.c.pk == document_pk
    connection.execute(update(schema.documents).where(where).values({column: column + 1}))
    row = connection.execute(select(schema.documents).where(where)).one_or_none()
    if row is None:
        return
    fields = row._mapping
    positive, negative = fields["feedback_correct"], fields["feedback_incorrect"]
    posterior = (1 + positive) / (2 + positive + negative)
    store(
        connection,
        document_pk,
        Credibility(
            source=fields["credibility_source"],
            freshness=fields["credibility_freshness"],
            corroboration=fields["credibility_corroboration"],
            feedback=posterior,
            extraction=fields["credibility_extraction"],
        ),
    )


def store(connection: Connection, document_pk: int, credibility: Credibility) -> None:
    """Write the components and their score to the document."""
    values = {f"credibility_{name}": getattr(credibility, name) for name in _WEIGHTS}
    connection.execute(
        update(schema.documents)
        .where(schema.documents.c.pk == document_pk)
        .values(credibility=credibility.score, **values)
    )
