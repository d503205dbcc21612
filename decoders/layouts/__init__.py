# SPDX-License-Identifier: EUPL-1.2
"""A layout a module: a node loads its own only."""

if False:  # types only
    from decoders.payload import Layout


def of(profile: str) -> "Layout":
    """What uplinks of a profile say."""
    if profile == "air":
        from decoders.layouts.air import LAYOUT
    elif profile == "traffic":
        from decoders.layouts.traffic import LAYOUT
    else:
        from decoders.layouts.tree import LAYOUT
    return LAYOUT
