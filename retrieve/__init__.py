"""From a query to ranked evidence: indexes, snapshots, fusion, reranking. Knows nothing of answers."""

from retrieve.analysis import ANALYSER
from retrieve.credibility_keeper import CredibilityKeeper
from retrieve.fusion_weights import FusionTable, FusionWeights
from retrieve.query import Access, Hit, Mode, Query, Ranking, Scores
from retrieve.reindex import GateCheck, GateVerdict, Generations, ReindexHandler
from retrieve.rerank import CrossEncoderReranker, ReadingReranker, Reranker, read_hits
from retrieve.rewrite import QueryRewriter
from retrieve.search import Searcher
from retrieve.settings import RetrieveSettings
from retrieve.snapshots import Indexes

__all__ = [
    "ANALYSER",
    "Access",
    "CredibilityKeeper",
    "CrossEncoderReranker",
    "FusionTable",
    "FusionWeights",
    "GateCheck",
    "GateVerdict",
    "Generations",
    "Hit",
    "Indexes",
    "Mode",
    "Query",
    "QueryRewriter",
    "Ranking",
    "ReadingReranker",
    "ReindexHandler",
    "Reranker",
    "RetrieveSettings",
    "Scores",
    "Searcher",
    "read_hits",
]
