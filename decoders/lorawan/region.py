# SPDX-License-Identifier: EUPL-1.2
"""Channel plans: RP002-1.0.4 as data. Frequencies and bandwidths in Hz, lengths in bytes."""

from collections import namedtuple

from decoders.lorawan.errors import FieldRange, MalformedFrame

# RP002-1.0.4 "Default Settings", the same in every region
RECEIVE_DELAY1_MS = 1000
RECEIVE_DELAY2_MS = 2000  # always RECEIVE_DELAY1 + 1 s
JOIN_ACCEPT_DELAY1_MS = 5000
JOIN_ACCEPT_DELAY2_MS = 6000


# Rows of tables: as subclasses of namedtuples each would take twice as much of a node's heap.
if False:  # types only
    from typing import NamedTuple

    class DataRate(NamedTuple):
        """``max_payload`` is M, the longest MACPayload: FHDR, FPort and FRMPayload together."""

        sf: int
        bandwidth_hz: int
        max_payload: int

    class SubBand(NamedTuple):
        """A stretch of spectrum with one duty cycle budget, for nodes and gateways alike."""

        low_hz: int
        high_hz: int
        duty_permille: int
        max_erp_dbm: int


DataRate = namedtuple("DataRate", ("sf", "bandwidth_hz", "max_payload"))  # type: ignore[no-redef]
SubBand = namedtuple("SubBand", ("low_hz", "high_hz", "duty_permille", "max_erp_dbm"))  # type: ignore[no-redef]


class Plan(
    namedtuple(
        "Plan",
        (
            "name",
            "data_rates",
            "default_channels_hz",
            "sub_bands",
            "rx2",
            "max_rx1_dr_offset",
            "max_eirp_dbm",
        ),
    )
):
    """A region. ``data_rates`` by DR; ``rx2`` is (frequency_hz, DR)."""

    name: str
    data_rates: tuple[DataRate, ...]
    default_channels_hz: tuple[int, ...]
    sub_bands: tuple[SubBand, ...]
    rx2: tuple[int, int]
    max_rx1_dr_offset: int
    max_eirp_dbm: int

    def rx1_dr(self, up_dr: int, offset: int) -> int:
        """The DR of RX1 after an uplink at ``up_dr``; raises FieldRange. RP002-1.0.4 "EU863-870 Receive Windows"."""
        if not 0 <= offset <= self.max_rx1_dr_offset:
            raise FieldRange("RX1DROffset", offset)
        if not 0 <= up_dr < len(self.data_rates):
            raise FieldRange("DR", up_dr)
        return max(0, up_dr - offset)

    def sub_band(self, frequency_hz: int) -> SubBand:
        """The sub-band whose budget a transmission on ``frequency_hz`` spends; raises FieldRange."""
        for band in self.sub_bands:
            if band.low_hz <= frequency_hz < band.high_hz:
                return band
        raise FieldRange("frequency_hz", frequency_hz)


EU868 = Plan(
    name="EU868",
    # "EU863-870 Data Rate" and "EU863-870 Maximum Payload Size" (M, no repeater). DR7 (FSK) and up: not used.
    data_rates=(
        DataRate(12, 125_000, 59),  # DR0
        DataRate(11, 125_000, 59),  # DR1
        DataRate(10, 125_000, 59),  # DR2
        DataRate(9, 125_000, 123),  # DR3
        DataRate(8, 125_000, 250),  # DR4
        DataRate(7, 125_000, 250),  # DR5
        DataRate(7, 250_000, 250),  # DR6
    ),
    # "EU863-870 Default Channels": every node has them, no command removes them
    default_channels_hz=(868_100_000, 868_300_000, 868_500_000),
    # ETSI EN 300 220-2 V3.1.1: low, high, duty cycle permille, dBm ERP
    sub_bands=(
        SubBand(863_000_000, 865_000_000, 1, 14),  # K
        SubBand(865_000_000, 868_000_000, 10, 14),  # L
        SubBand(868_000_000, 868_600_000, 10, 14),  # M
        SubBand(868_700_000, 869_200_000, 1, 14),  # N
        SubBand(869_400_000, 869_650_000, 100, 27),  # P
        SubBand(869_700_000, 870_000_000, 10, 14),  # R
    ),
    rx2=(869_525_000, 0),
    max_rx1_dr_offset=5,
    max_eirp_dbm=16,
)


def cf_list(frequencies_hz: tuple[int, ...]) -> bytes:
    """Up to five channels after the default ones; raises FieldRange. RP002-1.0.4 "EU863-870 Join-Accept CFList"."""
    if len(frequencies_hz) > 5:
        raise FieldRange("CFList", len(frequencies_hz))
    data = b""
    for frequency_hz in frequencies_hz:
        if frequency_hz % 100 or not 0 <= frequency_hz // 100 < 1 << 24:
            raise FieldRange("CFList", frequency_hz)
        data += (frequency_hz // 100).to_bytes(3, "little")
    return data + bytes(16 - len(data))


def parse_cf_list(data: bytes) -> tuple[int, ...]:
    """Five frequencies in Hz, 0 = unused; () if there is no CFList or one of another type; raises MalformedFrame."""
    if not data:
        return ()
    if len(data) != 16:
        raise MalformedFrame("CFList", 16, len(data))
    if data[15]:  # CFListType
        return ()
    return tuple([int.from_bytes(data[at : at + 3], "little") * 100 for at in range(0, 15, 3)])
