"""Counters of this process in the text format of Prometheus. Touched on the event loop only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ingest.caches import CacheStats

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Requests by method, route and status, their time by route, and how many are under way."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._seconds: dict[str, float] = {}
        self._count: Counter[str] = Counter()

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that has ended; `route` is a template (`/v1/jobs/{job_id}`), so that series stay few."""
        self._requests[method, route, status] += 1
        self._seconds[route] = self._seconds.get(route, 0.0) + seconds
        self._count[route] += 1

    def render(
        self, generator: Mapping[str, int], caches: Mapping[str, CacheStats], *, credibility_waiting: int
    ) -> str:
        """All series, in a fixed order.

        `generator` are the counts of the language model's generator, by what; `caches` what searching remembers, by
        name; `credibility_waiting` the documents whose credibility is to be worked out.
        """
        lines = ["# TYPE citewell_requests_total counter"]
        for (method, route, status), count in sorted(self._requests.items()):
            labels = f'method="{method}",route="{route}",status="{status}"'
            lines.append(f"citewell_requests_total{{{labels}}} {count}")
        lines.append("# TYPE citewell_request_seconds summary")
        for route, seconds in sorted(self._seconds.items()):
            lines.append(f'citewell_request_seconds_sum{{route="{route}"}} {seconds:.6f}')
            lines.append(f'citewell_request_seconds_count{{route="{route}"}} {self._count[route]}')
        if generator:
            lines.append("# TYPE citewell_generator_events_total counter")
            lines += [
                f'citewell_generator_events_total{{event="{event}"}} {count}'
                for event, count in sorted(generator.items())
            ]
        lines += ["# TYPE citewell_requests_in_flight gauge", f"citewell_requests_in_flight {self.in_flight}"]
        lines += ["# TYPE citewell_credibility_waiting gauge", f"citewell_credibility_waiting {credibility_waiting}"]
        return "\n".join([*lines, *_cache_lines(caches), ""])


def _cache_lines(caches: Mapping[str, CacheStats]) -> list[str]:
    lookups = ["# TYPE citewell_cache_lookups_total counter"]
    entries = ["# TYPE citewell_cache_entries gauge"]
    for name, stats in sorted(caches.items()):
        lookups.append(f'citewell_cache_lookups_total{{cache="{name}",outcome="hit"}} {stats.hits}')
        lookups.append(f'citewell_cache_lookups_total{{cache="{name}",outcome="miss"}} {stats.misses}')
        entries.append(f'citewell_cache_entries{{cache="{name}"}} {stats.entries}')
    return [*lookups, *entries]
