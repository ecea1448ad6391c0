"""Fits what all vectors of the packaged multilingual model have in common: `python -m eval.fit_centring --data DIR`.

The means, by kind, of the vectors of Chinese questions and of the paragraphs they are about: `train` parts of the
public sets, and product documentation. Deterministic for a seed.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eval.public_sets import load_part
from eval.written_sets import MANUALS_ZH_TRAIN, load_written
from ingest.models.e5_encoder import MEANS, E5Encoder
from ingest.models.encoder import TextKind

_SETS = ("drcd_dev", "cmrc2018_trial")
_TEXTS_A_SET = 200
_CHARS = 250
_DIGITS = 5


def fit(data: Path, *, seed: int) -> dict[str, list[float]]:
    """The mean vector of `query` and `document`, as `E5Encoder` reads them."""
    draw = random.Random(seed)  # noqa: S311 - not a secret
    parts = [*(load_part(data / name, "train") for name in _SETS), load_written(MANUALS_ZH_TRAIN, data)]
    questions, passages = [], []
    for part in parts:
        questions += _drawn([question.question for question in part.questions], draw)
        pieces = [
            text[at : at + _CHARS] for text in (p.text for p in part.passages) for at in range(0, len(text), _CHARS)
        ]
        passages += _drawn(pieces, draw)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as nothing:
        json.dump(dict.fromkeys(("query", "document"), [0.0] * E5Encoder.dimensions), nothing)
        nothing.flush()
        encoder = E5Encoder(means=Path(nothing.name))
    return {"query": _mean(encoder, questions, "query"), "document": _mean(encoder, passages, "document")}


def _drawn(texts: Sequence[str], draw: random.Random) -> list[str]:
    return draw.sample(list(texts), min(len(texts), _TEXTS_A_SET))


def _mean(encoder: E5Encoder, texts: Sequence[str], kind: TextKind) -> list[float]:
    parts = [encoder.encode(texts[i : i + 32], kind, fast=True) for i in range(0, len(texts), 32)]
    return [float(value) for value in np.round(np.concatenate(parts).mean(0, dtype=np.float64), _DIGITS)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the mean of the packaged multilingual model's vectors.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--out", type=Path, default=MEANS, help="JSON file to write")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(fit(arguments.data, seed=arguments.seed)) + "\n")


if __name__ == "__main__":
    main()
