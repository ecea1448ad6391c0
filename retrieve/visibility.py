"""Remembers which versions a filter and a caller's access let see, until something that they read changes."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from ingest.catalogue import schema
from retrieve.filters import restriction_for
from retrieve.query import Access
from retrieve.restriction import Restriction

_ENTRIES_MAX = 32

_Key = tuple[int, str, tuple[str, ...] | None]


class VisibleVersions:
    """Restrictions by collection, filter and access, the 32 used last. Thread-safe.

    Each belongs to a revision of its collection, which grows in the very transaction that changes a document, its
    access tags or its tombstone; it is read in the search's own transaction, so nothing is ever shown longer than
    without this cache. Equal requests get the same object, so that indexes can keep what they make of it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[_Key, tuple[int, Restriction]] = OrderedDict()

    def restriction(
        self, connection: Connection, collection_pk: int, conditions: Mapping[str, Any], access: Access
    ) -> Restriction:
        """As `restriction_for`, and from memory where the collection has not changed since. Errors as there."""
        key = _key(collection_pk, conditions, access)
        if key is None:
            return restriction_for(connection, collection_pk, conditions, access)
        table = schema.collections
        revision = connection.execute(select(table.c.revision).where(table.c.pk == collection_pk)).scalar()
        with self._lock:
            known = self._entries.get(key)
            if known is not None and known[0] == revision:
                self._entries.move_to_end(key)
                return known[1]
        found = restriction_for(connection, collection_pk, conditions, access)
        if revision is not None:
            self._remember(key, revision, found)
        return found

    def _remember(self, key: _Key, revision: int, restriction: Restriction) -> None:
        with self._lock:
            known = self._entries.get(key)
            if known is None or known[0] < revision:
                self._entries[key] = (revision, restriction)
                self._entries.move_to_end(key)
            while len(self._entries) > _ENTRIES_MAX:
                self._entries.popitem(last=False)


def _key(collection_pk: int, conditions: Mapping[str, Any], access: Access) -> _Key | None:
    """None for conditions that are no JSON: whoever reads them says what is wrong."""
    tags = None if access.tags is None else tuple(sorted(access.tags))
    try:
        return collection_pk, json.dumps(conditions, sort_keys=True, allow_nan=False), tags
    except (TypeError, ValueError, RecursionError):
        return None
