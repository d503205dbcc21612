# SPDX-License-Identifier: EUPL-1.2
"""What can go wrong at the bench. The text says what, and what to do.

BenchError
    UpdateFailed         hardware/update_session.py
    ReplFailed           hardware/raw_repl.py
    ProvisionFailed      hardware/provision.py
    DevicesRefused       hardware/devices_line.py
"""


class BenchError(Exception):
    """Root of the tree; always one line."""
