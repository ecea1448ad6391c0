"""Second opinions on the answers of a run, by ragas: without a language model always, with one where a judge is set.

They advise and never gate. What ragas would get wrong is kept from it: refusals and failures are not judged, each
score has an outcome of its own, and nothing is remembered under a key that leaves out who judged.
"""

from eval.judging.judge import Judge, ServerJudge
from eval.judging.opinions import SecondOpinions
from eval.judging.scores import Score, Scores

__all__ = ["Judge", "Score", "Scores", "SecondOpinions", "ServerJudge"]
