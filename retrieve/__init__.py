"""From a query to ranked evidence: indexes, snapshots, fusion, reranking. Knows nothing of answers."""

from retrieve.analysis import ANALYSER
from retrieve.audit import Difference, IndexAudit
from retrieve.credibility_keeper import CredibilityKeeper
from retrieve.fusion_weights import FusionTable, FusionWeights
from retrieve.query import Access, Hit, Mode, Query, Ranking, Scores, SearchTask
from retrieve.reindex import GateCheck, GateVerdict, Generations, ReindexHandler
from retrieve.rerank import CrossEncoderReranker, ReadingReranker, Reranker, read_hits
from retrieve.rewrite import QueryRewriter, QuestionDecomposer
from retrieve.search import Searcher
from retrieve.search_batch import SearchBatch
from retrieve.settings import RetrieveSettings
from retrieve.snapshots import Indexes
from retrieve.stored_indexes import StoredAudit, audit_stored, renew_stored

__all__ = [
    "ANALYSER",
    "Access",
    "CredibilityKeeper",
    "CrossEncoderReranker",
    "Difference",
    "FusionTable",
    "FusionWeights",
    "GateCheck",
    "GateVerdict",
    "Generations",
    "Hit",
    "IndexAudit",
    "Indexes",
    "Mode",
    "Query",
    "QueryRewriter",
    "QuestionDecomposer",
    "Ranking",
    "ReadingReranker",
    "ReindexHandler",
    "Reranker",
    "RetrieveSettings",
    "Scores",
    "SearchBatch",
    "SearchTask",
    "Searcher",
    "StoredAudit",
    "audit_stored",
    "read_hits",
    "renew_stored",
]
