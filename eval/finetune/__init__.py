"""Training of the embedded reranker and reader on the serving model code (`ingest.models`)."""
