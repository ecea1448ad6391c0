"""The catalogue: source of truth for collections, documents, versions, chunks, jobs and the index-change log."""

from ingest.catalogue.engine import Catalogue
from ingest.catalogue.schema import Key, Time, metadata

__all__ = ["Catalogue", "Key", "Time", "metadata"]
