# SPDX-License-Identifier: EUPL-1.2
"""All payload layouts, each in a module of its own (``decoders/layouts``): a node loads its own only.

Version 1 of the tree's is of another kind (``decoders.payload_v1``); it stays readable.
"""

from decoders.layouts.air import LAYOUT as AIR_V1
from decoders.layouts.diagnostics import LAYOUT as DIAGNOSTICS_V1
from decoders.layouts.traffic import LAYOUT as TRAFFIC_V1
from decoders.layouts.tree import LAYOUT as TREE_V2
from decoders.payload import Field, Layout
from decoders.payload_reader import read
from decoders.payload_v1 import TREE_V1, FixedField, FixedLayout, Message

LAYOUTS = (TREE_V1, TREE_V2, AIR_V1, TRAFFIC_V1, DIAGNOSTICS_V1)
BY_F_PORT = {layout.f_port: layout for layout in LAYOUTS}
BY_NAME = {layout.profile: layout for layout in LAYOUTS}  # the newest version
PROFILES = ("tree", "air", "traffic")  # what a device can be; every one sends diagnostics, too


def decode(layout: Layout | FixedLayout, data: bytes) -> Message:
    """Read a FRMPayload of any layout; raises MalformedPayload."""
    return layout.decode(data) if isinstance(layout, FixedLayout) else read(layout, data)


def fields(layout: Layout | FixedLayout) -> tuple[Field | FixedField, ...]:
    """All of them; each has a name and a unit."""
    return layout.header + layout.sample if isinstance(layout, FixedLayout) else layout.fields
