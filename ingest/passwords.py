"""Passwords of encrypted uploads."""

from __future__ import annotations


class Passwords:
    """Passwords of uploads that wait for their job, by version key; in memory only, never written anywhere."""

    def __init__(self) -> None:
        self._by_version: dict[int, str] = {}

    def keep(self, version_pk: int, password: str) -> None:
        self._by_version[version_pk] = password

    def take(self, version_pk: int) -> str | None:
        return self._by_version.pop(version_pk, None)
