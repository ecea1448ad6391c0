"""The benchmark of memory runs to its end."""

from __future__ import annotations

from eval.bench.ingestion_memory import MadeUpEncoder, measure


def test_memory_is_reported_for_each_step() -> None:
    """Before, and after every so many documents; all of them were ingested."""
    report = measure(MadeUpEncoder(), documents=160, every=30)
    assert len(report["resident_mib"]) == len(report["not_mapped_mib"]) == 3
    assert all(0 < rest <= whole for rest, whole in zip(report["not_mapped_mib"], report["resident_mib"], strict=True))
