# SPDX-License-Identifier: EUPL-1.2
"""Keys at rest: sealed to their place, under a key outside the database."""

import logging
import os

import pytest

from gateway.errors import KeyFileError, StoreError
from gateway.keys import Keyring, load_key_file
from gateway.store import open_store
from tests.gateway.nodes import Node, new_store

KEY = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
PLACE = {"dev_eui": "70b3d57ed1000001", "column": "sessions.nwk_s_key", "session": 4}


class TestKeyring:
    def test_a_sealed_key_opens_in_its_place(self):
        keyring = Keyring(bytes(32))

        sealed = keyring.seal(KEY, **PLACE)

        assert keyring.open(sealed, **PLACE) == KEY
        assert KEY not in sealed
        assert len(sealed) == 12 + 16 + 16

    def test_the_same_key_is_sealed_differently_each_time(self):
        keyring = Keyring(bytes(32))

        assert keyring.seal(KEY, **PLACE) != keyring.seal(KEY, **PLACE)

    @pytest.mark.parametrize(
        "change", [{"dev_eui": "70b3d57ed1000002"}, {"column": "sessions.app_s_key"}, {"session": 5}]
    )
    def test_it_does_not_open_in_another_place(self, change):
        keyring = Keyring(bytes(32))
        sealed = keyring.seal(KEY, **PLACE)

        with pytest.raises(StoreError):
            keyring.open(sealed, **(PLACE | change))

    @pytest.mark.parametrize("sealed", [b"", bytes(20), bytes(44)])
    def test_it_does_not_open_when_changed(self, sealed):
        with pytest.raises(StoreError):
            Keyring(bytes(32)).open(sealed, **PLACE)


class TestKeyFile:
    def test_it_is_made_once_for_its_owner_only(self, tmp_path):
        path = tmp_path / "gateway.key"

        first = load_key_file(path, create=True)

        assert path.stat().st_mode & 0o777 == 0o600
        assert len(first) == 32
        assert load_key_file(path, create=True) == first

    def test_two_gateways_have_different_keys(self, tmp_path):
        assert load_key_file(tmp_path / "a", create=True) != load_key_file(tmp_path / "b", create=True)

    @pytest.mark.parametrize("text", ["", "hello", "00" * 31, "äö"])
    def test_another_content_is_refused(self, tmp_path, text):
        path = tmp_path / "gateway.key"
        path.write_text(text, "utf-8")
        path.chmod(0o600)

        with pytest.raises(KeyFileError, match="64 hex digits"):
            load_key_file(path, create=True)

    def test_a_file_that_others_can_read_is_refused(self, tmp_path):
        path = tmp_path / "gateway.key"
        load_key_file(path, create=True)
        path.chmod(0o644)

        with pytest.raises(KeyFileError, match="chmod 600"):
            load_key_file(path, create=False)

    def test_a_lost_key_file_is_not_silently_replaced(self, tmp_path):
        config, store = new_store(tmp_path, [Node()])
        store.close()
        config.gateway.key_file.unlink()

        with pytest.raises(KeyFileError, match="restore it from the backup"):
            open_store(config.gateway.database, config.gateway.key_file)

        assert not config.gateway.key_file.exists()

    def test_the_key_file_of_another_database_is_refused(self, tmp_path):
        config, store = new_store(tmp_path, [Node()])
        store.close()
        config.gateway.key_file.unlink()
        load_key_file(config.gateway.key_file, create=True)

        with pytest.raises(StoreError, match="does not open with this key file"):
            open_store(config.gateway.database, config.gateway.key_file)


def test_no_key_stands_in_the_database_or_in_a_log(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    node = Node()
    _, store = new_store(tmp_path, [node])
    secret = os.urandom(16)
    with store.transaction() as ledger:
        ledger.record_join(node.dev_eui, 0, 1, 0x01000000, secret, secret)
        (session,) = ledger.sessions(0x01000000)
        device = ledger.device(node.dev_eui)
        logging.getLogger("test").info("%r %r %s", session, device, store)
    store.close()

    files = b"".join(path.read_bytes() for path in tmp_path.glob("gateway.sqlite3*"))

    assert session.nwk_s_key == secret
    for key in (secret, node.app_key):
        assert key not in files
        assert key.hex() not in caplog.text
        assert repr(key) not in caplog.text
