# SPDX-License-Identifier: EUPL-1.2
"""The join server: answers a Join-Request, or refuses it. TS001-1.0.4 "End-device activation".

Values in, values out; what must be remembered goes through the ledger, and so is on the disk before the answer leaves.
"""

from collections import OrderedDict
from typing import NamedTuple

from decoders.lorawan.frame import JoinAccept, JoinRequest, derive_session_keys, verify_join_request
from decoders.lorawan.region import JOIN_ACCEPT_DELAY1_MS, cf_list
from gateway import mac_control
from gateway.config import DevAddrBlock
from gateway.errors import Refused
from gateway.mac_control import Wanted
from gateway.radio import Answer, Priority, Reception, Variant, may_transmit_on, windows_after
from gateway.store import Device, Ledger

_AS_BY_DEFAULT = Wanted()
_REMEMBERED = 1000
_MAX_JOIN_NONCE = (1 << 24) - 1


class Joined(NamedTuple):
    """A new session; ``answer`` is the Join-Accept."""

    dev_eui: str
    dev_addr: int
    data_rate: int
    rssi_dbm: float
    answer: Answer


class JoinServer:
    """Hands out sessions with addresses of one block."""

    def __init__(
        self, net_id: int, dev_addr_block: DevAddrBlock, duplicate_window_s: float, wanted: Wanted = _AS_BY_DEFAULT
    ) -> None:
        self._net_id = net_id
        self._wanted = wanted
        self._block = dev_addr_block
        self._window_s = duplicate_window_s
        self._answered: OrderedDict[bytes, float] = OrderedDict()  # PHYPayload: received at

    def answer(self, reception: Reception, ledger: Ledger) -> Joined:
        """Accept one Join-Request; raises Refused, MalformedFrame or MicMismatch.

        "DevNonce ... SHALL never be reused": it must rise, and 0 is a valid first one.
        """
        request = JoinRequest.parse(reception.phy_payload)
        device = _device(request, ledger)
        verify_join_request(reception.phy_payload, device.app_key)
        if request.dev_nonce <= device.dev_nonce:
            raise Refused("duplicate" if self._is_copy(reception) else "dev_nonce_reused")
        data_rate = reception.data_rate
        if not may_transmit_on(reception.frequency_hz):
            raise Refused("unknown_frequency")
        if device.join_nonce >= _MAX_JOIN_NONCE:
            raise Refused("no_join_nonce_left")
        accept = JoinAccept(
            join_nonce=device.join_nonce + 1,
            net_id=self._net_id,
            dev_addr=ledger.allocate_dev_addr(self._block),
            # RX1DROffset (bits 6..4), RX2 data rate (bits 3..0). TS001-1.0.4 "Join-Accept frame"
            dl_settings=self._wanted.rx1_dr_offset << 4 | self._wanted.rx2[1],
            rx_delay=self._wanted.rx1_delay_s,
            cf_list=cf_list(self._wanted.channels_hz) if self._wanted.channels_hz else b"",
        )
        keys = derive_session_keys(device.app_key, accept.join_nonce, self._net_id, request.dev_nonce)
        state = mac_control.joined(self._wanted, reception.received_at)
        ledger.record_join(
            device.dev_eui, request.dev_nonce, accept.join_nonce, accept.dev_addr, *keys, mac_control.serialize(state)
        )
        self._remember(reception)
        variant = Variant(Priority.JOIN_ACCEPT, accept.serialize(device.app_key))
        answer = Answer(device.dev_eui, windows_after(reception, JOIN_ACCEPT_DELAY1_MS), (variant,))
        return Joined(device.dev_eui, accept.dev_addr, data_rate, reception.rssi_dbm, answer)

    def _is_copy(self, reception: Reception) -> bool:
        """The same frame through another concentrator. (Remembered in memory: after a restart it counts as reuse.)"""
        at = self._answered.get(reception.phy_payload)
        return at is not None and abs(reception.received_at - at) <= self._window_s

    def _remember(self, reception: Reception) -> None:
        self._answered[reception.phy_payload] = reception.received_at
        if len(self._answered) > _REMEMBERED:
            self._answered.popitem(last=False)


def _device(request: JoinRequest, ledger: Ledger) -> Device:
    device = ledger.device(request.dev_eui)
    if device is None:
        raise Refused("unknown_dev_eui")
    if request.join_eui != device.join_eui:
        raise Refused("unknown_join_eui")
    return device
