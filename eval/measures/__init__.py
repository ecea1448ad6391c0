"""Measures, a file a family: arithmetic only, no files and no service.

Each docstring gives formula, range, what happens at the edges, and the source. A measure that is not defined for its
input is None (unscored), never NaN and never zero.
"""

from eval.measures.adaptability import Adaptability, adaptability
from eval.measures.answers import (
    answer_share,
    contains_answer,
    exact_match,
    is_correct_answer,
    nugget_recall,
    token_f1,
)
from eval.measures.citations import (
    CitedSentence,
    citation_precision,
    citation_recall,
    evidence_rate_macro,
    evidence_rate_micro,
    evidence_rate_strict,
    quote_stands,
)
from eval.measures.claims import ClaimMatrix, ClaimScores, claim_scores
from eval.measures.drift import (
    MeanDiscrepancy,
    answer_drift,
    canary_cosine,
    domain_auc,
    mean_discrepancy,
    population_stability,
    population_stability_limit,
    rank_biased_overlap,
)
from eval.measures.refusal import (
    RefusalRates,
    RiskPoint,
    answer_rate_at_risk,
    augrc,
    aurc,
    excess_aurc,
    refusal_rates,
    risk_coverage_curve,
    selective_risk,
)
from eval.measures.retrieval import (
    all_groups_hit,
    hit_at,
    ndcg_at,
    precision_at,
    recall_at,
    reciprocal_rank,
)
from eval.measures.self_check import self_check
from eval.measures.stability import (
    flip_rate,
    meaning_clusters,
    pair_agreement,
    pass_hat_k,
    semantic_entropy,
)
from eval.measures.success import (
    Attribution,
    Factors,
    Luck,
    attribute_change,
    parametric_luck,
    success_index,
)

__all__ = [
    "Adaptability",
    "Attribution",
    "CitedSentence",
    "ClaimMatrix",
    "ClaimScores",
    "Factors",
    "Luck",
    "MeanDiscrepancy",
    "RefusalRates",
    "RiskPoint",
    "adaptability",
    "all_groups_hit",
    "answer_drift",
    "answer_rate_at_risk",
    "answer_share",
    "attribute_change",
    "augrc",
    "aurc",
    "canary_cosine",
    "citation_precision",
    "citation_recall",
    "claim_scores",
    "contains_answer",
    "domain_auc",
    "evidence_rate_macro",
    "evidence_rate_micro",
    "evidence_rate_strict",
    "exact_match",
    "excess_aurc",
    "flip_rate",
    "hit_at",
    "is_correct_answer",
    "mean_discrepancy",
    "meaning_clusters",
    "ndcg_at",
    "nugget_recall",
    "pair_agreement",
    "parametric_luck",
    "pass_hat_k",
    "population_stability",
    "population_stability_limit",
    "precision_at",
    "quote_stands",
    "rank_biased_overlap",
    "recall_at",
    "reciprocal_rank",
    "refusal_rates",
    "risk_coverage_curve",
    "selective_risk",
    "self_check",
    "semantic_entropy",
    "success_index",
    "token_f1",
]
