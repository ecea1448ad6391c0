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
    search.router,  # the framework tries one route after the other: those of which most is asked come first
    ask.router,
    collections.router,
    documents.router,
    drafts.router,
    receipts.router,
    jobs.router,
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
