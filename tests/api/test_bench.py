"""The bench's systems, small and with fake models: each is broken in the way that its name says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from api import bootstrap
from api.bench import variants
from api.bench.observe import observe
from api.bench.variants import Models, folder_of
from eval.bench.gate_play import expected, level
from eval.bench.gate_questions import GateQuestions, evaluation_question
from eval.bench.observed import System
from eval.passage_index import Passage
from eval.public_sets import SetQuestion
from retrieve.analysis import analyse_document
from tests.fakes import HashingEncoder, OverlapReader

PLACES = ("Norra", "Tolm", "Ewen", "Skarva", "Muriel", "Fulmar")


class FakeModels:
    """An encoder and a reader that need no weights."""

    def __init__(self) -> None:
        self.encoder = HashingEncoder("all-MiniLM-L6-v2", None)
        self.reader = OverlapReader(sureness=14.0)
        cast(Any, self.reader).anew = False


def made_part() -> GateQuestions:
    """Six lighthouses, each with a question, and four questions about what is not there."""
    passages, questions = [], []
    for n, place in enumerate(PLACES):
        text = f"The lighthouse of {place} was finished {1850 + n}. It is painted red and white."
        passages.append(Passage(f"squad2-{n}", place, text))
        start = text.index(str(1850 + n))
        asked = f"When was the lighthouse of {place} finished?"
        questions.append(SetQuestion(f"q{n}", asked, (str(1850 + n),), True, (f"squad2-{n}",), None, (start,), None))
    for n in range(4):
        questions.append(SetQuestion(f"z{n}", f"What does zebra {n} weigh?", (), False, (), f"squad2-{n}", (), None))
    return GateQuestions(tuple(map(evaluation_question, questions)), tuple(passages))


def rate(system: System, metric: str, temperature: float = 0.0) -> float:
    return level([expected(one, metric, temperature) for one in system.observed.values()])


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sound system's observations and data directory."""
    folder = tmp_path_factory.mktemp("bench")
    observe("baseline", made_part(), folder, cast(Models, FakeModels())).store(folder / "baseline.json")
    return folder


def broken(work: Path, name: str) -> System:
    return observe(name, made_part(), work, cast(Models, FakeModels()))


def test_what_is_observed_belongs_to_one_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same one finds its folder again; other settings, or other weights that judge, have another."""
    models, part = cast(Models, FakeModels()), made_part()
    own = folder_of(tmp_path, part, models)
    assert folder_of(tmp_path, part, models) == own
    with monkeypatch.context() as changed:
        changed.setattr(variants, "_SYSTEM", {**variants._SYSTEM, "rerank_candidates": 5})
        assert folder_of(tmp_path, part, models) != own
    monkeypatch.setattr(bootstrap, "judging_revision", lambda: "fitted anew")
    assert folder_of(tmp_path, part, models) != own


def test_words_are_indexed_otherwise_also_where_they_are_remembered() -> None:
    """Without numbers, and without stems; afterwards as before."""
    sound = analyse_document("finished in 1850")
    assert sound[0] == "finish"
    assert "1850" in sound
    with variants.variants()["numbers not indexed"].patched():
        assert analyse_document("finished in 1850") == [term for term in sound if term != "1850"]
    with variants.variants()["analyser off"].patched():
        assert "finished" in analyse_document("finished in 1850")
    assert analyse_document("finished in 1850") == sound


@pytest.mark.parametrize("name", variants.variants())
def test_what_is_planted_fits_the_code(name: str) -> None:
    """A part that a plant replaces is there to be replaced."""
    with variants.variants()[name].patched():
        pass


def test_the_sound_system_is_sound(work: Path) -> None:
    """Evidence is found and quoted; drawn rows come with their logits; a live ask agrees with a stored one."""
    sound = System.load(work / "baseline.json")
    assert (rate(sound, "retrieval_coverage"), rate(sound, "error_rate")) == (1.0, 0.0)
    assert rate(sound, "task_success") > 0.4
    assert all(len(one.drawn) == max(len(one.logits), 1) for one in sound.observed.values())
    assert len(sound.live) == 1


def test_chunks_are_lost_where_documents_stay(work: Path) -> None:
    """Nothing is found; what was quoted is still in the documents, and can be answered from the old passages."""
    lost = broken(work, "gold chunks dropped")
    assert rate(lost, "retrieval_coverage") == 0
    assert set(lost.replays.values()) == {(True, True, True)}


def test_swapped_facts_are_in_the_documents(work: Path) -> None:
    """Passages are found, answers are wrong, and what was quoted is gone."""
    swapped = broken(work, "facts swapped")
    assert rate(swapped, "retrieval_coverage") > 0.5
    assert rate(swapped, "task_success") < rate(System.load(work / "baseline.json"), "task_success")
    assert {quotes for _, _, quotes in swapped.replays.values()} == {False}


def test_citations_off_by_one_fail_their_check(work: Path) -> None:
    """No claim is supported, with either generator, and a replay shows it."""
    shifted = broken(work, "citations off by one")
    assert rate(shifted, "evidence_rate") == rate(shifted, "evidence_rate", 1.0) == 0
    assert {(candidates, generation) for candidates, generation, _ in shifted.replays.values()} == {(False, False)}


def test_asks_fail_where_asks_fail(work: Path) -> None:
    """Each question has the row of an ask that did not come through."""
    failing = broken(work, "asks failing")
    rows = [one.failed for one in failing.observed.values()]
    assert all(row is not None and row.decision == "error" and row.success is False for row in rows)
