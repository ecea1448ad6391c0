"""A tiny untrained joint reader on a BERT of two layers: everything of the real one but its weights and its use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from ingest.models import JointReader
from ingest.models.adapter import AdapterConfig, load_adapter, save_adapter
from ingest.models.network import JointNetwork
from ingest.models.profiles import profile_of

RANK = 4


def tiny_tokenizer() -> Any:
    """The packaged model's tokeniser."""
    return Tokenizer.from_file(str(Path(profile_of("all-MiniLM-L6-v2").source) / "tokenizer.json"))


def tiny_base() -> Any:
    """A BERT model of two narrow layers, the same at each call."""
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=30522,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return BertModel(shape, add_pooling_layer=False).eval()


def tiny_network() -> JointNetwork:
    """The network on the tiny base, its adapters no longer at their start."""
    network = JointNetwork(tiny_base(), RANK)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(".up"):
                parameter.normal_(std=0.1)
    return network


def tiny_adapter(folder: Path, **fields: Any) -> Path:
    """An adapter folder of the tiny network."""
    wanted = {"name": "tiny", "base": "tiny", "base_sha256": "", "rank": RANK, "max_tokens": 160, "languages": ("en",)}
    save_adapter(folder, AdapterConfig(**{**wanted, **fields}), tiny_network().trained_state())
    return folder


def tiny_reader(folder: Path) -> JointReader:
    """A joint reader of the adapter in `folder`."""
    return JointReader(load_adapter(folder), tiny_base(), tiny_tokenizer(), device="cpu", bfloat16=False)
