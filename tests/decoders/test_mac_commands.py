# SPDX-License-Identifier: EUPL-1.2
"""MAC commands beyond the vectors."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.lorawan import mac_commands
from decoders.lorawan.errors import FieldRange, MalformedFrame


class TestMacCommands:
    """TS001-1.0.4 "MAC Commands"."""

    @given(st.binary(max_size=242))
    def test_any_bytes_give_a_list_that_is_their_beginning(self, data):
        for parse in (mac_commands.parse_uplink, mac_commands.parse_downlink):
            commands = parse(data)
            assert data.startswith(b"".join(bytes([cid]) + payload for cid, payload in commands))

    @given(st.binary(max_size=10))
    def test_any_answer_gives_a_value_or_a_remote_error(self, payload):
        for parse in (mac_commands.parse_device_time_ans, mac_commands.parse_link_check_ans):
            with suppress(MalformedFrame):
                assert all(value >= 0 for value in parse(payload))

    @given(st.integers(0, 2**32 - 1), st.integers(0, 255))
    def test_network_time_survives_the_way(self, gps_s, fraction_256):
        answer = mac_commands.device_time_ans(gps_s, fraction_256)

        ((cid, payload),) = mac_commands.parse_downlink(answer)

        assert cid == 0x0D
        assert mac_commands.parse_device_time_ans(payload) == (gps_s, fraction_256)

    def test_requests_are_a_bare_cid(self):
        assert mac_commands.parse_uplink(b"\x02\x0d") == [(0x02, b""), (0x0D, b"")]

    @pytest.mark.parametrize(("gps_s", "fraction"), [(-1, 0), (2**32, 0), (0, 256)])
    def test_a_time_that_does_not_fit_is_refused(self, gps_s, fraction):
        with pytest.raises(FieldRange):
            mac_commands.device_time_ans(gps_s, fraction)
