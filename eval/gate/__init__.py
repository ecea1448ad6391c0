"""The regression gate: did this system become worse on these questions, beyond the noise of asking again?"""

from eval.gate.comparability import differences
from eval.gate.judgement import GateLine, GateResult, judge
from eval.gate.ladder import RERUNS, Diagnosis, Replays, diagnose, flagged

__all__ = ["RERUNS", "Diagnosis", "GateLine", "GateResult", "Replays", "diagnose", "differences", "flagged", "judge"]
