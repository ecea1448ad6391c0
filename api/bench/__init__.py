"""Benchmarks that open whole services, sound ones and broken ones; what is seen of them is judged in `eval.bench`."""
