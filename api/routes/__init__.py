"""The routes of the HTTP contract, a module a noun."""

from fastapi import APIRouter

from api.routes import (
    answers,
    ask,
    calibrations,
    collections,
    conversations,
    documents,
    drafts,
    evaluations,
    feedback,
    jobs,
    mcp,
    openai,
    operations,
    question_sets,
    receipts,
    search,
)

ROUTERS: tuple[APIRouter, ...] = (
    collections.router,
    documents.router,
    drafts.router,
    receipts.router,
    jobs.router,
    search.router,
    ask.router,
    answers.router,
    feedback.router,
    conversations.router,
    openai.router,
    question_sets.router,
    evaluations.router,
    calibrations.router,
    mcp.router,
    operations.router,
)

__all__ = ["ROUTERS"]
