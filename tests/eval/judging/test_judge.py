"""Schemas as the judge's server gets them."""

from __future__ import annotations

from eval.judging.judge import bounded


def test_every_part_of_a_schema_has_an_end() -> None:
    """Nested ones too; what has a bound keeps it, and a property that is called `type` is no type."""
    schema = {
        "type": "object",
        "properties": {
            "type": {"type": "string", "maxLength": 5},
            "items": {"type": "array", "items": {"$ref": "#/$defs/One"}},
        },
        "$defs": {"One": {"type": "object", "properties": {"verdict": {"type": "integer"}}}},
        "required": ["items"],
    }
    found = bounded(schema)
    assert found["properties"]["type"] == {"type": "string", "maxLength": 5}
    assert found["properties"]["items"]["maxItems"] == 32
    assert found["$defs"]["One"]["properties"]["verdict"] == {"type": "integer", "minimum": 0, "maximum": 10}
    assert found["required"] == ["items"]
