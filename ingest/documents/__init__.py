"""Documents, their versions, and how both come into the catalogue."""

from ingest.documents.checks import (
    ID_CHARS_MAX,
    RESERVED_ENDINGS,
    check_access,
    check_document_id,
    check_metadata,
    check_origin,
    new_id,
    visible,
)
from ingest.documents.comparison import Comparison
from ingest.documents.documents import Documents
from ingest.documents.lines import LineUpload, record_lines
from ingest.documents.model import (
    DocumentRecord,
    Original,
    Submission,
    SubmittedDocument,
    Upload,
    VersionText,
)
from ingest.documents.records import load_version_text
from ingest.documents.submission import check_collection, outcome
from ingest.documents.versions import fail_version, put_version
from ingest.passwords import Passwords

__all__ = [
    "ID_CHARS_MAX",
    "RESERVED_ENDINGS",
    "Comparison",
    "DocumentRecord",
    "Documents",
    "LineUpload",
    "Original",
    "Passwords",
    "Submission",
    "SubmittedDocument",
    "Upload",
    "VersionText",
    "check_access",
    "check_collection",
    "check_document_id",
    "check_metadata",
    "check_origin",
    "fail_version",
    "load_version_text",
    "new_id",
    "outcome",
    "put_version",
    "record_lines",
    "visible",
]
