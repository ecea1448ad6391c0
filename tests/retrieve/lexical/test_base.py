"""The contract of every lexical engine, and how far the engines agree."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import InvalidInput, Unavailable
from retrieve.analysis import analyse_document, analyse_query
from retrieve.lexical import ENGINES, LexicalDocument, LexicalIndex, LexicalSnapshot, open_lexical_index
from retrieve.restriction import Restriction


@pytest.fixture(params=ENGINES)
def index(request: pytest.FixtureRequest) -> Iterator[LexicalIndex]:
    """An empty index of each engine."""
    opened = open_lexical_index(request.param)
    yield opened
    opened.close()


def document(chunk: int, terms: str, *, version: int | None = None) -> LexicalDocument:
    """Terms from a string; the version key is ten times the chunk key unless given."""
    return LexicalDocument(chunk, 10 * chunk if version is None else version, tuple(terms.split()))


def found(
    snapshot: LexicalSnapshot,
    terms: str,
    *,
    top_k: int = 10,
    restriction: Restriction = Restriction.EVERYTHING,
) -> list[int]:
    """Chunk keys in order."""
    return snapshot.search(terms.split(), top_k=top_k, restriction=restriction).chunks.tolist()


ANIMALS = [
    document(1, "the cat sat on the mat"),
    document(2, "the dog sat on the cat and the cat left"),
    document(3, "a bird sang"),
    document(4, "the fish swam in the sea"),
    document(5, "the sun set over the sea and the hills"),
]


def test_documents_with_a_term_are_counted(index: LexicalIndex) -> None:
    """However often it stands in each; a term that was never added has none; a closed snapshot says so."""
    index.add(ANIMALS)
    snapshot = index.publish()
    assert [snapshot.documents_with(term) for term in ("cat", "sea", "horse")] == [2, 2, 0]
    snapshot.close()
    with pytest.raises(Unavailable, match="closed"):
        snapshot.documents_with("cat")


def test_more_occurrences_and_rarer_terms_rank_higher(index: LexicalIndex) -> None:
    """Chunk 2 has cat twice; bird is rarer than sea."""
    index.add(ANIMALS)
    snapshot = index.publish()
    assert snapshot.count == 5
    assert found(snapshot, "cat") == [2, 1]
    assert found(snapshot, "sea bird") == [3, 4, 5]


def test_scores_descend_and_have_their_types(index: LexicalIndex) -> None:
    """Chunk keys are int64, scores float32 and never rise down the list."""
    index.add(ANIMALS)
    hits = index.publish().search(["sea", "cat", "dog"], top_k=10)
    assert (hits.chunks.dtype, hits.scores.dtype) == (np.int64, np.float32)
    assert (np.diff(hits.scores) <= 0).all()


def test_top_k_cuts_after_the_best(index: LexicalIndex) -> None:
    """Fewer candidates are the head of more candidates."""
    index.add(ANIMALS)
    assert found(index.publish(), "sea bird", top_k=2) == [3, 4]


@pytest.mark.parametrize("terms", ["", "unicorn"])
def test_no_terms_or_unknown_ones_find_nothing(index: LexicalIndex, terms: str) -> None:
    """Neither is an error, and neither returns chunks without a match."""
    index.add(ANIMALS)
    assert found(index.publish(), terms) == []


def test_unknown_terms_beside_known_ones_change_nothing(index: LexicalIndex) -> None:
    """A chunk need hold only one of the terms."""
    index.add(ANIMALS)
    snapshot = index.publish()
    known = snapshot.search(["cat"], top_k=5)
    beside = snapshot.search(["unicorn", "cat"], top_k=5)
    assert beside.chunks.tolist() == known.chunks.tolist()
    assert beside.scores.tolist() == known.scores.tolist()


def test_a_repeated_query_term_counts_twice(index: LexicalIndex) -> None:
    """Its share of the score doubles."""
    index.add(ANIMALS)
    snapshot = index.publish()
    once, twice = (snapshot.search(terms, top_k=1).scores[0] for terms in (["bird"], ["bird", "bird"]))
    assert twice == pytest.approx(2 * once, rel=1e-4)


@pytest.mark.parametrize("syntax", ["cat AND dog", "-cat", "terms:cat", "cat*", '"cat', "(cat OR", "cat^9", "[a TO z]"])
def test_query_syntax_is_never_interpreted(index: LexicalIndex, syntax: str) -> None:
    """Only the plain term cat, where one stands alone, matches; the operators are unknown terms."""
    index.add(ANIMALS)
    assert found(index.publish(), syntax) == ([2, 1] if "cat" in syntax.split() else [])


def test_an_empty_index_finds_nothing(index: LexicalIndex) -> None:
    """Before the first chunk, after the last, and with chunks that have no terms."""
    assert found(index.publish(), "cat") == []
    index.add([document(1, "")])
    assert found(index.publish(), "cat") == []
    index.remove_versions([10])
    assert index.publish().count == 0


def test_changes_wait_for_publish_and_spare_older_snapshots(index: LexicalIndex) -> None:
    """Each snapshot keeps answering from its own time."""
    index.add([ANIMALS[0], *ANIMALS[2:]])
    first = index.publish()
    index.add(ANIMALS[1:2])
    assert found(first, "cat") == [1]
    second = index.publish()
    index.remove_versions([10])
    third = index.publish()
    assert [found(snapshot, "cat") for snapshot in (first, second, third)] == [[1], [2, 1], [2]]
    assert [snapshot.count for snapshot in (first, second, third)] == [4, 5, 4]


def test_what_a_snapshot_holds_can_be_listed(index: LexicalIndex) -> None:
    """Chunk and version keys, those of chunks without terms too, without what was removed."""
    assert [len(keys) for keys in index.publish().contents()] == [0, 0]
    index.add([*ANIMALS, document(9, "", version=90)])
    index.publish()
    index.remove_versions([ANIMALS[0].version])
    held, versions = index.publish().contents()
    left = [(one.chunk, one.version) for one in ANIMALS if one.version != ANIMALS[0].version]
    assert sorted(zip(held.tolist(), versions.tolist(), strict=True)) == [*left, (9, 90)]


def test_snapshots_outlive_their_index(index: LexicalIndex) -> None:
    """Closing the writer, even twice, takes nothing from a search that is under way."""
    index.add(ANIMALS)
    snapshot = index.publish()
    index.close()
    index.close()
    assert found(snapshot, "cat") == [2, 1]


def test_a_closed_snapshot_says_so(index: LexicalIndex) -> None:
    """Searching it is refused instead of finding nothing."""
    index.add(ANIMALS)
    snapshot = index.publish()
    snapshot.close()
    with pytest.raises(Unavailable, match="closed"):
        found(snapshot, "cat")


def test_adding_a_chunk_again_replaces_it(index: LexicalIndex) -> None:
    """Whether the older one was published or not; so the change log may be applied twice."""
    index.add([document(1, "cat"), document(2, "cat"), document(1, "dog")])
    assert found(index.publish(), "cat") == [2]
    index.add([document(1, "dog"), document(2, "dog")])
    index.add([document(2, "dog bird")])
    snapshot = index.publish()
    assert snapshot.count == 2
    assert found(snapshot, "dog bird") == [2, 1]


def test_removing_a_version_takes_pending_chunks_too(index: LexicalIndex) -> None:
    """All chunks of the version go, no others, and an unknown version is no error."""
    index.add([document(1, "cat", version=7), document(2, "cat", version=7), document(3, "cat", version=8)])
    index.remove_versions([7, 99])
    assert found(index.publish(), "cat") == [3]
    index.remove_versions([])
    assert found(index.publish(), "cat") == [3]


def test_a_removed_version_can_come_back(index: LexicalIndex) -> None:
    """Removal concerns what was there, not what follows."""
    index.add([document(1, "cat")])
    index.remove_versions([10])
    index.add([document(1, "cat")])
    assert found(index.publish(), "cat") == [1]


@pytest.mark.parametrize(
    ("restriction", "chunks"),
    [
        (Restriction.of([10, 20]), [2, 1]),
        (Restriction.of([10, 30]), [1]),
        (Restriction.of([30]), []),
        (Restriction.of([]), []),
        (Restriction.of(excluded=[20]), [1]),
        (Restriction.of(excluded=[10, 20, 30]), []),
        (Restriction.of([10, 20], excluded=[10]), [2]),
    ],
)
def test_restrictions(index: LexicalIndex, restriction: Restriction, chunks: list[int]) -> None:
    """Only allowed versions that are not excluded."""
    index.add(ANIMALS)
    assert found(index.publish(), "cat", restriction=restriction) == chunks


def test_restriction_comes_before_the_cut(index: LexicalIndex) -> None:
    """The one allowed chunk is found although fifty others score higher."""
    index.add([document(chunk, "cat cat cat dog") for chunk in range(50)])
    index.add([document(77, "cat bird fish dog"), *ANIMALS[2:]])
    assert found(index.publish(), "cat", top_k=1, restriction=Restriction.of([770])) == [77]


def test_a_restriction_does_not_change_scores(index: LexicalIndex) -> None:
    """Term statistics are those of the whole index, whoever asks."""
    index.add(ANIMALS)
    snapshot = index.publish()
    free = snapshot.search(["cat"], top_k=2)
    bound = snapshot.search(["cat"], top_k=2, restriction=Restriction.of([10]))
    assert bound.scores[0] == free.scores[1]


def test_ties_go_to_the_lower_chunk_key(index: LexicalIndex) -> None:
    """Equal chunks, added in any order over two publishes, are cut by key."""
    index.add([document(chunk, "cat dog") for chunk in (40, 2, 30)])
    index.publish()
    index.add([document(chunk, "cat dog") for chunk in (9, 50, 1, 8)])
    index.add([document(chunk, "bird") for chunk in range(100, 120)])
    assert found(index.publish(), "dog cat", top_k=4) == [1, 2, 8, 9]


def test_extreme_keys_survive(index: LexicalIndex) -> None:
    """Chunk and version keys use the whole range of int64."""
    low, high = -(2**63), 2**63 - 1
    index.add([document(low, "cat", version=high), document(high, "cat", version=low), *ANIMALS[2:]])
    snapshot = index.publish()
    assert found(snapshot, "cat") == [low, high]
    assert found(snapshot, "cat", restriction=Restriction.of([high])) == [low]


def test_top_k_below_one_is_refused(index: LexicalIndex) -> None:
    """As in every search."""
    with pytest.raises(InvalidInput, match="top_k"):
        found(index.publish(), "cat", top_k=0)


def test_searches_run_while_the_writer_works(index: LexicalIndex) -> None:
    """Four threads search; each finds a state as it was published, never half of one."""
    published = [index.publish()]
    stop = threading.Event()

    def search() -> int:
        searches = 0
        while not stop.is_set() or searches == 0:
            snapshot = published[-1]
            assert len(found(snapshot, "cat", top_k=1000)) == snapshot.count
            searches += 1
        return searches

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(search) for _ in range(4)]
        for batch in range(10):
            index.add([document(chunk, "cat") for chunk in range(10 * batch, 10 * batch + 10)])
            index.remove_versions([100 * batch])
            published.append(index.publish())
        stop.set()
        assert all(search.result() >= 1 for search in running)
    assert [snapshot.count for snapshot in published] == list(range(0, 91, 9))


ENGLISH = """
The tower was finished in 1889 and was the tallest building of the world for forty years.
The river rises in the mountains and flows north through three countries to the sea.
A treaty signed in 1648 ended the war between the two kingdoms and moved the border to the river.
The engine burns oil; its inventor showed it at the world fair in Paris and died poor.
Bees dance to tell each other where flowers are, how far, and how rich.
The parliament meets in the old castle above the city, on the left bank of the river.
Salt was carried across the desert by caravans of two thousand camels.
The comet returns every seventy-six years and was seen in 1986 from all countries.
""".strip().splitlines()
CHINESE = """
铁塔于1889年完工，四十年间一直是世界上最高的建筑。
这条河发源于山区，向北流经三个国家后注入大海。
1648年签订的条约结束了两个王国之间的战争，边界移到了河边。
发动机燃烧石油，发明者在巴黎世界博览会上展示了它。
蜜蜂通过跳舞告诉同伴花在哪里、有多远。
議會在城市上方的舊城堡裡開會，位於河的左岸。
盐由两千头骆驼组成的商队运过沙漠。
彗星每七十六年回来一次，1986年各国都看到了它。
""".strip().splitlines()


@pytest.mark.parametrize(
    ("texts", "question", "best"),
    [
        (ENGLISH, "How tall was the tower, and when was it finished?", 0),
        (ENGLISH, "Which treaty moved the border to the river?", 2),
        (ENGLISH, "Who carried salt across deserts on camels?", 6),
        (CHINESE, "哪座铁塔是世界上最高的建筑？", 0),
        (CHINESE, "议会在哪里开会？", 5),
        (CHINESE, "哪份條約結束了戰爭？", 2),
    ],
)
def test_engines_agree_on_the_best_chunk(index: LexicalIndex, texts: list[str], question: str, best: int) -> None:
    """English with inflections, Chinese asked in either script."""
    index.add([LexicalDocument(i, i, tuple(analyse_document(text))) for i, text in enumerate(texts)])
    hits = index.publish().search(analyse_query(question), top_k=3)
    assert hits.chunks[0] == best


words = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=12)


@settings(deadline=None)
@given(st.lists(words, min_size=1, max_size=12), words, st.sets(st.integers(0, 11)))
def test_engines_find_the_same_chunks(texts: list[list[str]], query: list[str], allowed: set[int]) -> None:
    """Scores differ by idf, k1 and rounded lengths; which chunks match never does."""
    documents = [LexicalDocument(i, i, tuple(text)) for i, text in enumerate(texts)]
    sets = set()
    for engine in ENGINES:
        index = open_lexical_index(engine)
        index.add(documents)
        hits = index.publish().search(query, top_k=99, restriction=Restriction.of(allowed))
        sets.add(frozenset(hits.chunks.tolist()))
        index.close()
    expected = {i for i, text in enumerate(texts) if i in allowed and set(text) & set(query)}
    assert sets == {frozenset(expected)}
