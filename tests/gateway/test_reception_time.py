# SPDX-License-Identifier: EUPL-1.2
"""Which clock says when a frame was received, and what happens while none does."""

import json

import pytest
from click.testing import CliRunner

from decoders.records import UplinkKey
from gateway import kernel_clock
from gateway.boots import Began, Offset
from gateway.cli import gateway
from gateway.metrics import Metrics
from gateway.reception_time import Boot, TimeKeeper
from simulators.ports import free_port
from tests.gateway.nodes import Concentrator, tree_payload, uplinks_in, write_config
from tests.gateway.running import GatewayProcess, GatewayThread, eventually, join, send

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
NOW_GPS_MS = 1_484_035_218_000
NO_TIME = {"tmms": None, "time": None}


class Clocks:
    """A machine's clocks, as the test sets them."""

    def __init__(self, unix_s=0.0, boot_s=1000.0, boot_id="first"):
        self.unix_s, self.boot_s, self.boot = unix_s, boot_s, Boot(boot_id, lambda: self.boot_s)
        self.synchronized = True

    def keeper(self, tolerance_s=3600, began=Began(None, "unset", None)):  # noqa: B008
        self.metrics = Metrics()
        return TimeKeeper(
            lambda: self.unix_s, self.boot, tolerance_s, self.metrics, lambda: self.synchronized, began
        )  # fmt: skip

    def service(self, store):
        return GatewayThread(store.config, store, lambda: self.unix_s, self.boot, lambda: self.synchronized)


class TestTimeKeeper:
    def test_a_concentrator_near_our_clock_is_the_better_clock(self):
        keeper = Clocks(NOW).keeper()

        by_gps, by_utc = keeper.received(NOW_GPS_MS - 3_599_500, None), keeper.received(None, NOW + 3599)

        assert by_gps == (NOW - 3599.5, "concentrator", "first", 1000.0)
        assert by_gps.gps_ms == NOW_GPS_MS - 3_599_500
        assert by_utc == (NOW + 3599, "concentrator", "first", 1000.0)

    @pytest.mark.parametrize("gps_ms", [3_786_480_018_000, 1_200_000_000_000, NOW_GPS_MS + 3_601_000])
    def test_a_concentrator_far_from_our_clock_is_counted_and_not_believed(self, gps_ms):
        clocks = Clocks(NOW)

        received = clocks.keeper().received(gps_ms, None)

        assert received[:2] == (NOW, "ntp")
        assert received.gps_ms == NOW_GPS_MS
        assert clocks.metrics.counters["concentrator_time_wrong"] == 1

    def test_a_wrong_gps_time_does_not_spoil_a_right_utc(self):
        assert Clocks(NOW).keeper().received(3_786_480_018_000, NOW + 5)[:2] == (NOW + 5, "concentrator")

    def test_a_tolerance_of_zero_believes_every_concentrator(self):
        assert Clocks(NOW).keeper(0).received(1_455_000_000_500, None)[:2] == (1_770_964_782.5, "concentrator")

    @pytest.mark.parametrize("unix_s", [0.0, 1_483_228_800.0, 1_767_225_599.0])  # 1970, 2017, end of 2025
    def test_while_our_clock_is_not_set_a_concentrator_is_believed(self, unix_s):
        received = Clocks(unix_s).keeper().received(1_455_000_000_500, None)

        assert received[:2] == (1_770_964_782.5, "concentrator")

    def test_without_any_clock_there_is_only_the_time_since_boot(self):
        keeper = Clocks(0.0, boot_s=1234.5).keeper()

        assert keeper.received(None, None) == (None, "unset", "first", 1234.5)
        assert keeper.received(None, None).gps_ms is None
        assert keeper.offset() is None

    def test_one_concentrator_with_a_time_serves_those_without(self):
        clocks = Clocks(0.0, boot_s=1000.0)
        keeper = clocks.keeper()
        keeper.received(NOW_GPS_MS, None)
        clocks.boot_s = 1060.0

        assert keeper.received(None, None)[:2] == (NOW + 60, "concentrator")

    def test_a_clock_that_is_set_later_is_believed_from_then_on(self):
        clocks = Clocks(0.0, boot_s=1000.0)
        keeper = clocks.keeper()
        clocks.unix_s = NOW

        assert keeper.offset() == (NOW - 1000.0, "ntp")


@pytest.fixture
def restored():
    """A clock that went on at the boot from what systemd-timesyncd had saved."""
    clocks = Clocks(NOW, boot_s=1000.0)
    clocks.synchronized = False
    return clocks


class TestRestoredClock:
    """man 8 systemd-timesyncd: the time saved last is restored at the boot, so it is behind by the time off power."""

    def test_it_dates_what_comes_and_says_that_it_is_not_sure(self, restored):
        assert restored.keeper().received(None, None) == (NOW, "saved", "first", 1000.0)

    def test_it_is_told_to_nobody(self, restored):
        keeper = restored.keeper()

        assert (keeper.now(), keeper.sure_now()) == (NOW, None)

    def test_a_concentrator_far_from_it_is_right(self, restored):
        keeper = restored.keeper()

        assert keeper.received(NOW_GPS_MS + 86_400_000, None)[:2] == (NOW + 86_400, "concentrator")
        assert keeper.received(None, None)[:2] == (NOW + 86_400, "concentrator")
        assert keeper.sure_now() == NOW + 86_400
        assert restored.metrics.counters["concentrator_time_wrong"] == 0

    def test_the_clock_of_a_computer_at_a_concentrator_knows_no_better(self, restored):
        assert restored.keeper().received(None, NOW + 50, host_clock=True)[:2] == (NOW, "saved")

    def test_but_it_is_better_than_none(self):
        keeper = Clocks(0.0).keeper()

        assert keeper.received(None, NOW, host_clock=True)[:2] == (NOW, "saved")
        assert keeper.received(None, 1000.0, host_clock=True)[:2] == (NOW, "saved")  # it is in 1970

    def test_once_synchronized_it_stays_so_until_the_next_boot(self, restored):
        keeper = restored.keeper()
        restored.synchronized = True
        first = keeper.received(None, None).quality
        restored.synchronized = False  # the network has been away for nine hours: the kernel claims 16 s of error

        assert (first, keeper.received(None, None).quality) == ("ntp", "ntp")
        assert restored.keeper(began=Began(NOW - 1000, "ntp", None)).received(None, None).quality == "ntp"
        assert restored.keeper().received(None, None).quality == "saved"

    def test_the_kernel_is_asked_once_a_second_until_it_says_so(self, restored):
        keeper = restored.keeper()
        before = keeper.received(None, None).quality
        restored.synchronized = True

        at_once = keeper.received(None, None).quality
        restored.boot_s += 1.0
        a_second_later = keeper.received(None, None).quality

        assert (before, at_once, a_second_later) == ("saved", "saved", "ntp")

    def test_it_is_never_before_the_end_of_the_boot_before(self, restored):
        keeper = restored.keeper(began=Began(None, "saved", NOW + 7200))

        assert keeper.received(None, None)[:2] == (NOW + 8200, "saved")

    @pytest.mark.parametrize(("max_error_us", "synchronized"), [(0, True), (15_999_999, True), (16_000_000, False)])
    def test_the_kernel_claims_less_than_16_s_of_error_once_somebody_disciplines_it(self, max_error_us, synchronized):
        assert kernel_clock.is_set(max_error_us) is synchronized


def moistures(store):
    return [
        (message.received_at, reading.at, reading.value)
        for message in uplinks_in(store)
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
            before, waiting = uplinks_in(store), service.status()["waiting_for_time"]
            clocks.boot_s, clocks.unix_s = 3000.0, NOW
            eventually(lambda: len(uplinks_in(store)) == 3)

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
            eventually(lambda: len(uplinks_in(store)) == 3)

        assert [at for _, at, _ in moistures(store)] == [1_799_998_000, 1_799_998_600, 1_799_999_200]

    def test_after_a_reboot_samples_without_a_time_are_dated_by_what_came_after_and_flagged(self, store, node):
        clocks = Clocks(0.0, boot_s=1000.0)
        with clocks.service(store) as service:
            receive_three(service, clocks, node)
        with Clocks(NOW, boot_s=10.0, boot_id="second").service(store) as service:
            eventually(lambda: len(uplinks_in(store)) == 3)
            quarantined = service.status()["quarantine"]

        # the last was received at second 2200 of a boot that ended, at the latest, when the next began: at NOW - 10
        assert moistures(store) == [
            (NOW - 1210, 1_799_998_790, 30.0), (NOW - 610, 1_799_999_390, 25.0), (NOW - 10, 1_799_999_990, 20.0)
        ]  # fmt: skip
        assert {message.time_quality for message in uplinks_in(store)} == {"saved"}
        assert quarantined == 0

    def test_a_boot_that_learned_the_time_too_late_to_date_its_uplinks_dates_them_in_the_next(self, store, node):
        clocks = Clocks(0.0, boot_s=1000.0)
        with clocks.service(store) as service:
            receive_three(service, clocks, node)
        with store.transaction() as ledger:  # the power went between the two transactions
            ledger.note_boot("first", 2300.0, Offset(NOW - 2300, "concentrator"))
        with Clocks(NOW + 86_400, boot_s=10.0, boot_id="second").service(store):
            eventually(lambda: len(uplinks_in(store)) == 3)

        assert [at for at, _, _ in moistures(store)] == [NOW - 1300, NOW - 700, NOW - 100]
        assert {message.time_quality for message in uplinks_in(store)} == {"concentrator"}

    def test_after_a_reboot_samples_with_a_time_of_their_own_go_to_the_cloud(self, store, node):
        clocks = Clocks(0.0)
        with clocks.service(store) as service:
            receive_three(service, clocks, node, gps_s=1_455_000_000)
        with Clocks(NOW, boot_s=10.0, boot_id="second").service(store):
            eventually(lambda: len(uplinks_in(store)) == 3)

        session = store.ledger.sessions(node.dev_addr)[0].session
        assert [message.key for message in uplinks_in(store)] == [UplinkKey(node.dev_eui, session, n) for n in range(3)]
        assert moistures(store)[0] == (1_770_964_782.0, 1_770_964_782, 30.0)
        assert {message.time_quality for message in uplinks_in(store)} == {"ntp"}

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
        assert (duplicates, len(uplinks_in(store))) == (1, 1)


class TestRestoredClockOfTheService:
    """Estimates go on at once and are put right while they are still here."""

    def test_what_the_cloud_does_not_have_is_dated_anew_once_the_clock_is_set(self, store, node):
        clocks = Clocks(NOW, boot_s=1000.0)
        clocks.synchronized = False
        with clocks.service(store) as service:
            receive_three(service, clocks, node)
            before = uplinks_in(store)
            sure_before = service.status()["clock_sure"]
            clocks.unix_s, clocks.boot_s, clocks.synchronized = NOW + 90_000, 4000.0, True
            eventually(lambda: {message.time_quality for message in uplinks_in(store)} == {"ntp"})
            eventually(lambda: service.status()["counters"]["times_repaired"] == 3)  # counted after the commit
            sure_after = service.status()["clock_sure"]

        assert [(message.received_at, message.time_quality) for message in before] == [(NOW, "saved")] * 3
        assert moistures(store) == [
            (NOW + 87_000, 1_800_087_000, 30.0),
            (NOW + 87_600, 1_800_087_600, 25.0),
            (NOW + 88_200, 1_800_088_200, 20.0),
        ]
        assert (sure_before, sure_after) == (0, 1)
        assert store.connection.execute("SELECT count(*) FROM estimated").fetchone() == (0,)
        assert_sizes_add_up(store)

    def test_what_the_cloud_has_stays_as_it_was(self, store, node):
        clocks = Clocks(NOW, boot_s=1000.0)
        clocks.synchronized = False
        with clocks.service(store) as service:
            receive_three(service, clocks, node)
        with store.transaction() as ledger:
            ledger.confirm(1, 2, 7, 2)
        clocks.synchronized = True
        with clocks.service(store) as service:
            eventually(lambda: uplinks_in(store)[-1].time_quality == "ntp")

        assert [message.time_quality for message in uplinks_in(store)] == ["saved", "saved", "ntp"]
        assert_sizes_add_up(store)

    def test_a_node_is_not_told_a_time_that_was_only_restored(self, store, node):
        clocks = Clocks(NOW)
        clocks.synchronized = False
        with clocks.service(store) as service, Concentrator(service.gwmp_port) as concentrator:
            concentrator.pull()
            join(concentrator, node, **NO_TIME)
            send(concentrator, node.uplink(f_opts=b"\x0d"), **NO_TIME)  # an answer would come before the PUSH_ACK

    def test_samples_with_a_time_of_their_own_need_none(self, store, node):
        clocks = Clocks(NOW)
        clocks.synchronized = False
        with clocks.service(store) as service:
            receive_three(service, clocks, node, gps_s=1_455_000_000)

        assert moistures(store)[0] == (1_770_964_782.0, 1_770_964_782, 30.0)
        assert {message.time_quality for message in uplinks_in(store)} == {"ntp"}


def assert_sizes_add_up(store):
    for lane in store.ledger.lanes():
        query = f"SELECT coalesce(sum(length(record) + 16), 0) FROM outbox_{lane.lane}"
        assert store.connection.execute(query).fetchone() == (lane.bytes,)


@pytest.mark.parametrize("trusted", [True, False])
def test_the_command_asks_the_kernel_unless_the_clock_is_trusted(tmp_path, trusted):
    path = write_config(tmp_path, network={"trust_clock": trusted}, page={"port": free_port()})

    with GatewayProcess(path):
        status = CliRunner().invoke(gateway, ["status", "--json", "--config", str(path)])

    assert json.loads(status.output)["clock_sure"] == int(trusted or kernel_clock.is_synchronized())
