# SPDX-License-Identifier: EUPL-1.2
"""The firmware as it ships against downlinks that are hard to swallow."""

import pytest

from simulators.firmware_build import compile_module
from simulators.node_states import State
from tests.firmware.heltec_bench import S, Street


@pytest.fixture
def street(tmp_path):
    """A node that has just joined; its first report is still to come."""
    one = Street(tmp_path, files=True)
    one.network.tells_time = False
    one.node.power_on()
    one.kernel.run_until(60 * S, lambda: one.network.sessions and one.node.state is State.ASLEEP)
    yield one
    one.kernel.close()


def answered(street, answer):
    """Let the network do ``answer(sent)`` after every data uplink that it can read."""
    network = street.network
    original = network._ended

    def ended(sent):
        heard = len(network.heard_uplinks)
        original(sent)
        if len(network.heard_uplinks) > heard:
            answer(sent)

    network._ended = ended


class TestManyCommands:
    """The answers go out alone on FPort 0, as many as fit beside the node's own requests for the time and the link."""

    REQUESTS = b"\x0d\x02"  # no answer to the first request for the time has come

    def obeyed(self, street, commands):
        """The uplinks after that to which ``commands`` is the answer."""
        answered(
            street, lambda sent: len(street.f_cnts()) == 1 and street.network.answer(sent, port=0, payload=commands)
        )
        street.run(4 * 3600)
        street.assert_healthy()
        return [fields for _, fields in street.network.heard_uplinks][1:]

    @pytest.mark.parametrize("count", [40, 120, 222])
    def test_a_downlink_full_of_requests_is_answered_as_far_as_there_is_room(self, street, count):
        first, second, *_ = self.obeyed(street, b"\x06" * count)

        answers = first["FRMPayload"].removesuffix(self.REQUESTS)
        assert first["FPort"] == 0
        assert answers == (b"\x06" + answers[1:3]) * min(count, 242 // 3)
        assert (second["FPort"], second["FCnt"]) == (6, 2)

    def test_a_downlink_full_of_other_things_is_obeyed_to_the_end(self, street):
        channel = b"\x07\x03" + (8_671_000).to_bytes(3, "little") + b"\x50"

        first, *_ = self.obeyed(street, b"\x03\xff\x07\x00\x01" * 40 + b"\x04\x00" + channel)

        assert first["FRMPayload"].removesuffix(self.REQUESTS) == b"\x03\x07" * 40 + b"\x04" + b"\x07\x03"


class TestDownlinkThatCannotBeProcessed:
    def test_it_crashes_a_node_once_not_whenever_it_is_replayed(self, street, tmp_path):
        compiled = tmp_path / "firmware/firmware/mac_commands.mpy"
        source = tmp_path / "mac_commands.py"
        source.write_text("def obey(*what):\n    raise ValueError('x')\n")
        compile_module(source, compiled, "mac_commands.py")
        recorded = []
        network = street.network
        send = network.send

        def record(sent, phy_payload, delay_s):
            recorded.append(phy_payload)
            send(sent, phy_payload, delay_s)

        network.send = record
        answered(
            street,
            lambda sent: send(sent, recorded[0], 1) if recorded else network.answer(sent, f_opts=b"\x06"),
        )

        failed = lambda: "ValueError: x" in street.node.console()  # noqa: E731
        street.kernel.run_until(street.clock.now_us + 7200 * S, failed)
        street.run(1)
        assert street.node.state is State.ASLEEP
        assert street.radio.mode == "sleep_cold"
        street.run(6 * 3600)

        assert street.node.console().count("ValueError: x") == 1
        assert len(street.f_cnts()) >= 5
        assert street.f_cnts() == sorted(set(street.f_cnts()))

    def test_neither_after_a_power_cut(self, street, tmp_path):
        self.test_it_crashes_a_node_once_not_whenever_it_is_replayed(street, tmp_path)

        street.node.power_off()
        street.node.power_on()
        street.run(3600)

        assert street.node.console().count("ValueError: x") == 1
