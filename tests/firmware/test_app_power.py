# SPDX-License-Identifier: EUPL-1.2
"""The firmware as it ships against power that fails anywhere, and what a year of it does to the flash."""

import pytest

from tests.firmware.heltec_bench import Street, identity_of

RUN_S = 60  # from power-up over join, uplink and downlink to the first long sleep
BACK_S = 200  # what a power cut may cost: the pause that the longest frame at SF7 demands, and a join


class Lab:
    """One long-lived street, set back to the factory's flash before every experiment."""

    def __init__(self, folder):
        self.street = Street(folder)
        self.factory = self.street.node.flash.image()
        self.committed_after = 1 << 30
        self._watch()

    def _watch(self):
        network, flash = self.street.network, self.street.node.flash
        original = network._ended

        def ended(sent):
            original(sent)
            if network.heard_uplinks and self.first_uplink_flash is None:
                self.first_uplink_flash = flash.operations - self.flash_start

        network._ended = ended

    def fresh(self):
        """Power off, flash as from the factory, a network that knows nothing."""
        street = self.street
        street.node.power_off()
        street.node.cut_at_operation = street.node.flash.cut_at = None
        street.run(10)
        street.node.flash.restore(self.factory)
        network = street.network
        network.sessions, network.join_requests, network.heard_uplinks, network.downlinks = [], [], [], 0
        network.transmissions = []
        self.flash_start = street.node.flash.operations
        self.start = street.node.operations
        self.first_uplink_flash = None

    def lasting(self):
        """What a power cut now would leave: how many flash operations, how many frames that are or will be heard."""
        return self.street.node.flash.operations - self.flash_start, len(self.street.network.transmissions)

    def baseline(self):
        """An undisturbed run. Returns (spans, count of flash operations).

        A span is operations in a row before any of which a cut leaves the same: what, and their first and last number.
        Also learns after which flash operation the session is safe.
        """
        self.fresh()
        node, network = self.street.node, self.street.network
        changes = {0: self.lasting()}

        def noting(act):
            def noted(*arguments):
                act(*arguments)
                changes[node.operations - self.start] = self.lasting()

            return noted

        watched = [(node.flash, "program"), (node.flash, "erase"), (network, "heard")]
        before = [getattr(of, name) for of, name in watched]
        for (of, name), act in zip(watched, before, strict=True):
            setattr(of, name, noting(act))
        node.power_on()
        self.street.run(RUN_S)
        for (of, name), act in zip(watched, before, strict=True):
            setattr(of, name, act)
        assert self.street.f_cnts() == [0, 1]
        self.committed_after = self.first_uplink_flash
        ends = [*list(changes)[1:], node.operations - self.start]
        spans = [(first, end - 1, left) for (first, left), end in zip(changes.items(), ends, strict=True)]
        return spans, node.flash.operations - self.flash_start

    def judge(self, left=None):
        """Run until the power has failed, then power up for good; complain about whatever is not right then.

        ``left``: what the cut must have left.
        """
        street = self.street
        network = street.network
        street.node.power_on()
        street.run(RUN_S)
        committed = street.node.flash.operations - self.flash_start > self.committed_after
        joins, heard = len(network.join_requests), len(network.heard_uplinks)
        street.node.power_off()
        street.node.cut_at_operation = street.node.flash.cut_at = None
        assert left is None or self.lasting() == left
        street.node.power_on()
        street.run(BACK_S)
        nonces = [dev_nonce for _, dev_nonce in network.join_requests]
        assert nonces == sorted(set(nonces)), "a DevNonce twice"
        assert not committed or len(network.join_requests) == joins, "a needless join"
        after = street.f_cnts()[heard:]
        assert after, "it did not come back"
        if len(network.join_requests) == joins:
            assert street.f_cnts() == sorted(set(street.f_cnts())), "an FCntUp twice"
        assert street.node.statistics.crashes == []


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    one = Lab(tmp_path_factory.mktemp("lab"))
    yield one
    one.street.kernel.close()


class TestPowerCutAnywhere:
    """Every bus transfer, every flash operation and every other operation of join, uplink and downlink.

    What a power cut leaves is a flash, and a network that has heard what was sent: what comes after is the same for all
    operations of one span, so its first and its last stand for those between.
    """

    def test_before_any_operation(self, lab):
        spans, _ = lab.baseline()

        for number, left in [(end, left) for first, last, left in spans for end in {first, last}]:
            lab.fresh()
            lab.street.node.cut_at_operation = lab.start + number
            lab.judge(left)

        assert [first for first, _, _ in spans] == [0, *(last + 1 for _, last, _ in spans[:-1])]
        assert spans[-1][1] > 1000
        assert len(spans) > 25

    def test_in_the_middle_of_any_flash_operation(self, lab):
        _, flash_operations = lab.baseline()

        for number in range(flash_operations):
            lab.fresh()
            lab.street.node.flash.cut_at = lab.flash_start + number
            lab.judge()

        assert flash_operations >= 8

    def test_again_and_again(self, lab):
        lab.fresh()
        node, network = lab.street.node, lab.street.network
        for number in range(0, 900, 30):
            node.cut_at_operation = node.operations + number
            node.power_on()
            lab.street.run(RUN_S)
            node.power_off()
        node.cut_at_operation = None
        node.power_on()
        lab.street.run(2 * BACK_S)

        nonces = [dev_nonce for _, dev_nonce in network.join_requests]
        assert nonces == sorted(set(nonces))
        assert lab.street.f_cnts() == sorted(set(lab.street.f_cnts()))
        assert lab.street.f_cnts()


class TestFlashWear:
    """A block of NOR flash bears 100,000 erasures; a year of uplinks every 15 minutes must stay under a tenth."""

    def test_five_hundred_uplinks_wear_a_year_under_a_tenth(self, tmp_path):
        street = Street(tmp_path, identity=identity_of(900))
        try:
            street.node.power_on()
            street.run(500 * 900)
            uplinks = len(street.f_cnts())
            most = max(street.node.flash.erases)
            total = sum(street.node.flash.erases)
        finally:
            street.kernel.close()

        assert uplinks >= 495
        assert total > 0
        assert most * 35_040 / uplinks < 10_000
