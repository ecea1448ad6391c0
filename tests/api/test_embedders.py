"""Which embedding models a service has, and which of them judges Chinese answers."""

from __future__ import annotations

import pytest

from api import bootstrap
from api.bootstrap import Encoders
from api.settings import Settings
from ingest.models import Encoder, TwoScriptEncoder
from ingest.settings import packaged_embedding_model
from tests.fakes import HashingEncoder


def load(name: str, revision: str | None) -> Encoder:
    """A fake of that name; of two names, two side by side."""
    first, joint, second = name.partition("+")
    latin = HashingEncoder(first, revision)
    return TwoScriptEncoder(latin, HashingEncoder(second)) if joint else latin


def test_what_is_loaded_for_two_serves_one(settings: Settings) -> None:
    """Collections embedded by one of the two, and the judging of Chinese answers, share what is in memory."""
    wanted = settings.model_copy(update={"embedding_model": "all-MiniLM-L6-v2+multilingual-e5-small"})
    encoders = Encoders(wanted, load)
    assert isinstance(encoders.default, TwoScriptEncoder)
    assert encoders.multilingual() is encoders.named("multilingual-e5-small") is encoders.default.other
    assert encoders.named("all-MiniLM-L6-v2") is encoders.default.latin


@pytest.mark.parametrize("embedder", ["BAAI/bge-m3", "all-MiniLM-L6-v2+BAAI/bge-small-zh"])
def test_whatever_embeds_the_packaged_model_judges(settings: Settings, embedder: str) -> None:
    """The weights are fitted on its cosines."""
    encoders = Encoders(settings.model_copy(update={"embedding_model": embedder}), load)
    multilingual = encoders.multilingual()
    assert multilingual is not None
    assert multilingual.name == "multilingual-e5-small"


def test_without_the_package_the_service_has_the_first_model_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the second is asked for."""
    monkeypatch.setattr(bootstrap, "weights_file", lambda: None)
    monkeypatch.setattr("ingest.settings.find_spec", lambda name: None)
    alone = settings.model_copy(update={"embedding_model": packaged_embedding_model()})
    encoders = Encoders(alone, load)
    assert (encoders.default.name, encoders.multilingual()) == ("all-MiniLM-L6-v2", None)
