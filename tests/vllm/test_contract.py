"""The real vLLM passes the contract suite that the scripted server passes."""

from __future__ import annotations

import pytest

from tests.generate.llm.contract import Endpoint, ServerContract
from tests.vllm.conftest import VllmServer


class TestVllm(ServerContract):
    """On the CPU."""

    @pytest.fixture
    def endpoint(self, vllm: VllmServer) -> Endpoint:
        return Endpoint(vllm.url, vllm.running, vllm.finished)
