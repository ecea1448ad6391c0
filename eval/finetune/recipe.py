"""The recipe of the shipped models: which examples, in which stages; and the run from public sets to an adapter.

Only the `train` parts of sets whose licence allows shipping derived weights. Three stages: what a span is from
questions that cost nothing (clozes), with those of SQuAD 2.0; then everything, asked by people and made from what they
asked; then once more those where a span or its absence is hard to see, the order of passages being learnt by then.

With a teacher (`eval.finetune.teacher`) a fourth: the teacher learns from the same sets, and the student, now with all
weights of its layers, from its opinion and its hidden states of some thirty thousand pairs, beside the labels that
there are. A fifth goes on from there with questions of our own, asked in other words than their passages use
(`eval.written_sets`), of which the teacher knows no more than the student, and with some of the taught ones, lest they
be forgotten. The adapters of that are the nearest of a rank that still makes a small file.
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
from eval.finetune.full_rank import narrowed, release
from eval.finetune.synthesis import cloze, edited, without_evidence
from eval.finetune.teacher import Teacher, load_teacher
from eval.finetune.training import Training, TrainingPlan
from eval.public_sets import load_part
from eval.written_sets import ARTICLES_TRAIN, ENCYCLOPEDIA_TRAIN, MANUALS_TRAIN, load_written
from ingest.errors import InvalidInput
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
    """Sources trained together; one that is named twice is seen twice, and drawn anew. `learning_rate` is the peak."""

    sources: tuple[Source, ...]
    pairs_per_step: int
    epochs: int = 1
    learning_rate: float = 1e-3


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
TEACHER_STAGE = Stage(
    (
        Source(_SQUAD, 1),
        *(Source(_SQUAD),) * 2,
        Source(_SQUAD, kind="without_evidence", count=800),
        *(Source(_SQUAD, kind="edited"),) * 2,
        Source(_QED, count=4000),
        Source(_QED, kind="without_evidence", count=900),
        Source(_QED, kind="edited", count=1000),
        Source(_FAIRY, count=1000, literal=True, same_story=True),
    ),
    pairs_per_step=24,
    learning_rate=5e-4,
)
DISTILLATION_STAGE = Stage(
    (
        Source(_SQUAD, 2),
        Source(_SQUAD, kind="without_evidence", count=1500),
        *(Source(_SQUAD, kind="edited"),) * 2,
        Source(_SQUAD, questions=_DISFLUENT),
        Source(_SQUAD, questions=_DISFLUENT, kind="edited"),
        Source(_QED, 1),
        Source(_QED, kind="without_evidence", count=1500),
        Source(_QED, kind="edited", count=2500),
        Source(_QED, kind="cloze", count=2000),
        Source(_FAIRY, count=2000, literal=True, same_story=True),
    ),
    pairs_per_step=32,
    epochs=3,
    learning_rate=2e-4,
)
OUR_OWN = {written.name: written for written in (MANUALS_TRAIN, ARTICLES_TRAIN, ENCYCLOPEDIA_TRAIN)}
OTHER_WORDS_STAGE = Stage(
    (
        *(Source(name, 2) for name in OUR_OWN for _ in range(2)),
        Source(MANUALS_TRAIN.name, kind="without_evidence", count=200),
        Source(ENCYCLOPEDIA_TRAIN.name, kind="without_evidence", count=1000),
        Source(MANUALS_TRAIN.name, kind="edited", count=300),
        Source(ENCYCLOPEDIA_TRAIN.name, kind="edited", count=1500),
        Source(_SQUAD, count=800),
        Source(_SQUAD, kind="edited", count=900),
        Source(_SQUAD, questions=_DISFLUENT, count=600),
        Source(_QED, 1, count=900),
        Source(_QED, kind="edited", count=500),
        Source(_FAIRY, count=300, literal=True, same_story=True),
    ),
    pairs_per_step=32,
    learning_rate=1e-4,
)
TAUGHT_RANK = 176
"""Of the adapters after the teacher's stages: just under eight megabytes."""


def mine(data: Path, folder: Path, *, seed: int) -> dict[str, list[Example]]:
    """All examples of the recipe by the key of their source; mined once, then read from `folder`."""
    stages = (*STAGES, TEACHER_STAGE, DISTILLATION_STAGE, OTHER_WORDS_STAGE)
    sources = {source.key: source for stage in stages for source in stage.sources}
    missing = [source for key, source in sources.items() if not (folder / f"{key}.jsonl.gz").is_file()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        encoder, runtime = SentenceTransformerEncoder(BASE), ModelRuntime()
        for source in missing:
            if source.name in OUR_OWN:
                part = load_written(OUR_OWN[source.name], data)
            else:
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
    teacher: str | None = None,
) -> AdapterConfig:
    """Train an adapter by the recipe into `out`; a killed run goes on from its last checkpoint.

    `objective`: `joint`, `reranker` or `reader`; `start`: an adapter to go on from; `failures`: examples as
    `citewell eval export-failures` writes them, added to the last stage; `examples`: the folder of the mined ones,
    which runs may share (default: in `out`); `teacher`: hub name or folder of a larger encoder, for a stage more. After
    the third stage the mean of the weights before and after it is taken (Wortsman et al., "Model soups", ICML 2022),
    after the teacher's the mean of one part before and two after, and after the last one of two and three, which read
    better than either. Deterministic for a seed, a device and a number of threads. Raises `Unavailable` when the base
    model, `start` or the teacher cannot be loaded, `InvalidInput` for the teacher of a reranker.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if computes_bfloat16(torch.device(device).type) else torch.float32
    larger = None if teacher is None else _larger(teacher, objective, seed=seed, dtype=dtype)
    mined = mine(data, examples or out / "examples", seed=seed)
    run = _Run(objective, out, mined, seed=seed, limit=limit, device=device)
    added = read_examples(failures) if failures is not None else []
    torch.manual_seed(seed)
    begun = load_adapter(start) if start is not None else None
    rank = TrainingPlan().rank if begun is None else begun.config.rank
    network = JointNetwork(load_base(run.base, dtype=dtype), rank)
    if begun is not None:
        network.load_trained_state({name: part.float() for name, part in begun.state.items()})
    for number, stage in enumerate(STAGES, start=1):
        before = _copied(network)
        run.stage(network, stage, f"stage-{number}", added=added if stage is STAGES[-1] else [])
    state = averaged([before, _copied(network)])
    if larger is not None:
        network.load_trained_state(state)
        rank, state = TAUGHT_RANK, run.taught(network, larger, added)
    config = AdapterConfig(NAME, BASE, base_sha256(run.base), rank, SERVED_TOKENS, LANGUAGES)
    save_adapter(out, config, state)
    (out / "history.json").write_text(json.dumps(run.history, indent=1) + "\n")
    return config


class _Run:
    """The stages of one run, over the same examples and tokeniser; `history` has the losses of each."""

    def __init__(
        self, objective: str, out: Path, mined: Mapping[str, Sequence[Example]], *, seed: int, limit: int, device: str
    ) -> None:
        self._objective, self._out, self._mined = objective, out, mined
        self._seed, self._limit, self._device = seed, limit, device
        self.base = base_folder(BASE)
        self._words = load_tokenizer(self.base)
        self.history: list[list[dict[str, float]]] = []

    def stage(
        self,
        network: JointNetwork,
        stage: Stage,
        name: str,
        *,
        added: Sequence[Example] = (),
        teacher: Teacher | None = None,
    ) -> None:
        """Trains `network` on the stage's examples and those `added`."""
        plan = TrainingPlan(
            objective=self._objective,
            seed=self._seed,
            pairs_per_step=stage.pairs_per_step,
            epochs=stage.epochs,
            learning_rate=stage.learning_rate,
        )
        chosen = [*examples_of(stage, self._mined, seed=self._seed, limit=self._limit), *added]
        tokenizer = PairTokenizer(self._words, plan.max_tokens)
        training = Training(
            network, tokenizer, chosen, plan, self._out / name, device=self._device, teacher=teacher, untaught=OUR_OWN
        )
        training.run()
        self.history.append(list(training.history))

    def taught(self, network: JointNetwork, larger: JointNetwork, added: Sequence[Example]) -> dict[str, Tensor]:
        """Trains the teacher `larger`, then all weights of `network` by it, and in the end by questions in other words;
        the state of adapters of `TAUGHT_RANK`.
        """
        self.stage(larger, TEACHER_STAGE, "stage-teacher")
        release(network)
        before = _copied(network)
        teacher = Teacher(larger, device=self._device)
        self.stage(network, DISTILLATION_STAGE, "stage-taught", teacher=teacher)
        after = _copied(network)
        network.load_trained_state(averaged([before, after, after]))
        before = _copied(network)
        self.stage(network, OTHER_WORDS_STAGE, "stage-other-words", added=added, teacher=teacher)
        after = _copied(network)
        return narrowed(averaged([before, before, after, after, after]), TAUGHT_RANK)


def _larger(source: str, objective: str, *, seed: int, dtype: torch.dtype) -> JointNetwork:
    """The teacher's network, not trained yet: loaded before the hours of mining and training that come first."""
    if objective == "reranker":
        raise InvalidInput("a teacher says where an answer is and whether there is one; a reranker learns neither")
    torch.manual_seed(seed)
    vocabulary = load_tokenizer(base_folder(BASE)).get_vocab()
    return load_teacher(source, vocabulary, rank=TrainingPlan().rank, dtype=dtype)


def _copied(network: JointNetwork) -> dict[str, Tensor]:
    return {name: part.detach().float().clone() for name, part in network.trained_state().items()}


def averaged(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean, tensor by tensor."""
    return {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}
