"""The refusal policy, in one place: whether evidence suffices, and which certificate, if any, bounds the risk.

A certificate (Learn then Test; Angelopoulos et al., 2021) belongs to a pipeline fingerprint and a collection. It is
void when the fingerprint differs, or when more than 10 % of the live chunks have changed since; then the default
threshold serves and no risk is stated.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from generate.answer import Risk
from generate.schema import certificates
from ingest.catalogue import Catalogue, schema
from ingest.errors import Conflict, NotFound
from ingest.index_log import changes_after

_CHUNK_CHANGE_MAX = 0.1


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a calibration proved: with probability `confidence`, at most `risk` of the answers given at `threshold`
    are wrong.

    `state` is `valid`, `void` or `cannot_certify` (then `threshold` is None); `reason` says why it is not valid. `n`
    answers with `errors` wrong ones proved it. `chunks` were live at change `seq` of the log.
    """

    certificate_id: str
    fingerprint: str
    state: str
    risk: float
    confidence: float
    threshold: float | None
    answer_rate: float | None
    n: int
    errors: int
    chunks: int
    seq: int
    reason: str | None
    created_at: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The threshold that this question is held to, and the risk that comes with it."""

    threshold: float
    risk: Risk | None


class RefusalPolicy:
    """Decides with a default threshold, or with that of a valid certificate."""

    def __init__(self, catalogue: Catalogue, default_threshold: float) -> None:
        self._catalogue = catalogue
        self._default_threshold = default_threshold

    def decide(self, *, collection_pk: int, fingerprint: str, max_risk: float | None) -> Decision:
        """The threshold for one question.

        Raises `Conflict` (`no_certificate`) when `max_risk` is asked for and no valid certificate bounds the risk
        that low.
        """
        valid = self._certificates(collection_pk, fingerprint)
        if max_risk is not None:
            valid = [certificate for certificate in valid if certificate.risk <= max_risk]
            if not valid:
                raise Conflict(
                    f"no valid certificate bounds the risk at {max_risk:g}; calibrate, or leave max_risk out",
                    code="no_certificate",
                )
        if not valid:
            return Decision(self._default_threshold, None)
        # the loosest bound that is allowed answers most
        chosen = max(valid, key=lambda certificate: (certificate.risk, certificate.certificate_id))
        assert chosen.threshold is not None  # the query leaves the others out
        return Decision(chosen.threshold, Risk(chosen.risk, chosen.confidence, chosen.certificate_id))

    def _certificates(self, collection_pk: int, fingerprint: str) -> list[Certificate]:
        query = select(certificates).where(
            certificates.c.collection_pk == collection_pk,
            certificates.c.fingerprint == fingerprint,
            certificates.c.state == "valid",
            certificates.c.threshold.is_not(None),
        )
        with self._catalogue.read() as connection:
            found = [_certificate(row) for row in connection.execute(query)]
            return [one for one in found if _changed_share(connection, collection_pk, one) <= _CHUNK_CHANGE_MAX]


class Certificates:
    """Keeps certificates: a calibration issues them, and whatever refutes one makes it void."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def issue(self, certificate: Certificate, *, collection_pk: int) -> None:
        """Keep it; earlier ones of this collection with the same risk give way."""
        table = certificates

        def change(connection: Connection) -> None:
            earlier = (table.c.collection_pk == collection_pk) & (table.c.risk == certificate.risk)
            connection.execute(
                update(table)
                .where(earlier, table.c.state == "valid")
                .values(state="void", reason="a later calibration took its place")
            )
            connection.execute(insert(table).values(collection_pk=collection_pk, **asdict(certificate)))

        self._catalogue.write(change)

    def void(self, certificate_id: str, reason: str) -> None:
        """From now on the default threshold serves."""
        statement = (
            update(certificates)
            .where(certificates.c.certificate_id == certificate_id, certificates.c.state == "valid")
            .values(state="void", reason=reason)
        )
        self._catalogue.write(lambda connection: connection.execute(statement))

    def latest(self, collection_pk: int, *, fingerprint: str) -> Certificate:
        """The newest certificate as it stands for this pipeline and the present documents.

        Raises `NotFound` (`certificate_not_found`) before the first calibration.
        """
        query = select(certificates).where(certificates.c.collection_pk == collection_pk)
        newest = query.order_by(certificates.c.created_at.desc(), certificates.c.certificate_id.desc()).limit(1)
        with self._catalogue.read() as connection:
            row = connection.execute(newest).one_or_none()
            if row is None:
                raise NotFound(
                    "the collection was never calibrated; do it with POST /v1/collections/{name}/calibrations",
                    code="certificate_not_found",
                )
            found = _certificate(row)
            if found.state != "valid":
                return found
            if found.fingerprint != fingerprint:
                return replace(found, state="void", reason="the pipeline is another since: calibrate again")
            share = _changed_share(connection, collection_pk, found)
        if share > _CHUNK_CHANGE_MAX:
            reason = f"{share:.0%} of the chunks changed since (limit {_CHUNK_CHANGE_MAX:.0%}): calibrate again"
            return replace(found, state="void", reason=reason)
        return found


def _certificate(row: Row[Any]) -> Certificate:
    fields = row._mapping
    return Certificate(**{name: fields[name] for name in Certificate.__dataclass_fields__})


def _changed_share(connection: Connection, collection_pk: int, certificate: Certificate) -> float:
    """Chunks that came or went since the calibration, as a share of those that were live then."""
    changes = changes_after(connection, collection_pk, certificate.seq)
    versions = {key for change in changes for key in (change.add_version, change.retire_version) if key is not None}
    chunks = schema.chunks
    counted = select(func.count()).select_from(chunks).where(chunks.c.version_pk.in_(versions))
    return float(connection.execute(counted).scalar_one()) / max(certificate.chunks, 1)
