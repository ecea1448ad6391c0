"""The sentences with which a document is given up: what came, and what its owner can do about it."""

from __future__ import annotations

from ingest.errors import ExtractionFailed


def broken(filename: str, reason: str) -> ExtractionFailed:
    """The file is damaged, or is not what its name says; `reason` is a clause without a full stop."""
    return ExtractionFailed(
        f"{filename} cannot be read: {reason}; open it in its own program, save it again and upload the copy",
        code="broken_document",
    )


def empty(filename: str) -> ExtractionFailed:
    """The file is sound and holds no text at all."""
    return ExtractionFailed(
        f"{filename} contains no text; if it should, it is damaged: save it again and upload that copy",
        code="empty_document",
    )


def no_text_layer(filename: str, reason: str) -> ExtractionFailed:
    """Every page is a picture, and `reason` says why no text was recognised on any."""
    return ExtractionFailed(f"{filename} has pictures of pages but no text layer, and {reason}", code="no_text_layer")


def password_required(filename: str) -> ExtractionFailed:
    """The file is encrypted, could be opened with a password, and none was given."""
    return ExtractionFailed(
        f"{filename} is encrypted; upload it again together with its password", code="password_required"
    )


def wrong_password(filename: str) -> ExtractionFailed:
    """A password was given and does not open the file."""
    return ExtractionFailed(
        f"the password given for {filename} does not open it; check it and upload again",
        code="wrong_password",
    )


def encrypted_office(filename: str) -> ExtractionFailed:
    """The file is encrypted in a way that no parser here can undo, whatever the password."""
    return ExtractionFailed(
        f"{filename} is protected by a password, and passwords are supported for PDF only;"
        " save a copy without the password and upload that",
        code="password_required",
    )


def too_large(filename: str, what: str, limit: int, unit: str) -> ExtractionFailed:
    """The file crosses one of the `ParseLimits`, for example `what` = "has more than", `unit` = "pages"."""
    return ExtractionFailed(
        f"{filename} {what} {limit:,} {unit}; split it, or ask the operator to raise the limit",
        code="too_large",
    )
