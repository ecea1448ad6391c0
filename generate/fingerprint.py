"""One name for everything that an answer depends on besides the documents and the question."""

from __future__ import annotations

import hashlib
import json

from generate.answer import GeneratorInfo
from generate.llm.prompts import prompt_name
from generate.settings import LANGUAGE_MODELS, GenerateSettings
from ingest.generations import GenerationSpec
from retrieve import RetrieveSettings


def pipeline_fingerprint(
    spec: GenerationSpec,
    *,
    fusion: tuple[str, float, float],
    retrieve: RetrieveSettings,
    generate: GenerateSettings,
    reranker: str | None,
    generator: GeneratorInfo,
    judging: str,
) -> str:
    """First 16 hex digits of the SHA-256 over generation, fusion, reranker, prompt, generator, the weights that judge
    evidence and answers (`judging`, their revision), and policy.

    Equal settings give equal fingerprints on every machine; a certificate belongs to one.
    """
    parts = {
        "generation": spec.fingerprint,
        "fusion": [
            *fusion,
            retrieve.candidates,
            retrieve.credibility_weight,
            retrieve.collapse_duplicates,
            retrieve.spelling,
            retrieve.diversity,
        ],
        "reranker": [
            reranker,
            retrieve.rerank_candidates,
            retrieve.rerank_first,
            retrieve.rerank_clear_margin,
            retrieve.rerank_weight,
        ],
        "generator": [generator.name, generator.model, generator.prompt, *_sampling(generate)],
        "judging": judging,
        "policy": [generate.answer_threshold, generate.ask_top_k],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _sampling(generate: GenerateSettings) -> list[object]:
    """What shapes the words of a language model beside its prompt; nothing where there is none."""
    if generate.generator not in LANGUAGE_MODELS:
        return []
    return [
        generate.generator_max_tokens,
        generate.generator_context_tokens,
        generate.generator_temperature,
        generate.generator_seed,
        generate.generator_guided,
        generate.generator_extra,
        prompt_name("follow-up") if generate.generator_rewrites else None,
        *([prompt_name("decompose")] if generate.generator_decomposes else []),
    ]


def template_fingerprint(template: str) -> str:
    """First 8 hex digits of the SHA-256 of a collection's own instruction text."""
    return hashlib.sha256(template.encode()).hexdigest()[:8]
