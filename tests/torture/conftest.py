"""`--kills N`: how often the crash test kills the service (12 in the usual suite, more by `make torture`)."""

from __future__ import annotations

import pytest

_KILLS = 12


def pytest_addoption(parser: pytest.Parser) -> None:
    """A few kills show most mistakes; many show the rare ones."""
    parser.addoption("--kills", type=int, default=_KILLS, help="kills of the crash test")


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """How often to kill; the option is only known where this folder is named on the command line."""
    return int(request.config.getoption("kills", _KILLS))
