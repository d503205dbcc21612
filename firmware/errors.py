# SPDX-License-Identifier: EUPL-1.2
"""What can go wrong on a node that is not the peer's doing (that is decoders.lorawan.errors).

NodeFault
    IdentityInvalid      field: identity.bin is missing, damaged or refused
    BandBusy             wait_s: the duty cycle allows no transmission for so long
    NotJoined            a data uplink without a session
"""


class NodeFault(Exception):
    """Root of the tree."""


class IdentityInvalid(NodeFault):
    """The provisioned identity cannot be used. Names the field, never its value: it may be a key."""

    def __init__(self, field: str) -> None:
        super().__init__("identity.bin: " + field)
        self.field = field


class BandBusy(NodeFault):
    """Every enabled channel lies in a sub-band whose duty cycle is used up."""

    def __init__(self, wait_s: int) -> None:
        super().__init__("sub-bands free in {} s".format(wait_s))
        self.wait_s = wait_s


class NotJoined(NodeFault):
    """There is no session to send data in."""
