# SPDX-License-Identifier: EUPL-1.2
"""What goes on the board, and nothing else: the only list of the modules that firmware shares with ``decoders``.

Paths from the repository's root, as they lie on the board, but for ``firmware/main.py``, which is ``main`` there, and
the board's table, which is ``firmware.boards.this``.
"""

# by the table's name, firmware/boards/<name>.py: what this board needs besides
BOARDS = {
    "heltec_v3": ("firmware/boards/esp32.py",),
    "lilygo_t3s3": ("firmware/boards/esp32.py",),
    "pico_waveshare": ("firmware/boards/rp2.py",),
    "xiao_esp32s3": ("firmware/boards/esp32.py",),
}

MODULES = (
    "decoders/__init__.py",
    "decoders/faults.py",
    "decoders/lorawan/__init__.py",
    "decoders/lorawan/aes.py",
    "decoders/lorawan/airtime.py",
    "decoders/lorawan/data_frame.py",
    "decoders/lorawan/errors.py",
    "decoders/lorawan/frame.py",
    "decoders/lorawan/mac_commands.py",
    "decoders/lorawan/region.py",
    "decoders/payload_v1.py",
    "firmware/__init__.py",
    "firmware/app.py",
    "firmware/boards/__init__.py",
    "firmware/boards/board.py",
    "firmware/boards/lines.py",
    "firmware/errors.py",
    "firmware/identity.py",
    "firmware/journal.py",
    "firmware/link.py",
    "firmware/mac.py",
    "firmware/mac_channels.py",
    "firmware/mac_commands.py",
    "firmware/mac_join.py",
    "firmware/main.py",
    "firmware/profile_tree.py",
    "firmware/radio/__init__.py",
    "firmware/radio/sx1262.py",
    "firmware/sensors/__init__.py",
    "firmware/sensors/ds18b20.py",
    "firmware/sensors/modbus.py",
    "firmware/sensors/onboard.py",
    "firmware/sensors/sdi12.py",
    "firmware/sensors/smt100.py",
    "firmware/sensors/smt50.py",
    "firmware/sensors/soil.py",
    "firmware/sensors/watermark.py",
    "firmware/session.py",
    "firmware/state.py",
    "firmware/timing.py",
)
