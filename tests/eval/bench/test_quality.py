"""The comparison with the better half and with the peers, its table and its plot; and how a peer is run."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from eval.bench import peers
from eval.bench.quality import HYBRID, LEXICAL, VECTOR, comparisons
from eval.bench.quality_report import markdown_table, plot
from eval.retrieval_sets import RetrievalQuestion, RetrievalSet

SCORES = {
    "web": {HYBRID: np.full(4, 0.9), VECTOR: np.full(4, 0.8), LEXICAL: np.full(4, 0.5), "txtai": np.full(4, 0.95)},
    "exam": {HYBRID: np.full(4, 0.7), VECTOR: np.full(4, 0.3), LEXICAL: np.full(4, 0.7), "txtai": np.full(4, 0.6)},
}
SETS = [
    RetrievalSet("web", (), tuple(RetrievalQuestion(str(n), "", {"a": 1}) for n in range(4))),
    RetrievalSet("exam", (), (), measure="nDCG@10"),
]


def test_better_half_is_chosen_set_by_set() -> None:
    """Vectors on one set, words on the other; a peer that was not run is not compared."""
    lines = list(comparisons(SCORES))
    halves = {line["set"]: line["system"] for line in lines if line["against"] == "better half" and "system" in line}
    assert halves == {"web": VECTOR, "exam": LEXICAL}
    overall = {line["against"]: line for line in lines if line["set"] == "mean"}
    assert overall.keys() == {"better half", "txtai"}
    assert overall["txtai"]["ahead"] == 1
    assert np.isclose(overall["better half"]["mean"], 0.05)


def test_table_marks_the_best_and_the_plot_is_well_formed() -> None:
    """Ties are bold together; the measure is named where it is another."""
    lines = markdown_table(SETS, SCORES).splitlines()
    assert lines[2] == "| web, 4 | .900 | .800 | .500 | **.950** |"
    assert lines[3] == "| exam (nDCG@10), 0 | **.700** | .300 | **.700** | .600 |"
    assert lines[4].startswith("| mean | **.800** |")
    assert ElementTree.fromstring(plot(SCORES)).tag.endswith("svg")  # noqa: S314 - made above


def test_peer_ranks_a_task_and_writes_ids(tmp_path: Path) -> None:
    """The one peer that is also a dependency of ours; a passage without a common word is not ranked."""
    passages = {"a": "red fox", "b": "blue whale", "c": "green frog", "d": "grey wolf"}
    (tmp_path / "task.json").write_text(json.dumps({"passages": passages, "questions": {"q": "which fox"}}))
    np.savez(tmp_path / "vectors.npz", passages=np.eye(4, dtype=np.float32), questions=np.eye(1, 4, dtype=np.float32))
    peers.main([str(tmp_path), str(tmp_path / "out.json"), "--system", "rank_bm25"])
    assert json.loads((tmp_path / "out.json").read_text()) == {"q": ["a"]}
