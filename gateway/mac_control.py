# SPDX-License-Identifier: EUPL-1.2
"""MAC commands from the network's side: what a node should have is compared with what it has agreed to, and asked for.

A request is asked again until it is answered: each uplink answers, or shows that it did not arrive. Three tries in a
row have downlinks of their own, later ones every eighth uplink; any other downlink takes them along. What a node
refuses is not asked again. A sticky request (TS001-1.0.4 "MAC Commands": RXParamSetup, RXTimingSetup, DlChannel) is not
made while the uplink carries an answer of its kind: the node has not yet heard that we heard it.

TXParamSetupReq exists on other continents only: an EU868 node must not answer it (RP002-1.0.4), so it is never sent.
LinkCheckAns and DeviceTimeAns are answers: network_server.py. Values in, values out.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from decoders.lorawan import mac_commands as mac
from decoders.lorawan.region import EU868
from gateway.adr import Setting

_STICKY = frozenset((mac.RX_PARAM_SETUP, mac.RX_TIMING_SETUP, mac.DL_CHANNEL))
_TRIES_AT_ONCE = 3
_THEN_EVERY = 8
_DEFAULT_CHANNELS = len(EU868.default_channels_hz)
_ALL_RATES = 0x50  # DR5..DR0: NewChannelReq "DRRange"
_LINK_OK = _RX_OK = 0b111
_CHANNEL_OK = 0b11


class Wanted(NamedTuple):
    """What every node should have, by the configuration. ``rx2`` is (frequency_hz, DR).

    ``channels_hz`` are those after the default ones; ``rx1_hz`` has (uplink, downlink) frequencies of RX1.
    """

    rx1_dr_offset: int = 0
    rx2: tuple[int, int] = EU868.rx2
    rx1_delay_s: int = 1
    max_duty_cycle: int = 0
    channels_hz: tuple[int, ...] = ()
    rx1_hz: tuple[tuple[int, int], ...] = ()
    dev_status_every_s: int = 86_400


class State(NamedTuple):
    """What a node has agreed to in its session, and what is under way.

    ``pending``: requests of the last downlink, in order. ``refused``: such as it refused, and ``refused_rates``,
    ``refused_powers``: parts of LinkADRReq. ``at``: when it was last asked for its status, Unix s.
    """

    rx1_dr_offset: int = 0
    rx2: tuple[int, int] = EU868.rx2
    rx1_delay_s: int = 1
    max_duty_cycle: int = 0
    channels_hz: tuple[int, ...] = ()
    rx1_hz: tuple[tuple[int, int], ...] = ()
    mask: int = 0
    pending: tuple[bytes, ...] = ()
    tries: int = 0
    refused: tuple[bytes, ...] = ()
    refused_rates: tuple[int, ...] = ()
    refused_powers: tuple[int, ...] = ()
    at: float = 0.0

    def allows(self, setting: Setting) -> bool:
        """Whether the node has not refused a part of it."""
        return setting.data_rate not in self.refused_rates and setting.tx_power not in self.refused_powers

    def rx1_frequency_hz(self, uplink_hz: int) -> int:
        """Where the node listens in RX1. A concentrator may report the frequency some 100 Hz off."""
        return next((down for up, down in self.rx1_hz if abs(up - uplink_hz) < 1000), uplink_hz)


class Status(NamedTuple):
    """DevStatusAns: ``battery`` as on air; the SNR in dB at which the node heard the request."""

    battery: int
    margin_db: int


class Heard(NamedTuple):
    """What an uplink's answers have changed. ``setting``: what a LinkADRReq made it send with, if one was accepted."""

    state: State
    setting: Setting | None = None
    status: Status | None = None


def rx2_of(state: State, attempt: int) -> tuple[int, int]:
    """Where a node that listens all the time does so now: as it has agreed to.

    While a RXParamSetupReq is under way nobody knows whether it has arrived; every other ``attempt`` (from 0) assumes
    that it has. TS001-1.0.4 "Receive Window Parameters (RXParamSetupReq, RXParamSetupAns)".
    """
    asked = next((request for request in state.pending if request[0] == mac.RX_PARAM_SETUP), None)
    return _rx2(asked) if asked is not None and attempt % 2 else state.rx2


def _rx2(request: bytes) -> tuple[int, int]:
    return int.from_bytes(request[2:5], "little") * 100, request[1] & 0x0F


def joined(wanted: Wanted, at: float) -> State:
    """What a Join-Accept has given."""
    mask = (1 << (_DEFAULT_CHANNELS + len(wanted.channels_hz))) - 1
    return State(
        wanted.rx1_dr_offset,
        (EU868.rx2[0], wanted.rx2[1]),
        wanted.rx1_delay_s,
        channels_hz=wanted.channels_hz,
        mask=mask,
        at=at,
    )


def heard(state: State, commands: Sequence[tuple[int, bytes]], data_rate: int, lost: int) -> Heard:
    """What a new uplink says about the requests: answered, refused, or not arrived; then they are due again.

    ``lost`` frames before it: an answer that was in one of them can still be seen by the data rate.
    """
    waiting = list(state.pending)
    setting, status = None, None
    for cid, payload in commands:
        request = next((request for request in waiting if request[0] == cid), None)
        if request is None:
            continue
        waiting.remove(request)
        if cid == mac.LINK_ADR:
            state = _link_adr(state, request, payload[0])
            setting = _setting(request) if payload[0] & _LINK_OK == _LINK_OK else None
        elif cid == mac.DEV_STATUS:
            status = Status(payload[0], ((payload[1] & 0x3F) ^ 0x20) - 0x20)
        else:
            state = _apply(state, request, payload)
    for request in waiting:
        if lost and request[0] == mac.LINK_ADR and _setting(request).data_rate == data_rate:
            state, setting = _link_adr(state, request, _LINK_OK), _setting(request)
            waiting.remove(request)
            break
    tries = state.tries if waiting or not state.pending else 0
    return Heard(state._replace(pending=(), tries=tries), setting, status)


def _setting(request: bytes) -> Setting:
    return Setting(request[1] >> 4, request[1] & 0x0F, request[4] & 0x0F)


def _link_adr(state: State, request: bytes, status: int) -> State:
    if status & _LINK_OK == _LINK_OK:
        return state._replace(mask=int.from_bytes(request[2:4], "little"))
    data_rate, tx_power, _ = _setting(request)
    if not status & 2:
        state = state._replace(refused_rates=(*state.refused_rates, data_rate))
    if not status & 4:
        state = state._replace(refused_powers=(*state.refused_powers, tx_power))
    if not status & 1:  # it does not have all channels that we think it has: those it must have remain
        state = state._replace(mask=(1 << _DEFAULT_CHANNELS) - 1)
    return state


def _apply(state: State, request: bytes, answer: bytes) -> State:
    cid = request[0]
    if cid == mac.DUTY_CYCLE:
        return state._replace(max_duty_cycle=request[1])
    if cid == mac.RX_TIMING_SETUP:
        return state._replace(rx1_delay_s=request[1])
    if answer[0] != (_RX_OK if cid == mac.RX_PARAM_SETUP else _CHANNEL_OK):
        return state._replace(refused=(*state.refused, request))
    if cid == mac.RX_PARAM_SETUP:
        return state._replace(rx1_dr_offset=request[1] >> 4, rx2=_rx2(request))
    number, frequency_hz = request[1], int.from_bytes(request[2:5], "little") * 100
    if cid == mac.NEW_CHANNEL:
        channels = list(state.channels_hz) + [0] * (number - _DEFAULT_CHANNELS + 1 - len(state.channels_hz))
        channels[number - _DEFAULT_CHANNELS] = frequency_hz
        while channels and not channels[-1]:
            channels.pop()
        mask = state.mask | 1 << number if frequency_hz else state.mask & ~(1 << number)
        return state._replace(channels_hz=tuple(channels), mask=mask)
    channels_hz = (*EU868.default_channels_hz, *state.channels_hz)
    if number >= len(channels_hz):  # gone by an answer in the same frame
        return state
    uplink_hz = channels_hz[number]
    return state._replace(rx1_hz=(*(pair for pair in state.rx1_hz if pair[0] != uplink_hz), (uplink_hz, frequency_hz)))


def requests(
    state: State, wanted: Wanted, now: float | None, link_adr: Setting | None, answered: Sequence[int]
) -> list[bytes]:
    """What is to be asked for, the most pressing first. ``answered``: the CIDs in this uplink.

    ``link_adr``: what the node should send with, if that is another setting than now.
    """
    made = []
    if link_adr is not None:
        made.append(_link_adr_req(state, link_adr))
    if (state.rx1_dr_offset, state.rx2) != (wanted.rx1_dr_offset, wanted.rx2):
        rx2_hz, rx2_dr = wanted.rx2
        made.append(bytes([mac.RX_PARAM_SETUP, wanted.rx1_dr_offset << 4 | rx2_dr]) + _frequency(rx2_hz))
    if state.rx1_delay_s != wanted.rx1_delay_s:
        made.append(bytes([mac.RX_TIMING_SETUP, wanted.rx1_delay_s]))
    for place in range(max(len(state.channels_hz), len(wanted.channels_hz))):
        has, should = (
            channels[place] if place < len(channels) else 0 for channels in (state.channels_hz, wanted.channels_hz)
        )
        if has != should:
            made.append(bytes([mac.NEW_CHANNEL, _DEFAULT_CHANNELS + place]) + _frequency(should) + bytes([_ALL_RATES]))
    made += _dl_channel_reqs(state, wanted)
    if state.max_duty_cycle != wanted.max_duty_cycle:
        made.append(bytes([mac.DUTY_CYCLE, wanted.max_duty_cycle]))
    if wanted.dev_status_every_s and now is not None and now - state.at >= wanted.dev_status_every_s:
        made.append(bytes([mac.DEV_STATUS]))
    return [
        request for request in made
        if request not in state.refused and not (request[0] in _STICKY and request[0] in answered)
    ]  # fmt: skip


def _link_adr_req(state: State, setting: Setting) -> bytes:
    mask = state.mask or (1 << _DEFAULT_CHANNELS) - 1
    return bytes([mac.LINK_ADR, setting.data_rate << 4 | setting.tx_power, mask & 0xFF, mask >> 8, setting.nb_trans])


def _dl_channel_reqs(state: State, wanted: Wanted) -> list[bytes]:
    has, should = dict(state.rx1_hz), dict(wanted.rx1_hz)
    made = []
    for number, uplink_hz in enumerate((*EU868.default_channels_hz, *state.channels_hz)):
        frequency_hz = should.get(uplink_hz, uplink_hz)
        if uplink_hz and has.get(uplink_hz, uplink_hz) != frequency_hz:
            made.append(bytes([mac.DL_CHANNEL, number]) + _frequency(frequency_hz))
    return made


def _frequency(frequency_hz: int) -> bytes:
    return (frequency_hz // 100).to_bytes(3, "little")


def asked(state: State, made: Sequence[bytes], room: int, now: float | None) -> State:
    """The state once those of ``made`` that fit into ``room`` bytes are in a downlink, in their order."""
    pending: list[bytes] = []
    for request in made:
        if len(request) <= room:
            pending.append(request)
            room -= len(request)
    at = now if now is not None and bytes([mac.DEV_STATUS]) in pending else state.at
    return state._replace(pending=tuple(pending), tries=state.tries + bool(pending), at=at)


def worth_a_downlink(state: State) -> bool:
    """Whether requests are sent on their own now, or wait for a downlink that goes anyway."""
    return state.tries < _TRIES_AT_ONCE or state.tries % _THEN_EVERY == 0


def passed_over(state: State) -> State:
    """Requests were due, but no downlink was worth it."""
    return state._replace(tries=state.tries + 1)


def serialize(state: State) -> str:
    """For the database: JSON of what is not as by default."""
    values = {name: value for name, value in state._asdict().items() if value != State._field_defaults[name]}
    for name in ("pending", "refused"):
        if name in values:
            values[name] = [request.hex() for request in values[name]]
    return json.dumps(values, separators=(",", ":"))


def parse(text: str) -> State:
    """What ``serialize`` wrote."""
    if text == "{}":
        return State()
    values = json.loads(text)
    for name in ("pending", "refused"):
        if name in values:
            values[name] = tuple(bytes.fromhex(request) for request in values[name])
    for name in ("rx2", "channels_hz", "refused_rates", "refused_powers"):
        if name in values:
            values[name] = tuple(values[name])
    if "rx1_hz" in values:
        values["rx1_hz"] = tuple((up, down) for up, down in values["rx1_hz"])
    return State(**values)
