# SPDX-License-Identifier: EUPL-1.2
"""An update over the console of the real MicroPython: whole, pulled out, disturbed, cut off, refused."""

import random

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from decoders import console_frame as frames
from hardware.update_session import FellSilent, NoAnswer, Refused, Stage
from simulators.node_states import State
from tests.firmware.console_rig import Desk, S, files, left_over, small_bundle
from tests.firmware.update_rig import KEY, sign, written

KEY_FILE = "/data/update_key.bin"
TRIED = ["version 2 on trial"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("serial")


@pytest.fixture(scope="module")
def one_desk(folder):
    desk = Desk(folder, written(folder, {KEY_FILE: KEY}, blocks=64))
    yield desk
    desk.kernel.close()


@pytest.fixture
def desk(one_desk):
    one_desk.fresh()
    return one_desk


@pytest.fixture(scope="module")
def bundle(folder):
    return small_bundle(folder, padding=9_000)


@pytest.fixture(scope="module")
def tiny(folder):
    return small_bundle(folder)


class TestUpdate:
    def test_a_bundle_is_sent_installed_tried_and_kept(self, desk, bundle):
        session = desk.updates(bundle)

        said = desk.goes_on(200)
        assert (session.stage, session.installed, session.resumed_at) == (Stage.DONE, 2, 0)
        assert said[:2] == ["version 2 on trial", "version 2 kept"]
        assert desk.console.lost == 0

    def test_nothing_of_the_conversation_is_left_on_flash(self, desk, folder, bundle):
        desk.updates(bundle)
        desk.goes_on()

        assert files(desk, folder) == {"update_key.bin", "start.a", "start.b", "app_b"}

    def test_without_a_bundle_it_says_what_it_runs_and_goes_on(self, desk):
        session = desk.updates(None)

        assert (session.info.board, session.info.version, session.info.trial) == ("bench", 1, 0)
        assert desk.goes_on(5000)[-1] == "identity.bin: file - provision this node"
        assert desk.node.state is State.ASLEEP

    def test_a_node_that_tries_the_version_already_is_left_alone(self, desk, folder):
        bundle = small_bundle(folder, listens=True)
        desk.updates(bundle)
        desk.goes_on()

        again = desk.updates(bundle)

        assert (again.stage, again.installed) == (Stage.DONE, None)
        assert (again.info.version, again.info.trial) == (1, 2)

    def test_pieces_are_as_long_as_a_frame_holds(self, desk, bundle):
        desk.updates(bundle)
        whole = desk.console.passed

        # 4/3 of each byte and some 40 characters for each 172 of them, both ways
        assert whole < len(bundle) * 1.65 + 1500


class TestListening:
    def test_a_silent_console_costs_three_seconds_after_a_reset_and_nothing_after_sleep(self, desk, tiny):
        desk.reset()
        desk.kernel.run_until(desk.clock.now_us + 3_250_000)
        early = desk.said()
        desk.kernel.run_until(desk.clock.now_us + 250_000)
        late = desk.said()
        desk.updates(tiny)
        desk.goes_on(1)
        before = desk.node.statistics.state_us[State.AWAKE]
        desk.goes_on(600)
        desk.node.settle()
        awake_s = (desk.node.statistics.state_us[State.AWAKE] - before) / S

        assert early == []
        assert late == ["identity.bin: file - provision this node"]
        assert awake_s < 5

    def test_a_tool_that_calls_a_sleeping_node_waits_for_the_reset(self, desk, bundle):
        desk.reset()
        desk.goes_on(4_000)
        assert desk.node.state is State.ASLEEP

        session = desk.updates(bundle)

        assert session.installed == 2

    def test_nobody_there_is_said(self, desk, bundle):
        desk.console.garble = lambda _to_node, _byte: b""

        desk.updates(bundle)

        assert isinstance(desk.console.failure, NoAnswer)

    def test_noise_that_looks_like_a_frame_ends_in_a_wake(self, desk):
        desk.reset()
        desk.kernel.run_until(desk.clock.now_us + S)
        desk.console.answer(b"\xff~~\x00garbage\n~AAAA\n", desk.console.settings)
        desk.kernel.run_until(desk.clock.now_us + 4000 * S)

        assert desk.node.state is State.ASLEEP
        assert desk.node.statistics.crashes == []

    def test_ctrl_c_while_it_listens_leads_to_the_repl(self, desk):
        desk.reset()
        desk.kernel.run_until(desk.clock.now_us + S)
        desk.console.answer(b"\x03", desk.console.settings)
        desk.kernel.run_until(desk.clock.now_us + S)

        assert desk.node.state is State.STOPPED
        desk.node.statistics.crashes.clear()


class TestPulledCable:
    def test_at_any_byte_the_next_try_ends_it(self, desk, tiny):
        desk.updates(tiny)
        total = desk.console.passed
        tried = 0

        for count in range(1, total, 127):
            desk.fresh()
            desk.updates(tiny, pull_after=count)
            said = desk.goes_on(15)
            if said[:1] != TRIED:  # otherwise nothing but its last words was lost
                assert desk.updates(tiny).installed == 2, count
                said = desk.goes_on()

            assert said[:1] == TRIED, count
            tried += 1

        assert tried >= 12

    def test_what_has_come_is_not_sent_again(self, desk, bundle):
        desk.updates(bundle, pull_after=12_000)
        failure = desk.console.failure
        desk.goes_on(40)

        again = desk.updates(bundle)

        assert isinstance(failure, FellSilent)
        assert again.resumed_at == failure.held > 6_000
        assert again.installed == 2

    def test_another_bundle_takes_the_place_of_what_has_come(self, desk, folder, bundle):
        desk.updates(bundle, pull_after=12_000)
        desk.goes_on(40)

        other = desk.updates(small_bundle(folder, 3, padding=5_000))

        assert (other.resumed_at, other.installed) == (0, 3)
        assert not left_over(desk, folder)


class TestPowerCut:
    def test_before_any_operation_the_node_lives_and_the_next_try_ends_it(self, desk, tiny):
        first = desk.node.operations
        desk.updates(tiny)
        desk.goes_on()
        total = desk.node.operations - first
        cuts = 0

        for count in range(40, total, total // 9):
            desk.fresh()
            desk.node.cut_at_operation = desk.node.operations + count
            desk.updates(tiny)
            desk.node.cut_at_operation = None
            session = desk.updates(tiny)
            said = desk.goes_on(100)

            assert session.installed == 2 or session.stage is Stage.CALLING, count  # it was installed before
            assert "version 2" in said[-1], count
            cuts += 1

        assert cuts >= 8

    def test_a_power_cut_costs_four_kilobytes_at_most(self, desk, bundle):
        held = desk.loses_power(bundle, 12_000).held

        again = desk.updates(bundle)

        assert held - 4_096 - 172 <= again.resumed_at <= held
        assert again.resumed_at >= 4_096


class TestNoise:
    @pytest.mark.parametrize("seed", range(4))
    def test_bytes_that_are_changed_lost_or_added_cost_time_only(self, desk, tiny, seed):
        chance = random.Random(seed)

        def garble(_to_node, byte):
            if desk.console.session.stage is Stage.CALLING or chance.random() > 0.002:
                return byte
            return chance.choice((b"", bytes([chance.randrange(256)]), b"\x03", byte + b"~", b"\r\n"))

        desk.console.garble = garble

        session = desk.updates(tiny)

        desk.console.garble = lambda _to_node, byte: byte
        assert session.installed == 2, (desk.console.failure, session.stage, session.held)
        assert desk.goes_on()[:1] == TRIED
        assert desk.node.statistics.crashes == []

    def test_lines_of_others_are_passed_over(self, desk, tiny):
        def garble(to_node, byte):
            return byte if to_node or byte != b"\n" else b"\r\nboot:0x8 (SPI_FAST_FLASH_BOOT) ~ 50 %\r\n"

        desk.console.garble = garble

        assert desk.updates(tiny).installed == 2


class TestRefusals:
    """The tool looks first; here it is made to believe that all is well."""

    def refused(self, desk, bundle, **claims):
        """The reason that the node gives, and how much it has taken."""
        session = desk.updates(bundle, **claims)

        assert isinstance(desk.console.failure, Refused), session.stage
        return desk.console.failure.reason, session.held

    def test_another_key_is_refused_as_soon_as_the_signature_has_come(self, desk, folder):
        other = ec.derive_private_key(5, ec.SECP256R1())
        bundle = small_bundle(folder, signed=lambda data: sign(data, other), padding=9_000)

        reason, held = self.refused(desk, bundle)

        assert reason == "bad_signature"
        assert held < 800
        assert not left_over(desk, folder)

    def test_another_board_is(self, desk, folder):
        assert self.refused(desk, small_bundle(folder, board="heltec_v3"), board="bench")[0] == "other_board"

    def test_a_version_that_is_not_newer_is(self, desk, folder):
        bundle = small_bundle(folder, 1)

        assert self.refused(desk, bundle, version=99)[0] == "not_newer"

    def test_contents_that_were_changed_are(self, desk, bundle, folder):
        reason, held = self.refused(desk, bundle[:-1] + bytes([bundle[-1] ^ 1]))

        assert reason == "damaged"
        assert held > 9_000
        assert files(desk, folder) <= {"update_key.bin", "start.a", "start.b", "app_b"}

    def test_a_node_without_key_says_so(self, folder, tiny, one_desk):
        one_desk.fresh()
        one_desk.node.flash.restore(written(folder, {}, blocks=64))

        assert self.refused(one_desk, tiny)[0] == "no_key"

    def test_a_full_flash_is_said(self, folder, bundle, one_desk):
        one_desk.fresh()
        one_desk.node.flash.restore(written(folder, {KEY_FILE: KEY, "/data/full": bytes(54 * 4096)}, blocks=64))

        assert self.refused(one_desk, bundle)[0] == "no_room"

    def test_after_a_refusal_the_node_goes_on(self, desk, folder):
        self.refused(desk, small_bundle(folder, 1), version=99)

        assert desk.goes_on(2000) == ["identity.bin: file - provision this node"]
        assert desk.node.state is State.ASLEEP

    def test_the_tool_sees_another_board_before_anything_is_sent(self, desk, folder):
        desk.updates(small_bundle(folder, board="heltec_v3"))

        assert desk.console.failure.reason == "other_board"
        assert desk.console.passed < 200


class TestAnyMessage:
    def test_no_message_breaks_a_conversation(self, desk, tiny):
        chance = random.Random(1)
        desk.reset()
        desk.kernel.run_until(desk.clock.now_us + S)
        for _ in range(60):
            kind = chance.choice((1, 3, 4, 6, 200))
            frame = frames.serialize(kind, chance.randbytes(chance.choice((0, 1, 4, 12, 60, 176))))
            desk.console.answer(frame, desk.console.settings)
            desk.kernel.run_until(desk.clock.now_us + S // 20)
        desk.goes_on(40)

        assert desk.updates(tiny).installed == 2
        assert not [line for line in desk.said() if "Traceback" in line]
