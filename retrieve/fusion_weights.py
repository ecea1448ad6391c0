"""What a cosine and a BM25 score are worth beside each other: fitted per embedder, and shipped or stored as JSON.

The numbers belong to an embedder because its cosines have a range of their own. `eval.fusion_fit` fits them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.errors import InvalidInput
from retrieve.candidates import Candidates
from retrieve.fusion import FusedHit, Stage, fuse


@dataclass(frozen=True, slots=True)
class FusionWeights:
    """Worth of one unit of cosine and of one unit of BM25 score, each 0 or more. Only their ratio counts."""

    vector: float
    lexical: float

    def __post_init__(self) -> None:
        for name, worth in (("vector", self.vector), ("lexical", self.lexical)):
            if not (math.isfinite(worth) and worth >= 0):
                raise InvalidInput(f"the fusion weight {name} is {worth}; it must be finite and 0 or more")


@dataclass(frozen=True, slots=True)
class FusionTable:
    """The fitted weights by name of the embedder."""

    weights: Mapping[str, FusionWeights] = field(default_factory=dict)

    def fusion_of(self, embedder: str, wanted: str) -> tuple[str, FusionWeights]:
        """Method and weights for an embedder: those of `wanted`, or equal weights where nothing was fitted."""
        fitted = self.weights.get(embedder)
        if wanted == "spread" and fitted is None:
            return "convex", EQUAL
        return wanted, fitted if wanted == "spread" and fitted is not None else EQUAL

    @classmethod
    def load(cls, paths: Sequence[Path]) -> FusionTable:
        """The tables in these files, a later one's entries in place of an earlier one's; missing files are left out.

        Raises `InvalidInput` (`invalid_fusion_weights`) for a file that is no table.
        """
        weights: dict[str, FusionWeights] = {}
        for path in paths:
            if path.exists():
                weights.update(_read(path))
        return cls(weights)


EQUAL = FusionWeights(1.0, 1.0)


def fuse_vector_and_lexical(
    vector: Candidates,
    lexical: Candidates,
    *,
    top_k: int,
    depth: int,
    fusion: str,
    weights: FusionWeights = EQUAL,
    use_vector: bool = True,
    use_lexical: bool = True,
) -> tuple[FusedHit, ...]:
    """Fuse the stages `vector` and `lexical`, which were asked for `depth` candidates each.

    A lexical list shorter than that holds every chunk with a word of the query, so what it does not hold scores 0.
    Order and errors as in `retrieve.fusion.fuse`.
    """
    stages = (
        Stage("vector", vector, weights.vector if use_vector else 0.0),
        Stage(
            "lexical",
            lexical,
            weights.lexical if use_lexical else 0.0,
            floor=0.0 if len(lexical) < depth else None,
        ),
    )
    return fuse(stages, top_k=top_k, fusion=fusion)


def _read(path: Path) -> dict[str, FusionWeights]:
    try:
        table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {name: FusionWeights(float(row["vector"]), float(row["lexical"])) for name, row in table.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as failure:
        raise InvalidInput(
            f"{path} is no table of fusion weights ({failure!r}); fit it again with 'citewell eval fit-fusion'",
            code="invalid_fusion_weights",
        ) from failure
