"""Answers to questions in other words: `python -m eval.bench.other_words --data DIR`.

The questions of our own over documents that nothing was trained or fitted on (`eval.written_sets`, report files):
mixed files, English and Chinese, and Chinese news. Everything is in place; the answers that the
shipped weights would give. For each threshold the share answered of what the documents answer, of these the right
ones (the answer holds the expected words), and the share answered of what they do not answer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from eval import fit_chinese_reading
from eval.bench.few_passages import Judged, auroc, judged, share
from eval.fit_reading import Asker
from eval.measures import is_correct_answer
from eval.public_sets import SetPart
from eval.written_sets import FILES_REPORT, FILES_ZH_REPORT, NEWS_REPORT, WrittenSet, load_written
from generate.chinese.assessor import confidence_features, quoted_spans
from generate.chinese.reader import ChineseWeights
from generate.reading import ReadingWeights
from ingest.models import JointReader, ModelRuntime, load_embedder

SETS = (FILES_REPORT, NEWS_REPORT, FILES_ZH_REPORT)
_THRESHOLDS = (0.3, 0.4, 0.5, 0.6)
_WEIGHTS = Path(__file__).parents[2] / "data" / "models"


class Bench:
    """Asks questions with the weights given."""

    def __init__(self, reading: ReadingWeights, chinese: ChineseWeights, adapter: Path) -> None:
        self._reading, self._chinese = reading, chinese
        self._encoder, self._runtime = load_embedder(fit_chinese_reading.EMBEDDER), ModelRuntime()
        self._asker = Asker(self._encoder, JointReader.load(adapter, encoder=self._encoder), self._runtime)

    def ask(self, part: SetPart, *, chinese: bool) -> list[Judged]:
        """One row a question, in their order but for Chinese ones without a span."""
        if chinese:
            return list(self._in_chinese(part))
        asked = self._asker.ask(part, (), part.questions)
        return [judged(one, self._reading, frozenset()) for one in asked]

    def _in_chinese(self, part: SetPart) -> Iterator[Judged]:
        for one in fit_chinese_reading.asked(part, self._encoder, self._runtime):
            quoted = quoted_spans(one.read, self._chinese.spans)
            confidence = self._chinese.confidence.probability(confidence_features(one.read, quoted))
            right = is_correct_answer(quoted[0].quote.text, one.question.answers)
            yield Judged(len(one.read.sentences), one.question.answerable, confidence, right)

    def close(self) -> None:
        self._runtime.close()


def table(rows: Sequence[Judged]) -> str:
    """One line for each threshold."""
    lines = ["| threshold | answered where answerable | of these right | answered of the others |", "|---|---|---|---|"]
    answerable = [row for row in rows if row.answerable]
    others = [row for row in rows if not row.answerable]
    for threshold in _THRESHOLDS:
        given = [row for row in answerable if row.confidence >= threshold]
        cells = (
            f"{threshold:.1f}",
            share(len(given), len(answerable)),
            share(sum(row.right for row in given), len(given)),
            share(sum(row.confidence >= threshold for row in others), len(others)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def summary(name: str, rows: Sequence[Judged]) -> str:
    """How many there are, how many best answers are right, and how well the confidence tells them from wrong ones."""
    answerable = sum(row.answerable for row in rows)
    best = share(sum(row.right for row in rows if row.answerable), answerable)
    return f"{name}: {answerable} answerable of {len(rows)}, best answer right {best}, AUROC {auroc(rows)}"


def _chinese(written: WrittenSet) -> bool:
    return written in (NEWS_REPORT, FILES_ZH_REPORT)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure answers to questions in other words.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--adapter", type=Path, default=_WEIGHTS / "minilm-reader", help="default: the shipped one")
    parser.add_argument("--weights", type=Path, default=_WEIGHTS / "reading.json", help="as eval.fit_reading writes it")
    parser.add_argument("--chinese", type=Path, default=_WEIGHTS / "chinese_reading.json")
    arguments = parser.parse_args()
    reading, chinese = ReadingWeights.load(arguments.weights), ChineseWeights.load(arguments.chinese)
    bench = Bench(reading, chinese, arguments.adapter)
    for written in SETS:
        rows = bench.ask(load_written(written, arguments.data), chinese=_chinese(written))
        sys.stdout.write(f"{summary(written.name, rows)}\n{table(rows)}\n\n")
        sys.stdout.flush()
    bench.close()


if __name__ == "__main__":
    main()
