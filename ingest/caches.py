"""Bounded memories. What they hold is exact or absent: nobody waits for an entry to grow old."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, ParamSpec, TypeVar, cast

Value = TypeVar("Value")
Arguments = ParamSpec("Arguments")

_TEXT_MEMORIES: list[Callable[[], None]] = []
"""What makes each of the functions forget that remember the words of documents."""


def remembers_texts(entries: int) -> Callable[[Callable[Arguments, Value]], Callable[Arguments, Value]]:
    """`functools.lru_cache` for a function of words of documents, which must not outlive them: see `forget_texts`."""

    def decorate(function: Callable[Arguments, Value]) -> Callable[Arguments, Value]:
        remembered = lru_cache(maxsize=entries)(function)
        _TEXT_MEMORIES.append(remembered.cache_clear)
        return cast(Callable[Arguments, Value], remembered)

    return decorate


def forget_texts(document_pks: Sequence[int] = ()) -> int:
    """Have all such functions, and the caches of `text_cache`, forget everything, for they cannot tell whose words they
    hold; 0: no entry is named.
    """
    for forget in _TEXT_MEMORIES:
        forget()
    for cache in tuple(_TEXT_CACHES):
        cache.evict(lambda _: True)
    return 0


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Lookups that found something and those that did not, since the start; entries and their weight now."""

    hits: int
    misses: int
    entries: int
    weight: int


class LruCache(Generic[Value]):
    """Values of at most `weight_max` together; the one used longest ago goes first. Thread-safe.

    With a `revision` at `get` and `put`, values live as long as the revision stays what it is: a higher one drops
    everything that was remembered under a lower one, and nothing is remembered for a revision already past.
    """

    def __init__(self, weight_max: int) -> None:
        self._weight_max = weight_max
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._weight = 0
        self._revision = 0
        self._hits = 0
        self._misses = 0

    def get(self, key: Hashable, *, revision: int = 0) -> Value | None:
        """The value under `key`; None when there is none for this revision."""
        with self._lock:
            self._renew(revision)
            found = self._entries.get(key) if revision == self._revision else None
            if found is None:
                self._misses += 1
                return None
            self._hits += 1
            self._entries.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: Value, *, weight: int = 1, revision: int = 0) -> None:
        """Remember `value`, and forget what then is too much; a value heavier than everything is not remembered."""
        with self._lock:
            self._renew(revision)
            if revision < self._revision or weight > self._weight_max:
                return
            _, before = self._entries.pop(key, (None, 0))
            self._entries[key] = (value, weight)
            self._weight += weight - before
            while self._weight > self._weight_max:
                _, (_, gone) = self._entries.popitem(last=False)
                self._weight -= gone

    def evict(self, concerns: Callable[[Value], bool], *, revision: int = 0) -> int:
        """Forget the values that `concerns` names, and whatever belongs to a lower revision; returns how many it named.

        What was read before that revision, and is put afterwards, is not remembered either.
        """
        with self._lock:
            named = sum(concerns(value) for value, _ in self._entries.values())
            self._renew(revision)
            for key in [key for key, (value, _) in self._entries.items() if concerns(value)]:
                _, weight = self._entries.pop(key)
                self._weight -= weight
            return named

    def values(self, *, revision: int = 0) -> list[Value]:
        """All that `get` would give for this revision."""
        with self._lock:
            return [value for value, _ in self._entries.values()] if revision == self._revision else []

    def stats(self) -> CacheStats:
        """How well it serves."""
        with self._lock:
            return CacheStats(self._hits, self._misses, len(self._entries), self._weight)

    def _renew(self, revision: int) -> None:
        if revision > self._revision:
            self._entries.clear()
            self._weight = 0
            self._revision = revision


_TEXT_CACHES: weakref.WeakSet[LruCache[Any]] = weakref.WeakSet()


def text_cache(weight_max: int) -> LruCache[Any]:
    """A cache of what is made of words of documents, which must not outlive them: see `forget_texts`."""
    cache: LruCache[Any] = LruCache(weight_max)
    _TEXT_CACHES.add(cache)
    return cache
