# SPDX-License-Identifier: EUPL-1.2
"""Why a value is missing, by name, and why a payload cannot be read. A fault's place is its number on air: 3 bits."""

from decoders.lorawan.errors import RemoteError

FAULTS = (
    "no_answer",
    "bad_answer",
    "out_of_range",
    "not_ready",
    "open_circuit",
    "short_circuit",
    "frozen",
    "stuck",
)


class MalformedPayload(RemoteError):
    """``field`` must be (or have the length) ``need``, but is ``got``."""

    def __init__(self, field: str, need: int, got: int) -> None:
        super().__init__(f"{field}: need {need}, got {got}")
        self.field = field
        self.need = need
        self.got = got
