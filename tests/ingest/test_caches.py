"""Bounded memories: bounded, counted, never out of date."""

from __future__ import annotations

from ingest.caches import LruCache, forget_texts, remembers_texts, text_cache


def test_the_value_used_longest_ago_goes_first() -> None:
    """Reading counts as using; weights add up to the bound at most."""
    cache: LruCache[str] = LruCache(3)
    cache.put("a", "A")
    cache.put("b", "B", weight=2)
    assert cache.get("a") == "A"
    cache.put("c", "C")
    assert [cache.get(key) for key in "abc"] == ["A", None, "C"]
    assert cache.stats().weight == 2


def test_a_value_under_the_same_key_is_replaced() -> None:
    """Its weight too."""
    cache: LruCache[str] = LruCache(10)
    cache.put("a", "old", weight=8)
    cache.put("a", "new", weight=3)
    assert cache.get("a") == "new"
    assert cache.stats().weight == 3


def test_a_value_too_heavy_is_not_remembered() -> None:
    """It would push out everything, and then not fit."""
    cache: LruCache[str] = LruCache(2)
    cache.put("a", "A")
    cache.put("b", "B", weight=3)
    assert [cache.get(key) for key in "ab"] == ["A", None]


def test_a_new_revision_drops_everything() -> None:
    """And what was computed under an old one comes too late."""
    cache: LruCache[str] = LruCache(10)
    cache.put("a", "A", revision=1)
    assert cache.get("a", revision=1) == "A"
    assert cache.get("a", revision=2) is None
    cache.put("b", "B", revision=1)
    assert cache.get("b", revision=2) is None
    assert cache.get("b", revision=1) is None
    assert cache.stats().entries == 0


def test_hits_and_misses_are_counted() -> None:
    """Since the start, over all revisions."""
    cache: LruCache[str] = LruCache(10)
    cache.put("a", "A", revision=1)
    cache.get("a", revision=1)
    cache.get("a", revision=2)
    assert (cache.stats().hits, cache.stats().misses) == (1, 1)


def test_values_are_evicted_by_what_they_are() -> None:
    """Those that are named are counted; those of an older revision go with them, and none of it comes back."""
    cache: LruCache[str] = LruCache(10)
    for key, value in (("a", "apple"), ("b", "berry"), ("c", "cherry")):
        cache.put(key, value, weight=2, revision=1)
    assert cache.evict(lambda value: "rr" in value, revision=1) == 2
    assert (cache.values(revision=1), cache.stats().weight) == (["apple"], 2)
    assert cache.evict(lambda value: value == "apple", revision=2) == 1
    cache.put("a", "apple", revision=1)
    assert (cache.values(revision=2), cache.stats().weight) == ([], 0)


def test_functions_of_words_forget_them_all() -> None:
    """Computed once until then, and once more afterwards."""
    computed: list[str] = []

    @remembers_texts(8)
    def shouted(text: str) -> str:
        computed.append(text)
        return text.upper()

    assert [shouted("red"), shouted("red")] == ["RED", "RED"]
    assert forget_texts([7]) == 0
    shouted("red")
    assert computed == ["red", "red"]


def test_caches_of_words_forget_them_too() -> None:
    """All that stands in them, and those alone."""
    words, others = text_cache(4), LruCache[str](4)
    words.put("red", "RED")
    others.put("red", "RED")
    forget_texts([7])
    assert (words.get("red"), others.get("red")) == (None, "RED")
