"""What counts as support: the same statement by an independent document, and nothing less."""

from __future__ import annotations

import pytest

from api.bootstrap import Service
from retrieve.corroboration import key_statements, statement_of
from tests.ingestion import ingest, ingest_texts, upload

FERRY = "The last ferry to Amberholm leaves pier two at 21:30 in summer."


@pytest.mark.parametrize(
    ("one", "other", "supported"),
    [
        (FERRY, "In summer the last ferry to Amberholm leaves from pier two at 21:30, weather permitting.", True),
        (FERRY, "The last ferry to Amberholm leaves pier two at 22:30 in summer.", False),
        (FERRY, "The last ferry to Grimholm leaves pier two at 21:30 in summer.", False),
        (FERRY, "The last ferry to Amberholm never leaves pier two at 21:30 in summer.", False),
        (FERRY, "Amberholm has a pier, and 21:30 is late.", False),
        ("The crew has nine members on board the ferry.", "The crew has ten members on board the ferry.", False),
        ("最后一班渡轮晚上九点三十分离开二号码头。", "最后一班渡轮于晚上九点三十分离开二号码头。", True),
        ("最后一班渡轮晚上九点三十分离开二号码头。", "最后一班渡轮没有在晚上九点三十分离开二号码头。", False),
        ("2023年全县粮食产量达到35.6万吨。", "2022年全县粮食产量达到35.6万吨。", False),
    ],
)
def test_a_statement_is_supported_by_the_same_statement_only(one: str, other: str, supported: bool) -> None:
    """Figures, names and sense have to agree; a shared topic is not enough."""
    assert statement_of(one).is_supported_by(statement_of(other)) is supported


def test_key_statements_are_those_that_can_be_checked() -> None:
    """Names and figures come before talk; in text order, and never more than asked for."""
    text = f"It was a lovely day for everybody. {FERRY} Why not? The museum of Grimholm opened in 1931 with 12 rooms."
    assert key_statements(text, 2) == [
        statement_of(FERRY),
        statement_of("The museum of Grimholm opened in 1931 with 12 rooms."),
    ]
    assert key_statements("Yes. No.", 3) == []


def corroboration(service: Service, document_id: str) -> float | None:
    """The component after all marks are worked off."""
    service.credibility.settle()
    return service.documents.get(service.collections.get("default"), document_id).credibility.corroboration


def test_support_comes_and_goes_with_other_documents(service: Service) -> None:
    """Two independent documents support each other; a copy of one counts nothing; deleting takes it away."""
    ingest_texts(service, {"a.txt": FERRY, "noise.txt": "Gulls are white."})
    assert corroboration(service, "a.txt") == 0.5
    ingest_texts(service, {"b.txt": f"Timetable of the harbour office. {FERRY} Bicycles are welcome on all decks."})
    assert corroboration(service, "a.txt") == 0.75
    assert corroboration(service, "b.txt") == 0.75
    ingest_texts(service, {"copy.txt": f"Timetable of the harbour office. {FERRY} Bicycles are welcome on all decks. "})
    assert corroboration(service, "a.txt") == 0.75
    assert corroboration(service, "copy.txt") == 0.75
    ingest_texts(service, {"b.txt": "Closed.", "copy.txt": "Closed too."})
    assert corroboration(service, "a.txt") == 0.5
    assert corroboration(service, "b.txt") is None


def test_a_mail_is_not_supported_by_its_attachment(service: Service) -> None:
    """They come from one hand."""
    mail = (
        f"From: a@example.org\nSubject: ferry\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n"
        f"--x\nContent-Type: text/plain\n\n{FERRY}\n--x\nContent-Type: text/plain\n"
        f"Content-Disposition: attachment; filename=note.txt\n\n{FERRY} See you there.\n--x--\n"
    )
    ingest(service, [upload(service, "m.eml", mail.encode())])
    assert corroboration(service, "m.eml/note.txt") == 0.5
    assert corroboration(service, "m.eml") == 0.5


def test_a_hidden_document_supports_nothing_that_others_see(service: Service) -> None:
    """Its support would tell what it says; the other way round it may."""
    ingest(service, [upload(service, "board.txt", f"Board only. {FERRY}".encode(), access=["board"])])
    ingest_texts(service, {"a.txt": FERRY})
    assert corroboration(service, "a.txt") == 0.5
    assert corroboration(service, "board.txt") == 0.75
