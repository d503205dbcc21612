# SPDX-License-Identifier: EUPL-1.2
"""The MAC core, broken one way at a time, each with the test that notices."""

from typing import NamedTuple

MODULES = (
    "firmware.session",
    "firmware.mac_channels",
    "firmware.mac",
    "firmware.mac_join",
    "firmware.mac_commands",
    "firmware.state",
)


class MacMutant(NamedTuple):
    """As ``Mutant``, and ``test``: module of tests/firmware, class and function that must fail."""

    name: str
    old: str
    new: str
    test: str


_A = "test_mac_answers."
_C = "test_mac_commands."
_R = "test_mac_repetition."
_M = "test_mac."
_S = "test_state."

MUTANTS = (
    # frames and counters
    MacMutant(
        "uplink counter stands still",
        "session.f_cnt_up += 1\n",
        "session.f_cnt_up += 0\n",
        _M + "TestUplink.test_the_counter_has_32_bits_of_which_16_go_on_air",
    ),
    MacMutant(
        "uplink counter starts at 1",
        "self.f_cnt_up = 0 ",
        "self.f_cnt_up = 1 ",
        _M + "TestUplink.test_an_independent_implementation_verifies_and_decrypts_it",
    ),
    MacMutant(
        "the last downlink is accepted again",
        "expected = session.f_cnt_down + 1",
        "expected = session.f_cnt_down",
        _M + "TestDownlink.test_a_counter_that_does_not_advance_is_a_replay",
    ),
    MacMutant(
        "downlink counter of 16 bits",
        "f_cnt = expected + (data.fhdr.f_cnt - expected & 0xFFFF)",
        "f_cnt = data.fhdr.f_cnt",
        _M + "TestDownlink.test_the_counter_may_jump_and_roll_over_its_16_bits",
    ),
    MacMutant(
        "downlink counter not kept",
        "        session.f_cnt_down = f_cnt\n",
        "",
        _M + "TestDownlink.test_the_counter_may_jump_and_roll_over_its_16_bits",
    ),
    MacMutant(
        "MIC not checked",
        "        frame.verify_data(phy_payload, session.nwk_s_key, f_cnt)\n",
        "",
        _M + "TestDownlink.test_a_wrong_mic_is_dropped_and_changes_nothing",
    ),
    MacMutant(
        "address not checked",
        "if data.fhdr.dev_addr != session.dev_addr:",
        "if False:",
        _M + "TestDownlink.test_a_frame_for_another_node_in_rx1_leaves_rx2_open",
    ),
    MacMutant(
        "oversized frames taken",
        "if len(phy_payload) > longest:",
        "if False:",
        _M + "TestDownlink.test_a_frame_longer_than_the_data_rate_allows_is_dropped",
    ),
    MacMutant(
        "longest frame one byte too short",
        "max_payload + _PHY_OVERHEAD\n        if len(phy_payload)",
        "max_payload + _PHY_OVERHEAD - 1\n        if len(phy_payload)",
        _M + "TestDownlink.test_a_frame_as_long_as_the_data_rate_allows_is_taken",
    ),
    MacMutant(
        "acknowledged for ever",
        "        session.ack = False\n",
        "",
        _M + "TestDownlink.test_a_confirmed_downlink_is_acknowledged_once_by_the_next_uplink",
    ),
    MacMutant(
        "RX2 with RX1",
        "OpenWindow(delay_us + 1_000_000,",
        "OpenWindow(delay_us,",
        _M + "TestDownlink.test_windows_open_one_and_two_seconds_after_the_uplink",
    ),
    MacMutant(
        "RX1 at the uplink's data rate",
        "self.plan.rx1_dr(session.dr, session.rx1_dr_offset)",
        "session.dr",
        _M + "TestJoinAccept.test_dl_settings_and_rx_delay_move_the_windows_of_the_data",
    ),
    # joining
    MacMutant(
        "DevNonce used twice",
        "mac.next_dev_nonce = dev_nonce + 1",
        "mac.next_dev_nonce = dev_nonce",
        _M + "TestJoinRequest.test_dev_nonce_counts_up_with_every_request",
    ),
    MacMutant(
        "old JoinNonce accepted",
        "if answer.join_nonce <= mac.last_join_nonce:",
        "if answer.join_nonce < mac.last_join_nonce:",
        _M + "TestJoinAccept.test_a_replayed_join_nonce_is_refused",
    ),
    MacMutant(
        "RX1DROffset and RX2 DR swapped",
        "rx1_dr_offset = answer.dl_settings >> 4 & 7",
        "rx1_dr_offset = answer.dl_settings & 7",
        _M + "TestJoinAccept.test_dl_settings_and_rx_delay_move_the_windows_of_the_data",
    ),
    MacMutant(
        "join back-off of the first hour for ever",
        "(86_400, 8_700, 10_000)",
        "(86_400, 8_700, 100)",
        _M + "TestJoinBackOff.test_it_gets_rarer_with_the_hours",
    ),
    MacMutant(
        "first hour lasts two",
        "_FIRST_HOUR = (3600,",
        "_FIRST_HOUR = (7200,",
        _M + "TestJoinBackOff.test_it_gets_rarer_with_the_hours",
    ),
    MacMutant(
        "airtime of join requests not limited",
        "if mac.join_spent_ms + airtime_ms >= limit_ms:",
        "if False:",
        _M + "TestJoinBackOff.test_however_often_it_is_asked_no_period_holds_more_than_its_airtime",
    ),
    MacMutant(
        "a new day has no airtime of its own",
        "mac.join_period, mac.join_spent_ms = number, 0",
        "mac.join_period = number",
        _M + "TestJoinBackOff.test_however_often_it_is_asked_no_period_holds_more_than_its_airtime",
    ),
    MacMutant(
        "reset pays in the first hour",
        "back_off_s(mac, now_s) if mac.join_period == 0 else 0",
        "0",
        _M + "TestJoinBackOff.test_after_a_power_cut_it_waits_in_the_first_hour_only",
    ),
    MacMutant(
        "reset does not pay",
        "back_off_s(mac, now_s) if mac.join_period == 0 else 0",
        "back_off_s(mac, now_s)",
        _M + "TestJoinBackOff.test_after_a_power_cut_it_waits_in_the_first_hour_only",
    ),
    MacMutant(
        "all nodes try again together",
        "return wait_s + mac.random(mac.next_dev_nonce, wait_s // 2 + 4)",
        "return wait_s",
        _M + "TestJoinBackOff.test_nodes_that_lost_power_together_do_not_try_again_together",
    ),
    MacMutant(
        "CFList one slot too low",
        "parse_cf_list(answer.cf_list), len(plan.default_channels_hz))",
        "parse_cf_list(answer.cf_list), 2)",
        _M + "TestJoinAccept.test_the_cf_list_adds_channels",
    ),
    # duty cycle and channels
    MacMutant(
        "pause of a tenth",
        "airtime_us * _HOUR_S // hour_us",
        "airtime_us * 360 // hour_us",
        _M + "TestDutyCycle.test_a_band_rests_so_long_that_an_hour_keeps_its_share",
    ),
    MacMutant(
        "an hour by a clock that is right",
        "_HOUR_S = 3816",
        "_HOUR_S = 3600",
        _M + "TestDutyCycle.test_no_hour_holds_more_than_36_s_at_sf12",
    ),
    MacMutant(
        "join requests cost no airtime",
        "        airtime_us, eirp_dbm = book(self, now_s, frequency_hz, dr, len(phy_payload))",
        "        airtime_us, eirp_dbm = book(self, -99999, frequency_hz, dr, len(phy_payload))",
        _M + "TestDutyCycle.test_a_join_request_is_counted_too",
    ),
    MacMutant(
        "aggregated share halved",
        "airtime_us << mac.session.max_duty",
        "airtime_us << mac.session.max_duty - 1",
        _C + "TestDutyCycle.test_all_channels_rest_for_the_aggregated_share",
    ),
    MacMutant(
        "a channel again before all were used",
        "session.used_mask |= 1 << channel[0]",
        "pass",
        _M + "TestUplink.test_every_channel_is_used_once_before_one_is_used_again",
    ),
    MacMutant(
        "mask ignored",
        "if session.channel_mask >> n & 1 and session.allows(n, session.dr):",
        "if frequency_hz and session.allows(n, session.dr):",
        _C + "TestLinkAdr.test_the_mask_decides_which_channels_are_used",
    ),
    MacMutant(
        "data rates of a channel ignored",
        "return dr_range & 0x0F <= dr <= dr_range >> 4",
        "return True",
        _C + "TestNewChannel.test_a_channel_is_left_out_at_data_rates_it_does_not_allow",
    ),
    MacMutant(
        "default channels do not come back",
        "session.channel_mask |= (1 << len(plan.default_channels_hz)) - 1\n        session.dr",
        "session.channel_mask |= 1\n        session.dr",
        _C + "TestNewChannel.test_when_no_channel_is_left_the_default_ones_come_back",
    ),
    MacMutant(
        "power of 1 dB a step", "- 2 * power", "- power", _C + "TestLinkAdr.test_data_rate_power_and_nb_trans_are_taken"
    ),
    # repetitions
    MacMutant(
        "one repetition too many",
        "self.repeats = session.nb_trans - 1",
        "self.repeats = session.nb_trans",
        _R + "TestNbTrans.test_each_uplink_goes_out_so_often_with_one_counter",
    ),
    MacMutant(
        "repetitions go on after a downlink",
        '            self.frame = self.requests = b""  # no repetition',
        '            self.requests = b""  # no repetition',
        _R + "TestNbTrans.test_any_valid_downlink_ends_them",
    ),
    MacMutant(
        "RETRANSMIT_TIMEOUT up to 4 s",
        "_RETRANSMIT_SPREAD_MS = 2001",
        "_RETRANSMIT_SPREAD_MS = 3001",
        _R + "TestConfirmed.test_unanswered_it_waits_between_one_and_three_seconds",
    ),
    MacMutant(
        "unconfirmed repetitions wait as well",
        "if frame.m_type(self.frame) == frame.CONFIRMED_UP:\n            wait_ms",
        "if True:\n            wait_ms",
        _R + "TestConfirmed.test_an_unconfirmed_one_need_not_wait",
    ),
    MacMutant(
        "ADRACKCnt counts repetitions",
        "        self.repeats -= 1\n",
        "        self.repeats -= 1\n        session.adr_ack_cnt += 1\n",
        _R + "TestAdrBackOff.test_repetitions_do_not_count",
    ),
    # ADR
    MacMutant(
        "ADRACKReq one uplink late",
        "if session.adr_ack_cnt >= _ADR_ACK_LIMIT:",
        "if session.adr_ack_cnt > _ADR_ACK_LIMIT:",
        _R + "TestAdrBackOff.test_an_answer_is_demanded_after_64_uplinks_without_one",
    ),
    MacMutant("ADR_ACK_DELAY of 33", "_ADR_ACK_DELAY = 32", "_ADR_ACK_DELAY = 33", _R + "TestAdrBackOff.test_table_9"),
    MacMutant(
        "data rate before power",
        "if session.adr_steps == 1:",
        "if session.adr_steps == 2:",
        _R + "TestAdrBackOff.test_table_9",
    ),
    MacMutant(
        "data rate stops at 1", "elif session.dr > 0:", "elif session.dr > 1:", _R + "TestAdrBackOff.test_table_9"
    ),
    MacMutant(
        "NbTrans kept at the end of the back-off",
        "                session.nb_trans = 1\n",
        "                pass\n",
        _R + "TestAdrBackOff.test_table_9",
    ),
    MacMutant(
        "a downlink does not end the back-off",
        "session.adr_ack_cnt = session.adr_steps = 0",
        "pass",
        _R + "TestAdrBackOff.test_any_class_a_downlink_starts_the_count_again",
    ),
    MacMutant(
        "back-off with ADR off",
        "        if not self.adr:\n            return\n",
        "",
        _R + "TestAdrBackOff.test_with_adr_off_the_node_keeps_what_it_has_and_demands_nothing",
    ),
    # commands
    MacMutant(
        "RXTimingSetupAns not sticky",
        "mac_commands.RX_TIMING_SETUP, mac_commands.DL_CHANNEL)",
        "mac_commands.DL_CHANNEL)",
        _A + "TestSticky.test_the_answer_is_repeated_until_a_downlink_comes",
    ),
    MacMutant(
        "sticky answers outlive a downlink",
        'session.answers = b""  # the sticky',
        "pass  # the sticky",
        _A + "TestSticky.test_the_answer_is_repeated_until_a_downlink_comes",
    ),
    MacMutant(
        "every answer sticky",
        "        if answer[0] in _STICKY:\n",
        "        if True:\n",
        _A + "TestOrder.test_an_answer_that_is_not_sticky_goes_out_once",
    ),
    MacMutant(
        "answers cut in the middle",
        "return answers[:end]",
        "return answers[:limit]",
        _A + "TestOrder.test_answers_that_do_not_fit_are_left_off_whole_but_every_request_is_executed",
    ),
    MacMutant(
        "ChMask byte order",
        "payload[1] | payload[2] << 8",
        "payload[2] | payload[1] << 8",
        _C + "TestLinkAdr.test_the_mask_decides_which_channels_are_used",
    ),
    MacMutant(
        "undefined channels enabled",
        "mask_ok = mask_ok and not mask & ~defined",
        "mask &= defined",
        _C + "TestLinkAdr.test_an_empty_mask_or_an_undefined_channel_is_refused_and_nothing_applied",
    ),
    MacMutant(
        "empty mask accepted",
        "mask_ok = mask_ok and mask != 0",
        "pass",
        _C + "TestLinkAdr.test_an_empty_mask_or_an_undefined_channel_is_refused_and_nothing_applied",
    ),
    MacMutant(
        "refused LinkADRReq half applied",
        "accepted = mask_ok and dr_ok and power_ok",
        "accepted = mask_ok and dr_ok",
        _C + "TestLinkAdr.test_a_data_rate_or_power_out_of_range_is_refused_and_nothing_applied",
    ),
    MacMutant(
        "data rate that no channel allows",
        " and _possible(session, mask if mask_ok else session.channel_mask, dr)",
        "",
        _C + "TestLinkAdr.test_a_data_rate_or_power_out_of_range_is_refused_and_nothing_applied",
    ),
    MacMutant(
        "power 8 accepted",
        "_MOST_POWER = 7",
        "_MOST_POWER = 8",
        _C + "TestLinkAdr.test_a_data_rate_or_power_out_of_range_is_refused_and_nothing_applied",
    ),
    MacMutant(
        "first of a LinkADR block counts",
        "dr, power = block[-1][0] >> 4, block[-1][0] & 0x0F",
        "dr, power = block[0][0] >> 4, block[0][0] & 0x0F",
        _C + "TestLinkAdr.test_a_block_is_one_command_with_an_answer_each_and_the_last_one_counts",
    ),
    MacMutant(
        "one answer for a LinkADR block",
        "bytes((cid, _link_adr(mac, session, block))) * len(block)",
        "bytes((cid, _link_adr(mac, session, block)))",
        _C + "TestLinkAdr.test_a_block_is_one_command_with_an_answer_each_and_the_last_one_counts",
    ),
    MacMutant(
        "NbTrans 0 kept as 0",
        "(block[-1][3] & 0x0F) or 1",
        "block[-1][3] & 0x0F",
        _C + "TestLinkAdr.test_nb_trans_0_is_the_default",
    ),
    MacMutant(
        "RXParamSetupReq half applied",
        "if channel_ok and dr_ok and offset_ok:",
        "if channel_ok and offset_ok:",
        _C + "TestRxParamSetup.test_all_or_nothing",
    ),
    MacMutant(
        "RX2 frequency byte order",
        'dr = payload[0] & 0x0F\n    frequency_hz = int.from_bytes(payload[1:4], "little")',
        'dr = payload[0] & 0x0F\n    frequency_hz = int.from_bytes(payload[1:4], "big")',
        _C + "TestRxParamSetup.test_the_windows_obey",
    ),
    MacMutant(
        "RX delay 0 is none",
        "session.rx_delay_s = (payload[0] & 0x0F) or 1",
        "session.rx_delay_s = payload[0] & 0x0F",
        _C + "TestRxTimingSetup.test_the_windows_move_with_the_uplink_that_answers",
    ),
    MacMutant(
        "default channels can be changed",
        "if not len(mac.plan.default_channels_hz) <= n <",
        "if not 0 <= n <",
        _C + "TestNewChannel.test_default_channels_and_those_beyond_the_last_are_refused",
    ),
    MacMutant(
        "margin without sign",
        "max(-32, min(31, snr_quarter_db >> 2)) & 0x3F",
        "min(63, abs(snr_quarter_db >> 2))",
        _C + "TestDevStatus.test_battery_and_the_margin_of_the_request_in_six_signed_bits",
    ),
    MacMutant(
        "RX1 stays on the uplink's channel",
        "rx1_hz = session.rx1_channels_hz[n] or frequency_hz",
        "rx1_hz = frequency_hz",
        _C + "TestDlChannel.test_rx1_opens_on_the_other_frequency_and_rx2_stays",
    ),
    MacMutant(
        "a time nobody asked for is taken",
        "if mac.asked(cid):  # TS001",
        "if True:  # TS001",
        _C + "TestDeviceTime.test_a_time_nobody_asked_for_is_ignored",
    ),
)
