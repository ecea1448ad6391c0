"""API keys in the catalogue."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from api.bootstrap import Service
from api.keys import Keys
from api.schema import api_keys
from ingest.errors import InvalidInput, NotFound


@pytest.fixture
def keys(service: Service) -> Keys:
    """The keys of a fresh service: none."""
    return Keys(service.catalogue)


def test_a_key_is_found_by_its_secret_only(keys: Keys, service: Service) -> None:
    """The secret itself is stored nowhere."""
    key_id, secret = keys.create("ci", scopes=["read"], collections=["a"], tags=["hr"])
    found = keys.find(secret)
    assert found is not None
    assert (found.key_id, found.scopes, found.collections, found.tags) == (key_id, ("read",), ("a",), ("hr",))
    assert keys.find(secret + "x") is None
    with service.catalogue.read() as connection:
        assert secret not in str(connection.execute(select(api_keys)).all())


def test_a_revoked_key_opens_nothing_and_keys_still_exist(keys: Keys) -> None:
    """Else revoking the last key would open the service to everyone."""
    assert not keys.exist()
    key_id, secret = keys.create("ci", scopes=["admin"])
    keys.revoke(key_id)
    keys.revoke(key_id)
    assert keys.find(secret) is None
    assert keys.list()[0].revoked_at is not None
    assert keys.exist()
    with pytest.raises(NotFound):
        keys.revoke("key_nix")


def test_a_bad_key_names_every_wrong_field(keys: Keys) -> None:
    """Name, scopes and tags are checked before anything is stored."""
    with pytest.raises(InvalidInput) as refused:
        keys.create(" ", scopes=["fly"])
    assert [problem.field for problem in refused.value.problems] == ["name", "scopes"]
    with pytest.raises(InvalidInput):
        keys.create("ci", scopes=["read"], tags=[""])
    assert keys.list() == []
