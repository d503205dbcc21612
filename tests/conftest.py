# SPDX-License-Identifier: EUPL-1.2
"""Property tests are repeatable (the same examples every time) and never fail because a machine is busy."""

from hypothesis import settings

settings.register_profile("stadtfunk", deadline=None, derandomize=True)
settings.load_profile("stadtfunk")
