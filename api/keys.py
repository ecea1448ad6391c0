"""API keys: a secret shown once, stored as its SHA-256 only, with scopes, collections and access tags."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import Row, exists, insert, select, update

from api.schema import api_keys
from ingest.caches import LruCache
from ingest.catalogue import Catalogue
from ingest.clock import now
from ingest.documents import check_access, new_id
from ingest.errors import FieldProblem, InvalidInput, NotFound

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_NAME_CHARS_MAX = 200
_RECOGNISED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret. `collections` None: all of them; `tags` None: every document."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    collections: tuple[str, ...] | None
    tags: tuple[str, ...] | None
    created_at: str
    revoked_at: str | None


@dataclass(frozen=True, slots=True)
class Recognised:
    """Whether a key was ever made, and the key that was sent; None when none was, or it opens nothing."""

    any_exist: bool
    key: Key | None


class Keys:
    """Creates, lists, revokes and recognises keys."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._recognised: LruCache[Recognised] = LruCache(_RECOGNISED_MAX)

    def create(
        self,
        name: str,
        *,
        scopes: Sequence[str],
        collections: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
    ) -> tuple[str, str]:
        """The new key's id, and its secret, which is kept nowhere. Raises `InvalidInput` naming every bad field."""
        _check(name, scopes)
        key_id, secret = new_id("key"), f"cw_{secrets.token_urlsafe(32)}"
        tags = check_access(tags)
        statement = insert(api_keys).values(
            key_id=key_id,
            name=name,
            secret_sha256=_digest(secret),
            scopes=sorted(set(scopes)),
            collections=None if collections is None else sorted(set(collections)),
            tags=None if tags is None else list(tags),
            created_at=now(),
        )
        self._catalogue.write(lambda connection: connection.execute(statement))
        return key_id, secret

    def list(self) -> list[Key]:
        """All keys, revoked ones too, oldest first."""
        with self._catalogue.read() as connection:
            rows = connection.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.key_id)).all()
        return [_key(row) for row in rows]

    def revoke(self, key_id: str) -> None:
        """From now on the key opens nothing. Raises `NotFound` (`key_not_found`); revoking twice changes nothing."""
        statement = update(api_keys).where(api_keys.c.key_id == key_id, api_keys.c.revoked_at.is_(None))
        self._catalogue.write(lambda connection: connection.execute(statement.values(revoked_at=now())))
        if all(key.key_id != key_id for key in self.list()):
            raise NotFound(f"key {key_id[:80]!r} does not exist; list the keys for their ids", code="key_not_found")

    def recall(self, secret: str | None) -> Recognised | None:
        """What `recognise` said of the secret; None when the catalogue, of which others may write, has changed since.

        Takes microseconds, where `recognise` reads the catalogue.
        """
        return self._recognised.get(None if secret is None else _digest(secret), revision=self._catalogue.state())

    def recognise(self, secret: str | None) -> Recognised:
        """Whether there are keys, and which of them has this secret (None: no secret was sent)."""
        state = self._catalogue.state()
        recognised = Recognised(self.exist(), self.find(secret) if secret else None)
        self._recognised.put(None if secret is None else _digest(secret), recognised, revision=state)
        return recognised

    def exist(self) -> bool:
        """Whether a key was ever made: revoking the last one must not open the service to everyone."""
        with self._catalogue.read() as connection:
            return bool(connection.execute(select(exists(select(api_keys.c.key_id)))).scalar())

    def find(self, secret: str) -> Key | None:
        """The key with this secret; None when there is none, or it was revoked.

        Looked up by digest, so that the time taken tells nothing of the secret itself.
        """
        digest = _digest(secret)
        query = select(api_keys).where(api_keys.c.secret_sha256 == digest, api_keys.c.revoked_at.is_(None))
        with self._catalogue.read() as connection:
            row = connection.execute(query).one_or_none()
        return _key(row) if row is not None and hmac.compare_digest(row.secret_sha256, digest) else None


def _check(name: str, scopes: Sequence[str]) -> None:
    problems = []
    if not 1 <= len(name.strip()) <= _NAME_CHARS_MAX:
        problems.append(FieldProblem("name", f"has 1 to {_NAME_CHARS_MAX} characters"))
    if not scopes or set(scopes) - set(SCOPES):
        problems.append(FieldProblem("scopes", f"is one or more of {', '.join(SCOPES)}"))
    if problems:
        detail = "; ".join(f"{problem.field} {problem.message}" for problem in problems)
        raise InvalidInput(f"the key is not valid: {detail}", code="invalid_key", problems=tuple(problems))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _key(row: Row[tuple[object, ...]]) -> Key:
    fields = row._mapping
    return Key(
        key_id=fields["key_id"],
        name=fields["name"],
        scopes=tuple(fields["scopes"]),
        collections=None if fields["collections"] is None else tuple(fields["collections"]),
        tags=None if fields["tags"] is None else tuple(fields["tags"]),
        created_at=fields["created_at"],
        revoked_at=fields["revoked_at"],
    )
