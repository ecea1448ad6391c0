"""Receipts: proof of deletion."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import Reader
from api.dependencies import PROBLEM, ServiceDep
from api.json_body import StrictRoute
from api.models import ReceiptResponse
from ingest.errors import NotFound

router = APIRouter(prefix="/v1/receipts", tags=["documents"], route_class=StrictRoute, responses=PROBLEM)


@router.get("/{receipt_id}")
def get_receipt(receipt_id: str, caller: Reader, service: ServiceDep) -> ReceiptResponse:
    """What a deletion has taken away so far; final once its state is `purged`."""
    receipt = service.deletion.receipt(receipt_id)
    if not caller.may_use(receipt.collection):
        raise NotFound(f"receipt {receipt_id[:80]!r} does not exist", code="receipt_not_found")
    return ReceiptResponse.of(receipt)
