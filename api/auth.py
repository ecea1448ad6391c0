"""Who asks, and what they may do: the one dependency of every route that is not public.

Without any key the service belongs to whoever is on this machine. A browser is on this machine too, so requests that
another web site may have caused are turned away then: a foreign `Host` (DNS rebinding), or a foreign `Origin` on a
change.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.keys import SCOPES, Key, Keys, Scope
from ingest.documents import DocumentRecord
from ingest.errors import Forbidden, NotFound, Unauthorized
from retrieve import Access

_BEARER = HTTPBearer(
    auto_error=False, description="An API key; not needed while no key exists and the service is bound to loopback."
)
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of a key, or (`key_id` None) whoever is on this machine while there are no keys."""

    key_id: str | None
    scopes: frozenset[str]
    collections: frozenset[str] | None
    tags: frozenset[str] | None

    @classmethod
    def of(cls, key: Key) -> Caller:
        collections = None if key.collections is None else frozenset(key.collections)
        return cls(key.key_id, frozenset(key.scopes), collections, None if key.tags is None else frozenset(key.tags))

    @classmethod
    def local(cls) -> Caller:
        """Everyone, while there are no keys."""
        return cls(None, frozenset(SCOPES), None, None)

    @property
    def access(self) -> Access:
        """What this caller may see, for searches."""
        return Access(self.tags)

    @property
    def is_admin(self) -> bool:
        return "admin" in self.scopes

    def may_use(self, collection: str) -> bool:
        return self.collections is None or collection in self.collections

    def check_visible(self, document: DocumentRecord) -> None:
        """Raises `NotFound`, as for a document that does not exist, when this caller may not see it."""
        if self.tags is not None and document.access and not self.tags & set(document.access):
            raise NotFound(f"there is no document {document.document_id[:200]!r}", code="document_not_found")


@dataclass(frozen=True, slots=True)
class Authorize:
    """The dependency: the caller has `scope` and, where the path names a collection, may use it.

    Raises `Unauthorized` without a valid key, `Forbidden` when the key lacks scope or collection.
    """

    scope: Scope

    async def __call__(
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
    ) -> Caller:
        caller = await _identify(request, credentials.credentials if credentials else None)
        request.state.key_id = caller.key_id
        if not caller.is_admin and self.scope not in caller.scopes:
            raise Forbidden(f"this key has no scope {self.scope!r}; use one that has it, or ask an administrator")
        collection = request.path_params.get("name")
        if collection is not None and not caller.may_use(collection):
            raise Forbidden(f"this key may not use collection {collection[:120]!r}; use one that may")
        return caller


Reader = Annotated[Caller, Depends(Authorize("read"))]
Writer = Annotated[Caller, Depends(Authorize("write"))]
Administrator = Annotated[Caller, Depends(Authorize("admin"))]


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


async def _identify(request: Request, secret: str | None) -> Caller:
    keys: Keys = request.app.state.keys
    bound_to: str = request.app.state.service.settings.host
    found = keys.recall(secret)
    if found is None:
        found = await asyncio.to_thread(keys.recognise, secret)
    if is_loopback(bound_to) and not found.any_exist:
        _check_local(request, bound_to)
        return Caller.local()
    if found.key is None:
        sent = "the key is unknown or revoked" if secret else "no key was sent"
        raise Unauthorized(f"{sent}; send a valid one as 'Authorization: Bearer cw_…' (make one with citewell keys)")
    return Caller.of(found.key)


def _check_local(request: Request, bound_to: str) -> None:
    host = request.headers.get("host", "")
    name = _host_name(host)
    if name != bound_to and not is_loopback(name):
        raise Forbidden(f"host {host[:200]!r} is not this service; use localhost, or make a key", code="foreign_host")
    origin = request.headers.get("origin")
    if request.method not in _SAFE_METHODS and origin not in (None, f"{request.scope['scheme']}://{host}"):
        raise Forbidden("the request comes from another web site; make a key to allow it", code="foreign_origin")


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
