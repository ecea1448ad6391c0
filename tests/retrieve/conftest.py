"""The service of the pipeline's tests, for snapshots and search."""

from tests.ingest.conftest import migrated, parser, service

__all__ = ["migrated", "parser", "service"]
