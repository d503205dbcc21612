# SPDX-License-Identifier: EUPL-1.2
"""A Heltec V3 with its sensors on the bench, running the firmware as it ships, and a small network on the air."""

from pathlib import Path

import loramsg

from decoders.layouts.tree import LAYOUT as TREE
from decoders.payload_reader import read
from firmware.provisioning import pack_identity
from simulators.air import Air, PathLoss, Position
from simulators.board import KINDS
from simulators.city import Truth
from simulators.clock import Clock
from simulators.firmware_build import build, build_rom
from simulators.kernel import Kernel
from simulators.lorawan_frame import lorawan_frame
from simulators.node_states import State
from simulators.tree_node import TreeNode, provisioned_flash
from tests.firmware.lorawan_peer import APP_KEY, DEV_ADDR, IDENTITY, join_accept, session_keys

S = 1_000_000
HOUR = 3600 * S
GPS_AT_0 = 1_450_000_000  # network time when the clock stands at 0
BATTERY_MV = 3_910  # a whole millivolt at the converter
FROM_FILES = "96wK"  # as ROM, as they ship, they need less


def identity_of(interval_s, **options):
    """What provisioning writes for the bench's node."""
    return pack_identity(IDENTITY.dev_eui, IDENTITY.join_eui, APP_KEY, interval_s, **options)


IDENTITY_BIN = identity_of(3600)


class Network:
    """Listens to everything, answers as told. ``heard``: (start us, fields) of every uplink it could verify.

    ``joins`` says whether join requests are answered, ``tells_time`` whether DeviceTimeReq is, ``hears`` whether it
    answers data at all, ``least_sf`` what it hears join requests from; ``window`` is 1 or 2.
    """

    def __init__(self, clock, air, app_key=APP_KEY):
        self._clock = clock
        self._app_key = app_key
        self._air = air
        air.attach(self)
        self.joins = True
        self.tells_time = True
        self.hears = True
        self.least_sf = 7
        self.window = 1
        self.transmissions = []
        self.join_requests = []
        self.sessions = []
        self.heard_uplinks = []
        self.downlinks = 0

    def heard(self, transmission):
        if not transmission.iq_inverted:
            self.transmissions.append(transmission)
            self._clock.at(transmission.end_us, lambda: self._ended(transmission))

    def _ended(self, sent):
        kind = loramsg.sanity_check_frame(sent.phy_payload)
        if kind == loramsg.FrmType.JREQ:
            loramsg.verify_jreq(self._app_key, sent.phy_payload)
            dev_nonce = loramsg.unpack_jreq(sent.phy_payload)["DevNonce"]
            self.join_requests.append((sent, dev_nonce))
            if self.joins and sent.sf >= self.least_sf:
                join_nonce = len(self.sessions) + 1
                self.sessions.append((session_keys(dev_nonce, join_nonce, self._app_key), -1))
                self.send(sent, join_accept(join_nonce, app_key=self._app_key), delay_s=5)
            return
        (nwk_s_key, app_s_key), last = self.sessions[-1]
        fields = loramsg.unpack_dataframe(sent.phy_payload, max(last, 0), nwk_s_key, app_s_key)
        self.sessions[-1] = ((nwk_s_key, app_s_key), fields["FCnt"])
        self.heard_uplinks.append((sent, fields))
        if b"\x02" in fields["FOpts"] and self.hears:
            self.answer(sent, f_opts=b"\x02\x14\x01")
        if b"\x0d" in fields["FOpts"] and self.tells_time and self.hears:
            fraction, gps_s = sent.end_us % S * 256 // S, GPS_AT_0 + sent.end_us // S
            self.answer(sent, f_opts=b"\x0d" + gps_s.to_bytes(4, "little") + bytes([fraction]))

    def answer(self, sent, **frame):
        """A data downlink in the window of ``sent``."""
        (nwk_s_key, app_s_key), _ = self.sessions[-1]
        port = frame.get("port")
        phy_payload = loramsg.pack_dataframe(
            loramsg.FrmType.DADN, DEV_ADDR, 0, self.downlinks, frame.get("f_opts", b""), port,
            frame.get("payload", b""), nwk_s_key, app_s_key,
        )  # fmt: skip
        self.downlinks += 1
        self.send(sent, phy_payload, delay_s=1)

    def tells(self, port, payload):
        """The next uplink that it can read is answered with this and nothing else; later ones as always."""
        original, waiting = self._ended, [payload]

        def ended(sent):
            heard = len(self.heard_uplinks)
            hears, tells_time = self.hears, self.tells_time
            if waiting:
                self.hears = self.tells_time = False
            original(sent)
            self.hears, self.tells_time = hears, tells_time
            if waiting and len(self.heard_uplinks) > heard:
                self.answer(sent, port=port, payload=waiting.pop())

        self._ended = ended

    def send(self, sent, phy_payload, delay_s):
        start_us = sent.end_us + (delay_s + self.window - 1) * S
        frequency_hz, sf = (sent.frequency_hz, sent.sf) if self.window == 1 else (869_525_000, 12)
        down = lorawan_frame(start_us, frequency_hz, sf, phy_payload, Position(500.0, 0.0), down=True)
        self._clock.at(start_us, lambda: self._air.transmit(down))


class Street:
    """One node at a tree, one network, nothing else. ``identity`` None: as it left the factory of the board.

    The firmware is built in ``folder / "firmware"`` and runs in place from ROM, as it ships; ``files``: from the files,
    for a test that exchanges modules while the node lives. ``firmware``: compiled modules that are there already.
    """

    def __init__(
        self,
        folder: Path,
        *,
        kind: str = "heltec_v3",
        identity: bytes | None = IDENTITY_BIN,
        files=False,
        firmware: Path | None = None,
        app_key: bytes = APP_KEY,
        loss_db=100.0,
        **options,
    ):
        self.clock = clock = Clock()
        self.air = Air(clock, model=PathLoss(loss_db, 1.0, 0.0, 0.0, 0.0))
        self.network = Network(clock, self.air, app_key)
        self.truth = Truth(23.45, 18.2, 21.5, 0.0)
        flash = None if identity is None else provisioned_flash(identity)
        files = files or firmware is not None
        if firmware is None:
            firmware = (build if files else build_rom)(folder / "firmware", board=KINDS[kind].firmware)
        if files:
            options = {"heap": FROM_FILES, **options}
        self.tree = TreeNode(
            clock, self.air, firmware, lambda _: self.truth, kind, flash=flash, noise_percent=0.0, adc_noise_uv=0.0,
            battery_mv=BATTERY_MV, **options,
        )  # fmt: skip
        self.node = self.tree.bench
        self.radio = self.tree.radio
        self.kernel = Kernel(clock, [self.node])

    def run(self, seconds: float) -> None:
        self.kernel.run_until(self.clock.now_us + round(seconds * S))

    def f_cnts(self) -> list[int]:
        return [fields["FCnt"] for _, fields in self.network.heard_uplinks]

    def assert_healthy(self) -> None:
        """Nothing crashed, nothing was set up to work badly, no chip refused anything."""
        assert self.tree.complaints() == []
        assert self.radio.degradations == []
        assert self.node.console() == "", self.node.console()


def switched_on(street, seconds=60.0):
    """The street, its node switched on and left alone for some time."""
    street.node.power_on()
    street.run(seconds)
    return street


def messages(street):
    """(start of the uplink us, decoded message) of all that carry readings."""
    return [
        (sent.start_us, read(TREE, fields["FRMPayload"]))
        for sent, fields in street.network.heard_uplinks
        if fields["FPort"] == TREE.f_port
    ]


def power_fails(street, operations):
    """Switch on and let power fail just before the operation of that number."""
    node = street.node
    node.cut_at_operation = node.operations + operations
    node.power_on()
    street.kernel.run_until(street.clock.now_us + HOUR, lambda: node.state is State.OFF)
    assert node.state is State.OFF
