"""The refusal policy, in one place: whether evidence suffices, and which certificate, if any, bounds the risk.

A certificate (Learn then Test; Angelopoulos et al., 2021) belongs to a pipeline fingerprint and a collection. It is
void when the fingerprint differs, or when more than 10 % of the live chunks have changed since; then the default
threshold serves and no risk is stated.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from generate.answer import Risk
from generate.schema import certificates
from ingest.catalogue import Catalogue, schema
from ingest.errors import Conflict
from ingest.index_log import changes_after

_CHUNK_CHANGE_MAX = 0.1


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a calibration proved: with probability `confidence`, at most `risk` of the answers given at `threshold`
    are wrong.
    """

    certificate_id: str
    fingerprint: str
    state: str
    risk: float
    confidence: float
    threshold: float
    chunks: int
    seq: int


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
        return Decision(chosen.threshold, Risk(chosen.risk, chosen.confidence, chosen.certificate_id))

    def _certificates(self, collection_pk: int, fingerprint: str) -> list[Certificate]:
        query = select(certificates).where(
            certificates.c.collection_pk == collection_pk,
            certificates.c.fingerprint == fingerprint,
            certificates.c.state == "valid",
            certificates.c.threshold.is_not(None),
        )
        with self._catalogue.read() as connection:
            found = [
                Certificate(
                    row.certificate_id,
                    row.fingerprint,
                    row.state,
                    row.risk,
                    row.confidence,
                    row.threshold,
                    row.chunks,
                    row.seq,
                )
                for row in connection.execute(query)
            ]
            return [one for one in found if _changed_share(connection, collection_pk, one) <= _CHUNK_CHANGE_MAX]


def _changed_share(connection: Connection, collection_pk: int, certificate: Certificate) -> float:
    """Chunks that came or went since the calibration, as a share of those that were live then."""
    changes = changes_after(connection, collection_pk, certificate.seq)
    versions = {key for change in changes for key in (change.add_version, change.retire_version) if key is not None}
    chunks = schema.chunks
    counted = select(func.count()).select_from(chunks).where(chunks.c.version_pk.in_(versions))
    return float(connection.execute(counted).scalar_one()) / max(certificate.chunks, 1)
