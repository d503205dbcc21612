# SPDX-License-Identifier: EUPL-1.2
"""MAC commands from the network's side, byte by byte as TS001-1.0.4 "MAC Commands" has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.lorawan import mac_commands
from gateway import mac_control
from gateway.adr import Setting
from gateway.mac_control import State, Status, Wanted, asked, heard, joined, requests, worth_a_downlink

FRESH = joined(Wanted(), 0.0)
DAY_S = 86_400


def ask(state, wanted, now=1.0, link_adr=None, answered=()):
    return requests(state, wanted, now, link_adr, answered)


def answered(state, *frames, data_rate=3, lost=0):
    """What comes of an uplink with these answers, in hex."""
    return heard(state, mac_commands.parse_uplink(bytes.fromhex("".join(frames))), data_rate, lost)


class TestRequests:
    """The bytes of every request, and that an agreement ends it."""

    CASES = (
        ("dutycycle", Wanted(max_duty_cycle=7), "0407", "04"),
        # RX1DROffset 2, RX2 DR 3 at 869.525 MHz: 0x84ad d2 -> d2 ad 84
        ("rx_param_setup", Wanted(rx1_dr_offset=2, rx2=(869_525_000, 3)), "0523d2ad84", "0507"),
        ("rx_timing_setup", Wanted(rx1_delay_s=5), "0805", "08"),
        # channel 3 at 867.1 MHz: 8671000 = 0x844f18; DR0 to DR5
        ("new_channel", Wanted(channels_hz=(867_100_000,)), "0703184f8450", "0703"),
        ("dl_channel", Wanted(rx1_hz=((868_300_000, 869_525_000),)), "0a01d2ad84", "0a03"),
    )

    @pytest.mark.parametrize(
        ("wanted", "request_hex", "answer"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
    )
    def test_a_difference_is_asked_for_until_it_is_agreed(self, wanted, request_hex, answer):
        made = ask(FRESH, wanted)
        state = asked(FRESH, made, 15, 1.0)

        agreed = answered(state, answer).state

        assert [request.hex() for request in made] == [request_hex]
        assert ask(state._replace(pending=()), wanted) == made
        assert ask(agreed, wanted) == []

    @pytest.mark.parametrize(
        ("wanted", "refusal"),
        [(CASES[1][1], "0503"), (CASES[3][1], "0702"), (CASES[4][1], "0a01")],
        ids=["rx_param_setup", "new_channel", "dl_channel"],
    )
    def test_what_is_refused_is_not_asked_again(self, wanted, refusal):
        state = asked(FRESH, ask(FRESH, wanted), 15, 1.0)

        refused = answered(state, refusal).state

        assert ask(refused, wanted) == []
        assert refused._replace(refused=()) == FRESH

    def test_a_channel_no_longer_wanted_is_switched_off(self):
        state = joined(Wanted(channels_hz=(867_100_000, 867_300_000)), 0.0)

        made = ask(state, Wanted(channels_hz=(867_100_000,)))

        after = answered(asked(state, made, 15, 1.0), "0703").state
        assert [request.hex() for request in made] == ["070400000050"]
        assert (after.channels_hz, after.mask) == ((867_100_000,), 0b1111)

    def test_the_status_is_asked_for_once_a_day(self):
        due = ask(FRESH, Wanted(), now=DAY_S)
        state = asked(FRESH, due, 15, DAY_S)

        # battery 200, margin -6 dB: 6 bits, 0x3a
        assert answered(state, "06c83a").status == Status(200, -6)
        assert [request.hex() for request in due] == ["06"]
        assert ask(state, Wanted(), now=2 * DAY_S - 1) == []
        assert ask(state, Wanted(), now=2 * DAY_S) == due

    def test_nothing_is_due_while_nobody_knows_the_time(self):
        assert ask(FRESH, Wanted(), now=None) == []

    def test_only_whole_requests_that_fit_are_sent(self):
        wanted = Wanted(rx1_dr_offset=1, rx1_delay_s=2, channels_hz=(867_100_000, 867_300_000), max_duty_cycle=1)

        state = asked(FRESH, ask(FRESH, wanted), 9, 1.0)

        assert [request[0] for request in state.pending] == [0x05, 0x08, 0x04]


class TestStickyAnswers:
    """No new request of a sticky kind while its answer is in the uplink."""

    @pytest.mark.parametrize(
        ("wanted", "cid"),
        [(Wanted(rx1_dr_offset=1), 5), (Wanted(rx1_delay_s=2), 8), (Wanted(rx1_hz=((868_100_000, 868_500_000),)), 10)],
    )
    def test_it_waits_until_the_node_has_heard_that_we_heard_it(self, wanted, cid):
        assert ask(FRESH, wanted, answered=[cid]) == []
        assert [request[0] for request in ask(FRESH, wanted, answered=[2])] == [cid]

    def test_an_answer_repeated_changes_nothing(self):
        wanted = Wanted(rx1_delay_s=2)
        agreed = answered(asked(FRESH, ask(FRESH, wanted), 15, 1.0), "08").state

        assert answered(agreed, "08").state == agreed


class TestLinkAdr:
    """TS001-1.0.4 "Link ADR Commands (LinkADRReq, LinkADRAns)"."""

    def state(self):
        return asked(FRESH, ask(FRESH, Wanted(), link_adr=Setting(5, 2, 3)), 15, 1.0)

    def test_the_request_has_rate_power_channels_and_repetitions(self):
        assert [request.hex() for request in self.state().pending] == ["0352070003"]

    def test_all_three_bits_agree(self):
        assert answered(self.state(), "0307").setting == Setting(5, 2, 3)

    def test_any_other_answer_changes_nothing_and_is_remembered(self):
        rate, power = answered(self.state(), "0305"), answered(self.state(), "0303")

        assert (rate.setting, power.setting) == (None, None)
        assert not rate.state.allows(Setting(5, 0, 1))
        assert rate.state.allows(Setting(4, 2, 1))
        assert not power.state.allows(Setting(4, 2, 1))
        assert power.state.allows(Setting(5, 0, 1))

    def test_a_refused_mask_falls_back_to_the_default_channels(self):
        state = joined(Wanted(channels_hz=(867_100_000,)), 0.0)
        state = asked(state, ask(state, Wanted(channels_hz=(867_100_000,)), link_adr=Setting(5, 0, 1)), 15, 1.0)

        after = answered(state, "0306").state

        assert state.pending[0].hex() == "03500f0001"
        assert after.mask == 0b111

    def test_a_lost_answer_is_seen_by_the_data_rate(self):
        assert answered(self.state(), data_rate=5, lost=1).setting == Setting(5, 2, 3)
        assert answered(self.state(), data_rate=5, lost=0).setting is None
        assert answered(self.state(), data_rate=3, lost=1).setting is None


class TestPatience:
    def test_three_tries_have_their_own_downlinks_then_every_eighth(self):
        state, tries = FRESH, []
        for uplink in range(20):
            made = ask(state, Wanted(rx1_delay_s=2))
            if worth_a_downlink(state):
                tries.append(uplink)
                state = asked(state, made, 15, 1.0)
            else:
                state = mac_control.passed_over(state)
            state = answered(state).state

        assert tries == [0, 1, 2, 8, 16]

    def test_an_answer_ends_the_counting(self):
        state = asked(FRESH._replace(tries=7), ask(FRESH, Wanted(rx1_delay_s=2)), 15, 1.0)

        assert answered(state, "08").state.tries == 0


@given(st.binary(max_size=15), st.integers(0, 5), st.integers(0, 3))
def test_no_answer_breaks_anything_and_every_state_survives_the_database(data, data_rate, lost):
    wanted = Wanted(1, (869_525_000, 3), 5, 2, (867_100_000, 867_300_000), ((868_100_000, 868_500_000),))
    state = asked(FRESH, ask(FRESH, wanted, link_adr=Setting(5, 1, 2)), 40, 1.0)

    after = heard(state, mac_commands.parse_uplink(data), data_rate, lost).state
    again = asked(after, ask(after, wanted), 15, 2.0)

    for each in (State(), state, after, again):
        assert mac_control.parse(mac_control.serialize(each)) == each
