"""Answers written by a language model behind an OpenAI-compatible server, and made of what its passages support."""

from generate.llm.breaker import CircuitBreaker
from generate.llm.client import ChatClient, ChatRequest, Deadlines
from generate.llm.decomposer import LanguageModelDecomposer
from generate.llm.generator import LanguageModelGenerator, Style
from generate.llm.prompts import check_templates
from generate.llm.rewriter import LanguageModelRewriter

__all__ = [
    "ChatClient",
    "ChatRequest",
    "CircuitBreaker",
    "Deadlines",
    "LanguageModelDecomposer",
    "LanguageModelGenerator",
    "LanguageModelRewriter",
    "Style",
    "check_templates",
]
