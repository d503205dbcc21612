# SPDX-License-Identifier: EUPL-1.2
"""What a node runs, and how MicroPython is told about the board that it finds itself on at each boot."""

from pathlib import Path

from simulators.flash import Flash
from simulators.node_states import Port, ResetCause
from simulators.process import Worker
from simulators.wiring import Board


class Program:
    """``main`` of ``firmware``, the image of a ROM file system or a folder of compiled modules, as ``port`` runs it.

    The other arguments are those of ``NodeBench``.
    """

    def __init__(
        self,
        firmware: Path,
        main: str,
        port: Port,
        *,
        unique_id: bytes,
        cpu_us: int,
        heap: str,
        gc_pause_us: int,
        rtc_drift_ppm: int,
        ticks_start_us: int,
    ) -> None:
        image = firmware.resolve()
        self.rom = image if image.is_file() else None
        self._folder = "/rom" if self.rom else str(image)
        self._main = main
        self._port = port
        self._unique_id = unique_id
        self._cpu_us = cpu_us
        self._heap = heap
        self._gc_pause_us = gc_pause_us
        self._drift_ppm = rtc_drift_ppm
        self._ticks_start_us = ticks_start_us

    def run(
        self, worker: Worker, now_us: int, reset_us: int, rtc_us: int, cause: ResetCause, board: Board, flash: Flash
    ) -> None:
        """Boot it at ``now_us`` after the reset at ``reset_us``, for the reason ``cause``."""
        arguments = (  # from time_us on, as _simboot.py lists them
            now_us,
            self._cpu_us,
            board.wired,
            reset_us - self._ticks_start_us,
            rtc_us,
            self._drift_ppm,
            self._unique_id.hex(),
            self._port.cause(cause),
            board.seed(),
            flash.blocks,
            flash.block_size,
            self._folder,
            self._main,
            self._gc_pause_us,
            self._port.value,
        )
        worker.run(["-X", f"heapsize={self._heap}", "-m", "_simrom"], [str(value) for value in arguments])
