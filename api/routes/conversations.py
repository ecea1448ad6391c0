"""Conversations: the turns that a key has asked under one name."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.auth import Reader
from api.dependencies import PROBLEM, ServiceDep
from api.json_body import StrictRoute
from api.models import ConversationResponse

router = APIRouter(
    prefix="/v1/conversations/{conversation_id}", tags=["answers"], route_class=StrictRoute, responses=PROBLEM
)


@router.get("")
def get_conversation(conversation_id: str, caller: Reader, service: ServiceDep) -> ConversationResponse:
    """The turns, oldest first, as far as this key may use their collections."""
    turns = service.conversations.turns(conversation_id, key_id=caller.key_id)
    return ConversationResponse.of(conversation_id, [turn for turn in turns if caller.may_use(turn.collection)])


@router.delete("", status_code=204)
def delete_conversation(conversation_id: str, caller: Reader, service: ServiceDep) -> Response:
    """Delete every turn, with its answer and its trace."""
    service.conversations.delete(conversation_id, key_id=caller.key_id)
    return Response(status_code=204)
