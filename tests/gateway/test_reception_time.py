# SPDX-License-Identifier: EUPL-1.2
"""Which clock says when a frame was received, and what happens while none does."""

import pytest

from decoders.uplink import UplinkKey
from gateway.metrics import Metrics
from gateway.reception_time import Boot, TimeKeeper
from tests.gateway.nodes import Concentrator, Node, new_store, tree_payload
from tests.gateway.running import GatewayThread, eventually, join, send

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
NOW_GPS_MS = 1_484_035_218_000
NO_TIME = {"tmms": None, "time": None}


class Clocks:
    """A machine's clocks, as the test sets them."""

    def __init__(self, unix_s=0.0, boot_s=1000.0, boot_id="first"):
        self.unix_s, self.boot_s, self.boot = unix_s, boot_s, Boot(boot_id, lambda: self.boot_s)

    def keeper(self, tolerance_s=3600):
        self.metrics = Metrics()
        return TimeKeeper(lambda: self.unix_s, self.boot, tolerance_s, self.metrics)

    def service(self, store):
        return GatewayThread(store.config, store, lambda: self.unix_s, self.boot)


class TestTimeKeeper:
    def test_a_concentrator_near_our_clock_is_the_better_clock(self):
        keeper = Clocks(NOW).keeper()

        assert keeper.received(NOW_GPS_MS - 3_599_500, None) == (NOW_GPS_MS - 3_599_500, NOW - 3599.5)
        assert keeper.received(None, NOW + 3599) == (NOW_GPS_MS + 3_599_000, NOW + 3599)

    @pytest.mark.parametrize("gps_ms", [3_786_480_018_000, 1_200_000_000_000, NOW_GPS_MS + 3_601_000])
    def test_a_concentrator_far_from_our_clock_is_counted_and_not_believed(self, gps_ms):
        clocks = Clocks(NOW)

        received = clocks.keeper().received(gps_ms, None)

        assert received == (NOW_GPS_MS, NOW)
        assert clocks.metrics.counters["concentrator_time_wrong"] == 1

    def test_a_wrong_gps_time_does_not_spoil_a_right_utc(self):
        assert Clocks(NOW).keeper().received(3_786_480_018_000, NOW + 5) == (NOW_GPS_MS + 5000, NOW + 5)

    def test_a_tolerance_of_zero_believes_every_concentrator(self):
        assert Clocks(NOW).keeper(0).received(1_455_000_000_500, None) == (1_455_000_000_500, 1_770_964_782.5)

    @pytest.mark.parametrize("unix_s", [0.0, 1_483_228_800.0, 1_767_225_599.0])  # 1970, 2017, end of 2025
    def test_while_our_clock_is_not_set_a_concentrator_is_believed(self, unix_s):
        assert Clocks(unix_s).keeper().received(1_455_000_000_500, None) == (1_455_000_000_500, 1_770_964_782.5)

    def test_without_any_clock_there_is_only_the_time_since_boot(self):
        keeper = Clocks(0.0, boot_s=1234.5).keeper()

        assert keeper.received(None, None) == (None, 1234.5)
        assert keeper.unix_less_boot_s() is None

    def test_one_concentrator_with_a_time_serves_those_without(self):
        clocks = Clocks(0.0, boot_s=1000.0)
        keeper = clocks.keeper()
        keeper.received(NOW_GPS_MS, None)
        clocks.boot_s = 1060.0

        assert keeper.received(None, None) == (NOW_GPS_MS + 60_000, NOW + 60)

    def test_a_clock_that_is_set_later_is_believed_from_then_on(self):
        clocks = Clocks(0.0, boot_s=1000.0)
        keeper = clocks.keeper()
        clocks.unix_s = NOW

        assert keeper.unix_less_boot_s() == NOW - 1000.0


@pytest.fixture
def node():
    return Node()


@pytest.fixture
def store(tmp_path, node):
    config, store = new_store(tmp_path, [node])
    store.config = config
    yield store
    store.close()


def outbox(store):
    reader = store.reader()
    try:
        return reader.messages(1, 1000)
    finally:
        reader.close()


def moistures(store):
    return [
        (message.received_at, reading.at, reading.value)
        for message in outbox(store)
        for reading in message.readings
        if reading.quantity == "soil_moisture"
    ]


def receive_three(service, clocks, node, gps_s=0):
    """Three uplinks, 600 s apart, in a time that nobody knows."""
    with Concentrator(service.gwmp_port) as concentrator:
        concentrator.pull()
        if not node.dev_addr:
            join(concentrator, node, **NO_TIME)
        for moisture in (3000, 2500, 2000):
            send(concentrator, node.uplink(tree_payload(gps_s, moisture)), **NO_TIME)
            clocks.boot_s += 600


class TestClockNotSet:
    """DESIGN.md "Time": until the clock is set, boot id and monotonic time."""

    def test_uplinks_wait_in_their_order_and_get_their_own_times_when_the_clock_is_set(self, store, node):
        clocks = Clocks(0.0, boot_s=1000.0)
        with clocks.service(store) as service:
            receive_three(service, clocks, node)
            before, waiting = outbox(store), service.status()["waiting_for_time"]
            clocks.boot_s, clocks.unix_s = 3000.0, NOW
            eventually(lambda: len(outbox(store)) == 3)

            assert service.status()["waiting_for_time"] == 0
        assert (before, waiting) == ((), 3)
        assert moistures(store) == [
            (NOW - 2000, 1_799_998_000, 30.0), (NOW - 1400, 1_799_998_600, 25.0), (NOW - 800, 1_799_999_200, 20.0)
        ]  # fmt: skip

    def test_a_restart_of_the_service_in_the_same_boot_changes_nothing(self, store, node):
        clocks = Clocks(0.0, boot_s=1000.0)
        with clocks.service(store) as service:
            receive_three(service, clocks, node)
        clocks.boot_s, clocks.unix_s = 3000.0, NOW
        with clocks.service(store):
            eventually(lambda: len(outbox(store)) == 3)

        assert [at for _, at, _ in moistures(store)] == [1_799_998_000, 1_799_998_600, 1_799_999_200]

    def test_after_a_reboot_samples_without_a_time_are_kept_raw_and_never_dated(self, store, node):
        clocks = Clocks(0.0)
        with clocks.service(store) as service:
            receive_three(service, clocks, node)
        with Clocks(NOW, boot_s=10.0, boot_id="second").service(store) as service:
            eventually(lambda: service.status()["quarantine"] == 3)
            refused = service.metrics.refused["time_unknown"]

        rows = store.connection.execute("SELECT frm_payload, problem FROM quarantine").fetchall()
        assert rows == [(tree_payload(0, moisture), "time_unknown") for moisture in (3000, 2500, 2000)]
        assert outbox(store) == ()
        assert refused == 3

    def test_after_a_reboot_samples_with_a_time_of_their_own_go_to_the_cloud(self, store, node):
        clocks = Clocks(0.0)
        with clocks.service(store) as service:
            receive_three(service, clocks, node, gps_s=1_455_000_000)
        with Clocks(NOW, boot_s=10.0, boot_id="second").service(store):
            eventually(lambda: len(outbox(store)) == 3)

        session = store.ledger.sessions(node.dev_addr)[0].session
        assert [message.key for message in outbox(store)] == [UplinkKey(node.dev_eui, session, n) for n in range(3)]
        assert moistures(store)[0] == (1_770_964_782.0, 1_770_964_782, 30.0)

    def test_nobody_is_told_a_time_that_is_not_known(self, store, node):
        with Clocks(0.0).service(store) as service, Concentrator(service.gwmp_port) as concentrator:
            concentrator.pull()
            join(concentrator, node, **NO_TIME)
            send(concentrator, node.uplink(f_opts=b"\x0d"), **NO_TIME)  # an answer would come before the PUSH_ACK

    def test_other_requests_are_still_answered(self, store, node):
        with Clocks(0.0).service(store) as service, Concentrator(service.gwmp_port) as concentrator:
            concentrator.pull()
            join(concentrator, node, **NO_TIME)
            concentrator.push(node.uplink(f_opts=b"\x0d\x02"), **NO_TIME)

            assert concentrator.receive()[0] == 3

    def test_a_copy_is_a_copy_and_what_nobody_reads_is_kept(self, store, node):
        clocks = Clocks(0.0)
        with clocks.service(store) as service, Concentrator(service.gwmp_port) as concentrator:
            concentrator.pull()
            join(concentrator, node, **NO_TIME)
            uplink = node.uplink(tree_payload(0))
            for frame in (uplink, uplink, node.uplink(b"\x01\x02")):
                send(concentrator, frame, **NO_TIME)
            duplicates = service.metrics.refused["duplicate"]
            clocks.unix_s = NOW
            eventually(lambda: service.status()["waiting_for_time"] == 0)

            assert service.status()["quarantine"] == 1
        assert (duplicates, len(outbox(store))) == (1, 1)
