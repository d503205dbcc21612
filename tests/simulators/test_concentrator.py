# SPDX-License-Identifier: EUPL-1.2
import json
import random
import select

import pytest

from simulators.air import Position
from simulators.concentrator import Concentrator
from simulators.gwmp_forwarder import GatewaySilent
from tests.simulators.gwmp_server import EPOCH, EUI, Server, txpk
from tests.simulators.sf7_frame import sf7_frame


class Waits:
    """The forwarder's real time: waiting for a silent server is over at once, and written down; for an answer it waits.

    Stands for the modules ``time`` and ``select`` there.
    """

    def __init__(self, server):
        self._server = server
        self.waited_s = 0.0

    def monotonic(self):
        return self.waited_s

    def select(self, readable, writable, exceptional, timeout_s):
        if not self._server.silent:
            return select.select(readable, writable, exceptional, 60)
        self.waited_s += timeout_s
        return [], [], []


@pytest.fixture
def waits(server, monkeypatch):
    waits = Waits(server)
    monkeypatch.setattr("simulators.gwmp_forwarder.time", waits)
    monkeypatch.setattr("simulators.gwmp_forwarder.select", waits)
    return waits


class TestPushData:
    """PROTOCOL.md 3.2 "PUSH_DATA packet" and 4 "Upstream JSON data structure"."""

    def test_an_uplink_arrives_with_everything_a_network_server_needs(self, clock, air, server, build):
        build(counter_at_start=5_000)
        clock.run_until(1_000_000)

        air.transmit(sf7_frame(clock))
        clock.run_until(2_000_000)

        # Free of shadowing: 14 dBm + 2.15 dBi - 128.95 dB; noise -174 + 51 + 6 dBm
        assert server.rxpks() == [
            {
                "jver": 1,
                "tmst": 1_046_216,
                "time": "2026-05-28T20:26:41.041216Z",
                "tmms": 1_464_035_219_041,
                "chan": 0,
                "rfch": 1,
                "freq": 868.1,
                "stat": 1,
                "modu": "LORA",
                "datr": "SF7BW125",
                "codr": "4/5",
                "rssi": -111,
                "rssis": -113,
                "lsnr": 4.2,
                "size": 12,
                "data": "AAECAwQFBgcICQoL",
            }
        ]
        assert server.euis == {EUI}

    def test_the_counter_wraps_after_32_bits(self, clock, air, server, build):
        build(counter_at_start=0xFFFF_FFFF)

        air.transmit(sf7_frame(clock))
        clock.run_until(1_000_000)

        assert [rxpk["tmst"] for rxpk in server.rxpks()] == [41_215]

    def test_all_eight_channels_are_heard_and_nothing_between_them(self, clock, air, server, build):
        build()

        for n, hz in enumerate((868_100_000, 868_700_000, 867_100_000, 867_900_000, 867_930_000, 867_940_000)):
            clock.run_until(n * 1_000_000)
            air.transmit(sf7_frame(clock, frequency_hz=hz))
        clock.run_until(10_000_000)

        assert [(r["chan"], r["rfch"], r["freq"]) for r in server.rxpks()] == [
            (0, 1, 868.1),
            (3, 0, 867.1),
            (7, 0, 867.9),
            (7, 0, 867.9),
        ]

    @pytest.mark.parametrize(
        "foreign",
        [{"iq_inverted": True}, {"sync_word": 0x1424}, {"bandwidth_hz": 250_000}, {"implicit_header": True}],
        ids=lambda changes: next(iter(changes)),
    )
    def test_what_is_not_a_lorawan_uplink_is_not_heard(self, clock, air, server, build, foreign):
        concentrator = build()

        air.transmit(sf7_frame(clock, **foreign))
        clock.run_until(1_000_000)

        assert concentrator.counters.heard == 0
        assert server.rxpks() == []

    def test_a_packet_without_crc_or_with_the_wrong_optimisation_is_not_forwarded(self, clock, air, server, build):
        concentrator = build()

        air.transmit(sf7_frame(clock, crc_on=False))
        clock.run_until(1_000_000)
        air.transmit(sf7_frame(clock, low_data_rate=True))
        clock.run_until(2_000_000)

        assert (concentrator.counters.no_crc, concentrator.counters.crc_bad) == (1, 1)
        assert server.rxpks() == []

    def test_a_packet_below_the_sensitivity_of_its_spreading_factor_is_lost(self, clock, air, server, build):
        concentrator = build()
        # 132.45 dB down SF7 ends (SNR -7.5 dB): 14 + 2.15 - loss = -124.5 dBm at 3.6 km
        air.transmit(sf7_frame(clock, position=Position(3_800.0, 0.0)))
        clock.run_until(1_000_000)
        air.transmit(sf7_frame(clock, position=Position(3_800.0, 0.0), sf=8))
        clock.run_until(2_000_000)

        assert concentrator.counters.too_weak == 1
        assert [(rxpk["datr"], rxpk["lsnr"]) for rxpk in server.rxpks()] == [("SF8BW125", -9.2)]

    def test_a_stat_comes_every_thirty_seconds(self, clock, air, server, build):
        build(latitude_longitude=(50.93, 11.59))
        air.transmit(sf7_frame(clock))

        clock.run_until(60_000_000)

        stats = [json.loads(body)["stat"] for _, _, body in server.of(0) if b'"stat":{' in body]
        assert stats[0] == {
            "time": "2026-05-28 20:27:10 GMT",
            "lati": 50.93,
            "long": 11.59,
            "rxnb": 1,
            "rxok": 1,
            "rxfw": 1,
            "ackr": 100.0,
            "dwnb": 0,
            "txnb": 0,
        }
        assert len(stats) == 2


class TestDemodulators:
    """SX1302 data sheet: 16 packets at a time; half duplex."""

    def test_the_packet_after_the_last_free_demodulator_is_lost(self, clock, air, server, build):
        concentrator = build(demodulators=2)

        for hz in (868_100_000, 868_300_000, 868_500_000):
            air.transmit(sf7_frame(clock, frequency_hz=hz))
        clock.run_until(1_000_000)

        assert concentrator.counters.no_demodulator == 1
        assert [rxpk["freq"] for rxpk in server.rxpks()] == [868.1, 868.3]

    def test_nothing_is_received_while_transmitting(self, clock, air, server, build):
        concentrator = build()
        server.downlinks = lambda rxpk: [txpk(tmst=1_000_000)]
        air.transmit(sf7_frame(clock))
        clock.run_until(990_000)
        server.downlinks = lambda rxpk: []

        air.transmit(sf7_frame(clock))  # under way when the transmitter starts
        clock.run_until(1_005_000)
        air.transmit(sf7_frame(clock))  # preamble gone before the transmitter ends
        clock.run_until(1_500_000)

        assert (concentrator.counters.sent, concentrator.counters.half_duplex) == (1, 2)
        assert concentrator.counters.crc_bad == 0
        assert len(server.rxpks()) == 1

    def test_a_long_preamble_outlasts_a_short_transmission(self, clock, air, server, build):
        concentrator = build()
        server.downlinks = lambda rxpk: [txpk(tmst=1_000_000)]
        air.transmit(sf7_frame(clock))
        clock.run_until(1_000_000)
        server.downlinks = lambda rxpk: []

        # SF12: 8 symbols of 32.768 ms; the transmitter ends after 41.216 ms and leaves more than five of them
        air.transmit(sf7_frame(clock, sf=12, low_data_rate=True, end_us=clock.now_us + 1_155_072))
        clock.run_until(5_000_000)

        assert concentrator.counters.half_duplex == 0
        assert [rxpk["datr"] for rxpk in server.rxpks()] == ["SF7BW125", "SF12BW125"]


class TestHold:
    """PROTOCOL.md 3.1: the server acknowledges at once; here virtual time waits for it."""

    def test_virtual_time_stands_until_the_acknowledgement(self, clock, air, server, build):
        delivered = []
        build(on_uplink=lambda time_us, phy: delivered.append((time_us, phy.hex())))

        air.transmit(sf7_frame(clock))
        clock.run_until(41_216)

        assert delivered == [(41_216, "000102030405060708090a0b")]

    def test_pull_data_goes_out_before_the_first_push_data(self, clock, air, server, build):
        build()

        air.transmit(sf7_frame(clock))
        clock.run_until(1_000_000)

        assert [kind for kind, _, _ in server.received] == [2, 0]

    def test_an_unanswered_uplink_is_counted_and_never_sent_again(self, clock, air, server, build, waits):
        concentrator = build(lockstep=False)
        server.silent = True

        air.transmit(sf7_frame(clock))
        clock.run_until(1_000_000)
        server.silent = False
        air.transmit(sf7_frame(clock, phy_payload=b"another"))
        clock.run_until(2_000_000)

        assert [rxpk["size"] for rxpk in server.rxpks()] == [12, 7]
        assert (concentrator.counters.received, concentrator.counters.delivered) == (2, 1)
        assert (concentrator.forwarder.pushed, concentrator.forwarder.unacked) == (2, 1)

    def test_a_silent_gateway_is_waited_for_only_once_at_length(self, clock, air, server, build, waits):
        build(lockstep=False, hold_s=2.0, short_hold_s=0.125)
        server.silent = True

        for n in range(5):
            clock.run_until(n * 1_000_000)
            air.transmit(sf7_frame(clock))
        clock.run_until(5_000_000)

        assert waits.waited_s == 2.0 + 9 * 0.125  # five PULL_DATA, five PUSH_DATA

    def test_a_stat_does_not_wait_for_a_silent_gateway(self, clock, air, server, build, waits):
        build(lockstep=False, hold_s=2.0, short_hold_s=0.125)
        server.silent = True
        air.transmit(sf7_frame(clock))

        clock.run_until(3_600_000_000)

        assert waits.waited_s == 2.0 + 0.125  # PULL_DATA and PUSH_DATA of the uplink, of an hour's stats none

    def test_the_way_back_is_opened_anew_after_silence(self, clock, air, server, build, waits):
        build(lockstep=False)
        for n, silent in enumerate((False, True, False, False)):
            server.silent = silent
            clock.run_until(n * 1_000_000)
            air.transmit(sf7_frame(clock))
            clock.run_until(n * 1_000_000 + 500_000)

        assert [kind for kind, _, _ in server.received] == [2, 0, 0, 2, 0, 0]

    def test_nobody_at_the_port_is_like_silence(self, clock, air, build, server):
        with Server() as gone:
            address = gone.address
        concentrator = Concentrator(clock, air, EUI, address, epoch_unix_s=EPOCH, hold_s=0.02, short_hold_s=0.01)

        air.transmit(sf7_frame(clock))
        clock.run_until(1_000_000)
        concentrator.close()

        assert concentrator.forwarder.unacked == 1

    def test_in_lockstep_silence_is_an_error(self, clock, air, server, build, monkeypatch):
        monkeypatch.setattr("simulators.gwmp_forwarder.LOCKSTEP_S", 0.05)
        build()
        server.silent = True
        air.transmit(sf7_frame(clock))

        with pytest.raises(GatewaySilent, match=r"no answer to PULL_DATA, token 0x0001, within 0\.05 s"):
            clock.run_until(1_000_000)

    def test_the_way_back_is_kept_open_in_real_time(self, clock, air, server, build):
        concentrator = build(keepalive_s=0.0)
        air.transmit(sf7_frame(clock))
        clock.run_until(1_000_000)

        concentrator.poll()

        assert len(server.settle(2, kind=2)) == 2

    def test_garbage_from_the_network_is_counted_and_passed_over(self, clock, air, server, build):
        concentrator = build()
        server.stray = [b"", b"\x01\x00\x00\x03{}", b"\x02\x00\x00\x09", b"\x02\x00\x00\x03{", b"\x02\x00\x00\x03[]"]

        air.transmit(sf7_frame(clock))
        clock.run_until(1_000_000)

        assert concentrator.counters.delivered == 1
        assert concentrator.forwarder.malformed == 5

    def test_random_datagrams_leave_a_forwarder_that_works(self, clock, air, server, build):
        concentrator = build()
        dice = random.Random(1)
        kinds = [b"", b"\x02\x00\x01\x03", b'\x02\x00\x01\x03{"txpk":', b"\x02\x00\x01\x03" + b"[" * 5000]
        server.stray = [dice.choice(kinds) + dice.randbytes(dice.randrange(20)) for _ in range(60)]

        air.transmit(sf7_frame(clock))
        clock.run_until(1_000_000)

        assert concentrator.counters.delivered == 1
        assert concentrator.forwarder.malformed + concentrator.counters.refused["MALFORMED"] == 60


class TestPullResp:
    """PROTOCOL.md 5.4 "PULL_RESP packet", 5.5 "TX_ACK packet", 6; jitqueue.c jit_enqueue()."""

    @pytest.fixture
    def answer(self, clock, air, server, build):
        """The server answers an uplink (ended at counter 41_216) with ``txpks``; returns the bodies of the TX_ACKs."""

        def answer(*txpks, **options):
            concentrator = build(**options)
            server.downlinks = lambda rxpk: list(txpks)
            air.transmit(sf7_frame(clock))
            clock.run_until(41_216)
            expected = len(txpks) - concentrator.counters.refused["MALFORMED"]
            return concentrator, [body for _, _, body in server.settle(expected, kind=5)]

        return answer

    def test_an_accepted_downlink_starts_exactly_at_its_tmst(self, clock, air, answer):
        concentrator, acks = answer(txpk(tmst=1_041_216))
        heard = []
        air.attach(type("Ear", (), {"heard": staticmethod(heard.append)}))

        clock.run_until(5_000_000)

        assert acks == [b""]
        assert [(t.start_us, t.end_us, t.frequency_hz, t.power_dbm, t.iq_inverted, t.crc_on) for t in heard] == [
            (1_041_216, 1_082_432, 868_100_000, 16.15, True, False)  # 41.216 ms: 12 bytes at SF7
        ]
        assert concentrator.counters.sent == 1

    def test_success_may_be_spelled_out(self, answer):
        _, acks = answer(txpk(), explicit_none=True)

        assert acks == [b'{"txpk_ack": {"error": "NONE"}}']

    @pytest.mark.parametrize(
        ("tmst", "error"),
        [
            (41_216 + 42_500, "TOO_LATE"),
            (41_216 + 42_501, None),
            (41_216 + 512_000_000, None),
            (41_216 + 512_000_001, "TOO_EARLY"),
            (41_216 - 1 + (1 << 32) - 5_000_000, "TOO_EARLY"),  # five seconds ago
        ],
    )
    def test_the_counter_decides_what_is_too_late_and_too_early(self, answer, tmst, error):
        concentrator, acks = answer(txpk(tmst=tmst))

        assert acks == ([b""] if error is None else [json.dumps({"txpk_ack": {"error": error}}).encode()])
        assert concentrator.counters.refused == ({} if error is None else {error: 1})

    def test_two_downlinks_may_not_overlap(self, clock, answer):
        # 41.216 ms on the air, 41.5 ms before the next and 1 ms between them are taken
        concentrator, acks = answer(txpk(tmst=1_000_000), txpk(tmst=1_083_716), txpk(tmst=1_083_717))

        clock.run_until(5_000_000)

        assert acks == [b"", b'{"txpk_ack": {"error": "COLLISION_PACKET"}}', b""]
        assert concentrator.counters.sent == 2

    def test_a_frequency_outside_the_transmitter_is_refused(self, answer):
        _, acks = answer(txpk(freq=902.3))

        assert acks == [b'{"txpk_ack": {"error": "TX_FREQ"}}']

    def test_a_power_not_in_the_table_is_lowered_and_said(self, clock, air, answer):
        _, acks = answer(txpk(powe=30))

        assert acks == [b'{"txpk_ack": {"warn": "TX_POWER", "value": 27}}']

    def test_an_immediate_downlink_goes_into_the_first_gap(self, clock, air, answer):
        heard = []
        air.attach(type("Ear", (), {"heard": staticmethod(heard.append)}))
        immediate = txpk(imme=True)
        del immediate["tmst"]

        answer(immediate, immediate)
        clock.run_until(5_000_000)

        # 80 ms from now; the second when the first is over (41.216 ms) and the queue's delays (82.5 ms)
        assert [t.start_us for t in heard if t.iq_inverted] == [121_216, 244_932]

    def test_a_gps_time_is_a_time(self, clock, air, answer):
        heard = []
        air.attach(type("Ear", (), {"heard": staticmethod(heard.append)}))
        timed = txpk(tmms=1_464_035_218_000 + 3_000)
        del timed["tmst"]

        answer(timed, counter_at_start=77)
        clock.run_until(5_000_000)

        assert [t.start_us for t in heard if t.iq_inverted] == [3_000_000]

    @pytest.mark.parametrize(
        "changes",
        [{"size": 11}, {"data": "not base64!"}, {"datr": "SF13BW125"}, {"brd": None}, {"freq": "868.1"}, {"tmst": "x"}],
        ids=lambda changes: next(iter(changes)),
    )
    def test_a_malformed_one_is_dropped_without_tx_ack(self, clock, answer, changes):
        concentrator, acks = answer(txpk(**changes))

        assert acks == []
        assert concentrator.counters.refused == {"MALFORMED": 1}
