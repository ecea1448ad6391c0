"""Benchmarks: measured over HTTP like any client would, or on the parts; never asserted in a timed test."""
