"""Fusion worked by hand, and which queries an embedder can represent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import InvalidInput
from retrieve.candidates import Candidates
from retrieve.fusion import (
    FUSIONS,
    FusedHit,
    Stage,
    StageScore,
    convex_combination,
    embedder_fits,
    fuse,
    reciprocal_rank_fusion,
    spread_combination,
)
from retrieve.fusion_weights import EQUAL, FusionTable, FusionWeights, fuse_vector_and_lexical


def candidates(**scores: float) -> Candidates:
    """Candidates from c7=1.5 and the like."""
    chunks = np.array([int(name[1:]) for name in scores], np.int64)
    return Candidates.best(chunks, np.array(list(scores.values()), np.float32), top_k=100)


VECTOR = candidates(c1=0.9, c2=0.8, c3=0.5)
LEXICAL = candidates(c3=12, c1=8, c4=2)


def scores(hits: tuple[FusedHit, ...]) -> dict[int, float]:
    return {hit.chunk: hit.score for hit in hits}


def test_reciprocal_rank_fusion_by_hand() -> None:
    """Chunk 1 has ranks 1 and 2, chunk 3 has 3 and 1, chunks 2 and 4 one rank each."""
    hits = reciprocal_rank_fusion([Stage("vector", VECTOR), Stage("lexical", LEXICAL)], top_k=10)
    assert [hit.chunk for hit in hits] == [1, 3, 2, 4]
    assert scores(hits) == pytest.approx({1: 1 / 61 + 1 / 62, 3: 1 / 63 + 1 / 61, 2: 1 / 62, 4: 1 / 63})


def test_reciprocal_rank_fusion_weighs_each_list() -> None:
    """The weight multiplies the whole contribution of its list."""
    hits = reciprocal_rank_fusion([Stage("v", VECTOR, 1), Stage("l", LEXICAL, 3)], top_k=2, rrf_k=0)
    assert scores(hits) == pytest.approx({3: 1 / 3 + 3 / 1, 1: 1 / 1 + 3 / 2})


def test_convex_combination_by_hand() -> None:
    """Vector scores scale to 1, 0.75, 0 and lexical ones to 1, 0.6, 0; equal weights are halves."""
    hits = convex_combination([Stage("vector", VECTOR), Stage("lexical", LEXICAL)], top_k=10)
    assert [hit.chunk for hit in hits] == [1, 3, 2, 4]
    assert scores(hits) == pytest.approx({1: 0.8, 3: 0.5, 2: 0.375, 4: 0.0})


def test_convex_combination_divides_by_the_sum_of_weights() -> None:
    """Weights 1 and 3 count a quarter and three quarters."""
    hits = convex_combination([Stage("v", VECTOR, 1), Stage("l", LEXICAL, 3)], top_k=2)
    assert scores(hits) == pytest.approx({3: 0.75, 1: 0.25 + 0.75 * 0.6})


def test_spread_adds_scores_at_their_worths() -> None:
    """A cosine worth 10 and a BM25 score worth 0.1: ranges of 4 and 1, so shares of 4/5 and 1/5."""
    hits = spread_combination([Stage("v", VECTOR, 10), Stage("l", LEXICAL, 0.1)], top_k=10)
    assert scores(hits) == pytest.approx({1: 0.8 + 0.2 * 0.6, 2: 0.6, 3: 0.2, 4: 0.0})


def test_what_a_complete_list_does_not_hold_scores_nothing() -> None:
    """With a floor of 0 the last candidate of the list counts for something; without, it counts as one not found."""
    below, at = (convex_combination([Stage("l", LEXICAL, floor=floor)], top_k=10)[-1] for floor in (0.0, None))
    assert (below.score, at.score) == (pytest.approx(2 / 12), 0.0)


def test_a_short_lexical_list_is_complete() -> None:
    """Fewer candidates than asked for: no other chunk has a word of the query."""
    hits = {
        depth: fuse_vector_and_lexical(VECTOR, LEXICAL, top_k=10, depth=depth, fusion="convex", use_vector=False)
        for depth in (3, 4)
    }
    assert (hits[3][-1].score, hits[4][-1].score) == (0.0, pytest.approx(2 / 12))


def test_an_embedder_without_fitted_weights_gets_equal_ones() -> None:
    """Scores of another model have another range, so its lists are scaled first; other methods take no weights."""
    table = FusionTable({"a": FusionWeights(10, 0.1)})
    assert table.fusion_of("a", "spread") == ("spread", FusionWeights(10, 0.1))
    assert table.fusion_of("b", "spread") == ("convex", EQUAL)
    assert table.fusion_of("a", "rrf") == ("rrf", EQUAL)


def test_later_tables_take_precedence(tmp_path: Path) -> None:
    """A collection's owner fits anew; what is not fitted again stays; a missing file is no table."""
    shipped, own = tmp_path / "shipped.json", tmp_path / "own.json"
    shipped.write_text('{"a": {"vector": 1, "lexical": 2}, "b": {"vector": 3, "lexical": 4}}')
    own.write_text('{"b": {"vector": 5, "lexical": 6}}')
    table = FusionTable.load([shipped, own, tmp_path / "missing.json"])
    assert table.weights == {"a": FusionWeights(1, 2), "b": FusionWeights(5, 6)}


@pytest.mark.parametrize("text", ["", "[]", "[1]", "{}x", '{"a": 1}', '{"a": {"vector": 1}}'])
def test_a_broken_table_is_refused(tmp_path: Path, text: str) -> None:
    """The message names the file, and how to make it anew."""
    path = tmp_path / "fusion.json"
    path.write_text(text)
    with pytest.raises(InvalidInput, match="fit-fusion"):
        FusionTable.load([path])


def test_impossible_weights_are_refused(tmp_path: Path) -> None:
    """Also when they stand in a file."""
    with pytest.raises(InvalidInput, match="lexical is -1"):
        FusionWeights(1, -1)
    path = tmp_path / "fusion.json"
    path.write_text('{"a": {"vector": 1e999, "lexical": 1}}')
    with pytest.raises(InvalidInput, match="vector is inf"):
        FusionTable.load([path])


def test_equal_scores_count_one_in_a_convex_combination() -> None:
    """A list of a single candidate has no range; its candidate is its best."""
    hits = convex_combination([Stage("lexical", candidates(c5=3))], top_k=10)
    assert scores(hits) == {5: 1.0}


@pytest.mark.parametrize("fusion", FUSIONS)
def test_ties_go_to_the_lower_chunk_key(fusion: str) -> None:
    """Two lists that mirror each other give equal scores, in either order of the lists."""
    stages = [Stage("a", candidates(c8=2, c3=1)), Stage("b", candidates(c3=2, c8=1))]
    assert [hit.chunk for hit in fuse(stages, top_k=2, fusion=fusion)] == [3, 8]
    assert [hit.chunk for hit in fuse(stages[::-1], top_k=1, fusion=fusion)] == [3]


@pytest.mark.parametrize("fusion", FUSIONS)
def test_each_stage_keeps_its_rank_and_score(fusion: str) -> None:
    """A hit tells where each stage had it, and nothing of a stage that had it not."""
    hits = fuse_vector_and_lexical(VECTOR, LEXICAL, top_k=10, depth=3, fusion=fusion)
    stages = {hit.chunk: hit.stages for hit in hits}
    assert stages[3] == {"vector": StageScore(3, 0.5), "lexical": StageScore(1, 12.0)}
    assert stages[4] == {"lexical": StageScore(3, 2.0)}


@pytest.mark.parametrize("fusion", FUSIONS)
def test_weight_zero_leaves_a_list_out(fusion: str) -> None:
    """With no weight on the vectors the order is the lexical one, and chunk 2 is not there at all."""
    hits = fuse_vector_and_lexical(VECTOR, LEXICAL, top_k=10, depth=3, use_vector=False, fusion=fusion)
    assert [hit.chunk for hit in hits] == [3, 1, 4]


@pytest.mark.parametrize("fusion", FUSIONS)
def test_nothing_found_or_nothing_weighed_is_empty(fusion: str) -> None:
    """Empty lists and lists without weight give no hits."""
    assert fuse([], top_k=3, fusion=fusion) == ()
    assert fuse([Stage("a", Candidates.none())], top_k=3, fusion=fusion) == ()
    assert fuse([Stage("a", VECTOR, 0)], top_k=3, fusion=fusion) == ()


@pytest.mark.parametrize(
    ("stages", "top_k", "message"),
    [
        ([Stage("a", VECTOR)], 0, "top_k is 0"),
        ([Stage("a", VECTOR), Stage("a", LEXICAL)], 3, "its own name"),
        ([Stage("a", VECTOR, -1)], 3, "weight -1"),
        ([Stage("a", VECTOR, float("nan"))], 3, "weight nan"),
        ([Stage("a", VECTOR, float("inf"))], 3, "weight inf"),
    ],
)
@pytest.mark.parametrize("fusion", FUSIONS)
def test_wrong_stages_are_refused(stages: list[Stage], top_k: int, message: str, fusion: str) -> None:
    """Each message names what is wrong."""
    with pytest.raises(InvalidInput, match=message):
        fuse(stages, top_k=top_k, fusion=fusion)


def test_negative_rrf_k_and_unknown_fusion_are_refused() -> None:
    """rrf_k of -1 would divide by zero; a misspelt method is not the default one."""
    with pytest.raises(InvalidInput, match="rrf_k is -1"):
        reciprocal_rank_fusion([], top_k=1, rrf_k=-1)
    with pytest.raises(InvalidInput, match="choose one of convex, rrf, spread"):
        fuse([], top_k=1, fusion="borda")


lists = st.dictionaries(st.integers(0, 20), st.floats(-1, 1, width=32))


@settings(deadline=None)
@given(lists, lists, st.integers(1, 10))
@pytest.mark.parametrize("fusion", FUSIONS)
def test_top_k_is_a_prefix_of_the_whole_fusion(
    fusion: str, a: dict[int, float], b: dict[int, float], top_k: int
) -> None:
    """Asking for fewer hits changes nothing but their number, and every score is at least 0."""
    stages = [
        Stage(name, Candidates.best(np.array([*x], np.int64), np.array([*x.values()], np.float32), top_k=99))
        for name, x in (("a", a), ("b", b))
    ]
    whole = fuse(stages, top_k=99, fusion=fusion)
    assert fuse(stages, top_k=top_k, fusion=fusion) == whole[:top_k]
    assert {hit.chunk for hit in whole} == a.keys() | b.keys()
    assert all(0 <= hit.score <= 1 for hit in whole)


@pytest.mark.parametrize(
    ("query", "languages", "fits"),
    [
        ("where is Normandy?", ("en",), True),
        ("où est la Normandie ?", ("en",), True),
        ("诺曼底在哪里？", ("en",), False),
        ("諾曼底在哪裡？", ("en", "zh"), True),
        ("诺曼底在哪里？", None, True),
        ("Docker 怎么安装", ("en",), True),
        ("怎么在服务器上安装 npm", ("en",), False),
        ("ｆｕｌｌ width", ("en",), True),
        ("東京タワーはどこ", ("ja",), True),
        ("1984 + 36?", ("en",), True),
        ("", ("en",), True),
        ("Где Нормандия?", ("en", "ru"), True),
        ("Где Нормандия?", ("en",), False),
    ],
)
def test_embedder_fits(query: str, languages: tuple[str, ...] | None, fits: bool) -> None:
    """At least half of the letters must be in a script of the declared languages."""
    assert embedder_fits(query, languages=languages) is fits


def test_unknown_language_is_refused() -> None:
    """A code that is not ISO 639-1, or has no script here, is named."""
    with pytest.raises(InvalidInput, match="english"):
        embedder_fits("a", languages=("english",))
