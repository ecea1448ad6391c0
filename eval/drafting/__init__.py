"""Question sets drafted from a collection or from feedback, for a person to check; and failures as training data."""

from eval.drafting.drafter import Drafter
from eval.drafting.from_feedback import feedback_drafts, judgements
from eval.drafting.leak_wall import LeakWall
from eval.drafting.writers import JudgeWriter, RuleWriter, Writer

__all__ = ["Drafter", "JudgeWriter", "LeakWall", "RuleWriter", "Writer", "feedback_drafts", "judgements"]
