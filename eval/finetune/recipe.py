"""The recipe of the shipped models: which examples, in which stages; and the run from public sets to an adapter.

Only the `train` parts of sets whose licence allows shipping derived weights. Three stages: what a span is from
questions that cost nothing (clozes), with those of SQuAD 2.0; then everything, asked by people and made from what they
asked; then once more those where a span or its absence is hard to see, the order of passages being learnt by then.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from eval.finetune.examples import Example, mine_examples, read_examples, write_examples
from eval.finetune.synthesis import cloze, edited, without_evidence
from eval.finetune.training import Training, TrainingPlan
from eval.public_sets import load_part
from ingest.models import ModelRuntime, SentenceTransformerEncoder
from ingest.models.adapter import AdapterConfig, load_adapter, save_adapter
from ingest.models.base_model import base_folder, base_sha256, load_base, load_tokenizer
from ingest.models.encoder import computes_bfloat16
from ingest.models.network import JointNetwork
from ingest.models.windows import PairTokenizer

BASE = "all-MiniLM-L6-v2"
NAME = "minilm-reader"
SERVED_TOKENS = 256
LANGUAGES = ("en",)
_NEGATIVES_MINED = 3
Kind = Literal["asked", "without_evidence", "edited", "cloze"]
"""The mined questions themselves, or what `eval.finetune.synthesis` makes of them."""


@dataclass(frozen=True, slots=True)
class Source:
    """Examples of one set and kind: at most `count` (0: all) with `negatives` passages that do not answer.

    An unanswerable question stands alone: the passage it was written against is the hard case. `literal` keeps only
    answers that stand in their passage; `same_story` mines among the passages of the same article.
    """

    name: str
    negatives: int = 0
    questions: str = "questions"
    count: int = 0
    literal: bool = False
    same_story: bool = False
    kind: Kind = "asked"

    @property
    def key(self) -> str:
        return f"{self.name}-{self.questions}"


@dataclass(frozen=True, slots=True)
class Stage:
    """Sources trained together; a source that is named twice is seen twice, and drawn anew."""

    sources: tuple[Source, ...]
    pairs_per_step: int


_SQUAD, _DISFLUENT, _QED, _FAIRY = "squad2_dev_a", "questions_disfluent", "qed_nq_train", "fairytaleqa_train"
STAGES = (
    Stage(
        (
            Source(_SQUAD, 1),
            Source(_SQUAD, kind="without_evidence"),
            Source(_SQUAD, kind="cloze", count=2000),
            Source(_QED, kind="cloze"),
            Source(_FAIRY, kind="cloze", count=1500, same_story=True),
        ),
        pairs_per_step=32,
    ),
    Stage(
        (
            *(Source(_SQUAD, 2),) * 3,
            Source(_SQUAD, 1, _DISFLUENT),
            *(Source(_SQUAD, kind="without_evidence"),) * 2,
            *(Source(_SQUAD, kind="edited"),) * 2,
            Source(_SQUAD, questions=_DISFLUENT, kind="edited"),
            *(Source(_QED, 2),) * 2,
            *(Source(_QED, kind="without_evidence"),) * 2,
            *(Source(_QED, kind="edited"),) * 2,
            Source(_QED, kind="cloze", count=2000),
            *(Source(_FAIRY, 1, literal=True, same_story=True),) * 2,
            Source(_FAIRY, 1, count=2000, same_story=True),
            Source(_FAIRY, kind="without_evidence", same_story=True),
            Source(_FAIRY, kind="edited", count=600, literal=True, same_story=True),
        ),
        pairs_per_step=32,
    ),
    Stage(
        (
            *(Source(_SQUAD, 1),) * 3,
            *(Source(_SQUAD, kind="without_evidence"),) * 2,
            *(Source(_SQUAD, kind="edited"),) * 4,
            Source(_QED, 1),
            Source(_QED, kind="without_evidence"),
            Source(_QED, kind="edited"),
            Source(_QED, kind="cloze", count=3000),
        ),
        pairs_per_step=32,
    ),
)


def mine(data: Path, folder: Path, *, seed: int) -> dict[str, list[Example]]:
    """All examples of the recipe by the key of their source; mined once, then read from `folder`."""
    sources = {source.key: source for stage in STAGES for source in stage.sources}
    missing = [source for key, source in sources.items() if not (folder / f"{key}.jsonl.gz").is_file()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        encoder, runtime = SentenceTransformerEncoder(BASE), ModelRuntime()
        for source in missing:
            part = load_part(data / source.name, "train", questions=source.questions)
            examples = mine_examples(
                part, encoder, runtime, negatives=_NEGATIVES_MINED, seed=seed, same_group=source.same_story
            )
            temporary = folder / f"{source.key}.new"
            write_examples(temporary, examples)
            temporary.replace(folder / f"{source.key}.jsonl.gz")
        runtime.close()
    return {key: read_examples(folder / f"{key}.jsonl.gz") for key in sources}


def examples_of(stage: Stage, mined: Mapping[str, Sequence[Example]], *, seed: int, limit: int = 0) -> list[Example]:
    """The stage's examples in random order; `limit` (0: none) keeps so many of each source, for a trial."""
    draw = random.Random(seed)  # noqa: S311 - not a secret
    chosen: list[Example] = []
    for source in stage.sources:
        rows = [e for e in mined[source.key] if e.answer is not None or not source.literal]
        usable = [e for e in _of_kind(rows, source, draw) if e is not None]
        count = min([n for n in (source.count, limit, len(usable)) if n] or [0])
        drawn = draw.sample(usable, count) if count < len(usable) else usable
        chosen += [replace(e, passages=e.passages[: 1 + (source.negatives if e.answerable else 0)]) for e in drawn]
    draw.shuffle(chosen)
    return chosen


def _of_kind(rows: Sequence[Example], source: Source, draw: random.Random) -> list[Example | None]:
    passages = [row.passages[0] for row in rows]
    match source.kind:
        case "asked":
            return list(rows)
        case "without_evidence":
            return [without_evidence(row) for row in rows]
        case "edited":
            return [edited(row, passages, draw) for row in rows]
        case "cloze":
            return [cloze(passage, f"{source.name}-cloze", draw) for passage in passages]


def train(
    objective: str,
    data: Path,
    out: Path,
    *,
    seed: int = 7,
    limit: int = 0,
    start: Path | None = None,
    device: str = "auto",
    failures: Path | None = None,
    examples: Path | None = None,
) -> AdapterConfig:
    """Train an adapter by the recipe into `out`; a killed run goes on from its last checkpoint.

    `objective`: `joint`, `reranker` or `reader`; `start`: an adapter to go on from; `failures`: examples as
    `citewell eval export-failures` writes them, added to the last stage; `examples`: the folder of the mined ones,
    which runs may share (default: in `out`). The adapter is the mean of the weights before and after the last stage
    (Wortsman et al., "Model soups", ICML 2022), which reads better than both. Deterministic for a seed, a device and a
    number of threads. Raises `Unavailable` when the base model or `start` cannot be loaded.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    mined = mine(data, examples or out / "examples", seed=seed)
    folder = base_folder(BASE)
    torch.manual_seed(seed)
    dtype = torch.bfloat16 if computes_bfloat16(torch.device(device).type) else torch.float32
    network = JointNetwork(load_base(folder, dtype=dtype), TrainingPlan().rank)
    if start is not None:
        network.load_trained_state({name: part.float() for name, part in load_adapter(start).state.items()})
    history, ends = [], []
    for number, stage in enumerate(STAGES, start=1):
        plan = TrainingPlan(objective=objective, seed=seed, pairs_per_step=stage.pairs_per_step)
        tokenizer = PairTokenizer(load_tokenizer(folder), plan.max_tokens)
        chosen = examples_of(stage, mined, seed=seed, limit=limit)
        if failures is not None and stage is STAGES[-1]:
            chosen += read_examples(failures)
        training = Training(network, tokenizer, chosen, plan, out / f"stage-{number}", device=device)
        training.run()
        history.append(list(training.history))
        ends.append({name: part.detach().float().clone() for name, part in network.trained_state().items()})
    config = AdapterConfig(NAME, BASE, base_sha256(folder), TrainingPlan().rank, SERVED_TOKENS, LANGUAGES)
    save_adapter(out, config, averaged(ends[-2:]))
    (out / "history.json").write_text(json.dumps(history, indent=1) + "\n")
    return config


def averaged(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean, tensor by tensor."""
    return {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}
