"""The typed Python client of a citewell server: `with Client("http://127.0.0.1:8000") as client: client.ask("…")`."""

from api.client.client import Client
from api.client.errors import ProblemError
from api.client.events import StreamEvent
from api.client.folders import FolderPlan, FolderSync
from api.client.types import (
    Answer,
    Citation,
    Collection,
    CollectionChange,
    Document,
    DocumentCredibility,
    Evaluation,
    EvaluationSubmission,
    Failure,
    GateLine,
    Hit,
    Job,
    JobDocument,
    Metric,
    QuestionSet,
    Receipt,
    Refusal,
    Scores,
    SearchResult,
    StageProgress,
    Submission,
    SubmittedDocument,
)
from api.client.uploads import UploadFile, find_files

__all__ = [
    "Answer",
    "Citation",
    "Client",
    "Collection",
    "CollectionChange",
    "Document",
    "DocumentCredibility",
    "Evaluation",
    "EvaluationSubmission",
    "Failure",
    "FolderPlan",
    "FolderSync",
    "GateLine",
    "Hit",
    "Job",
    "JobDocument",
    "Metric",
    "ProblemError",
    "QuestionSet",
    "Receipt",
    "Refusal",
    "Scores",
    "SearchResult",
    "StageProgress",
    "StreamEvent",
    "Submission",
    "SubmittedDocument",
    "UploadFile",
    "find_files",
]
