"""The routes of the HTTP contract, a module a noun."""

from fastapi import APIRouter

from api.routes import (
    answers,
    ask,
    collections,
    conversations,
    documents,
    feedback,
    jobs,
    openai,
    operations,
    receipts,
    search,
)

ROUTERS: tuple[APIRouter, ...] = (
    collections.router,
    documents.router,
    receipts.router,
    jobs.router,
    search.router,
    ask.router,
    answers.router,
    feedback.router,
    conversations.router,
    openai.router,
    operations.router,
)

__all__ = ["ROUTERS"]
