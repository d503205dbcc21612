# SPDX-License-Identifier: EUPL-1.2
"""Commands and events on MQTT."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.downlink import (
    DownlinkCommand,
    DownlinkEvent,
    MalformedCommand,
    decode_command,
    encode_command,
    encode_event,
)
from decoders.lorawan.errors import FieldRange

COMMAND = {
    "id": "watering-17",
    "dev_eui": "70b3d57ed1000001",
    "f_port": 21,
    "payload": "0102ff",
    "confirmed": True,
    "expires_at": 1_780_000_000,
}


class TestCommand:
    def test_all_fields_are_read(self):
        command = decode_command(json.dumps(COMMAND).encode())

        assert command == DownlinkCommand("watering-17", "70b3d57ed1000001", 21, b"\x01\x02\xff", True, 1_780_000_000.0)

    def test_confirmed_may_be_left_out(self):
        fields = {key: value for key, value in COMMAND.items() if key != "confirmed"}

        assert decode_command(json.dumps(fields).encode()).confirmed is False

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"dev_eui": "70B3D57ED1000001"}, "dev_eui"),
            ({"dev_eui": 7}, "dev_eui"),
            ({"f_port": 0}, "f_port"),
            ({"f_port": 224}, "f_port"),
            ({"f_port": True}, "f_port"),
            ({"payload": "0"}, "payload"),
            ({"payload": "00" * 52}, "payload"),
            ({"payload": None}, "payload"),
            ({"confirmed": 1}, "confirmed"),
            ({"expires_at": "soon"}, "expires_at"),
            ({"expires_at": float("nan")}, "expires_at"),
            ({"expires_at": 0}, "expires_at"),
            ({"more": 1}, "nothing else"),
        ],
    )
    def test_what_is_wrong_is_named_and_the_command_too(self, change, problem):
        with pytest.raises(MalformedCommand, match=problem) as malformed:
            decode_command(json.dumps(COMMAND | change).encode())

        assert malformed.value.command_id == "watering-17"

    @pytest.mark.parametrize(
        "data", [b"", b"[]", b"{}", b"\xff", b"[" * 1900, b" " * 3000, b'{"id": "a b"}', b'{"id": 5}']
    )
    def test_without_a_usable_id_nobody_can_be_told(self, data):
        with pytest.raises(MalformedCommand) as malformed:
            decode_command(data)

        assert malformed.value.command_id == ""

    @given(
        st.builds(
            DownlinkCommand,
            st.from_regex(r"\A[A-Za-z0-9_.:-]{1,64}\Z"),
            st.integers(0, (1 << 64) - 1).map(lambda number: f"{number:016x}"),
            st.integers(1, 223),
            st.binary(max_size=51),
            st.booleans(),
            st.floats(1, 4e9),
        )
    )
    def test_every_command_survives_the_way(self, command):
        assert decode_command(encode_command(command).encode()) == command

    @given(
        st.binary(max_size=200)
        | st.dictionaries(st.sampled_from([*COMMAND, "x"]), st.none() | st.integers() | st.text())
    )
    def test_anything_is_a_command_or_malformed(self, data):
        raw = data if isinstance(data, bytes) else json.dumps(COMMAND | data).encode()
        try:
            command = decode_command(raw)
        except MalformedCommand:
            return
        assert isinstance(command, DownlinkCommand)


class TestEvent:
    def test_it_says_what_became_of_a_command(self):
        event = DownlinkEvent("watering-17", "70b3d57ed1000001", "failed", "not_acknowledged")

        assert json.loads(encode_event(event, 1_780_000_000.5)) == {
            "event": "downlink",
            "id": "watering-17",
            "dev_eui": "70b3d57ed1000001",
            "state": "failed",
            "reason": "not_acknowledged",
            "at": 1_780_000_000.5,
        }

    def test_a_state_that_is_none_is_our_mistake(self):
        with pytest.raises(FieldRange):
            encode_event(DownlinkEvent("a", "", "lost"), None)
