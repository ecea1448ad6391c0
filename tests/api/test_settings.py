"""Settings and their documentation."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from api.settings import Settings, settings_markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


def test_the_page_of_settings_is_generated_from_the_code() -> None:
    """A setting that is added, renamed or given another default changes docs/settings.md too."""
    assert PAGE.read_text() == settings_markdown()


def test_every_setting_says_what_it_means() -> None:
    """Each field has one line of help, and numbers of bytes, seconds and tokens name their unit."""
    for name, field in Settings.model_fields.items():
        assert field.description, name
        if name.endswith(("_s", "_bytes", "_tokens", "_days")):
            assert isinstance(field.json_schema_extra, dict), name
            assert field.json_schema_extra["unit"], name


def test_environment_variables_set_every_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """One prefix for all layers."""
    monkeypatch.setenv("CITEWELL_CHUNK_TOKENS", "128")
    monkeypatch.setenv("CITEWELL_FUSION", "rrf")
    monkeypatch.setenv("CITEWELL_ANSWER_THRESHOLD", "0.7")
    monkeypatch.setenv("CITEWELL_PORT", "9000")
    settings = Settings()
    assert (settings.chunk_tokens, settings.fusion, settings.answer_threshold, settings.port) == (128, "rrf", 0.7, 9000)


def test_a_setting_out_of_range_is_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad values stop the service instead of surfacing later."""
    monkeypatch.setenv("CITEWELL_ANSWER_THRESHOLD", "1.5")
    with pytest.raises(ValidationError, match="answer_threshold"):
        Settings()
