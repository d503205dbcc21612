# SPDX-License-Identifier: EUPL-1.2
"""What can go wrong with a wire format.

WireError
    RemoteError          the peer broke a spec: count it, drop the frame, go on
        MalformedFrame   field, need, got
        MicMismatch
    LocalError           we asked for what a spec forbids: a bug, let it propagate
        FieldRange       field, value

``decoders.payload`` adds MalformedPayload and ``decoders.uplink`` MalformedBatch, both RemoteErrors.
"""


class WireError(Exception):
    """Root of the tree."""


class RemoteError(WireError):
    """The peer broke a spec."""


class LocalError(WireError):
    """We asked for what a spec forbids."""


class MalformedFrame(RemoteError):
    """``field`` must be (or have the length) ``need``, but is ``got``."""

    def __init__(self, field: str, need: int, got: int) -> None:
        super().__init__(f"{field}: need {need}, got {got}")
        self.field = field
        self.need = need
        self.got = got


class MicMismatch(RemoteError):
    """The message integrity code belongs to another message, key or counter."""

    def __init__(self) -> None:
        super().__init__("MIC mismatch")


class FieldRange(LocalError):
    """``value`` does not fit into ``field``."""

    def __init__(self, field: str, value: object) -> None:
        super().__init__(f"{field}: {value} is out of range")
        self.field = field
        self.value = value
