# SPDX-License-Identifier: EUPL-1.2
"""A node's line in the file that ``stadtfunk gateway devices import`` takes: the one place where its key is kept.

DevicesRefused (hardware/errors.py)
"""

import csv
import fcntl
import io
import os
from pathlib import Path
from typing import NamedTuple

from hardware.errors import BenchError

_SEALED = 0o600


class DevicesRefused(BenchError):
    """``path`` cannot be used for devices; ``problem`` says why, and never a key."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class DeviceLine(NamedTuple):
    """EUIs and key in lower-case hex, most significant byte first."""

    dev_eui: str
    join_eui: str
    app_key: str
    profile: str
    name: str


def read_lines(path: Path) -> list[DeviceLine]:
    """What is in the file; nothing if there is none. Raises DevicesRefused."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DevicesRefused(path, f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError:
        raise DevicesRefused(path, "is not UTF-8") from None
    return _parsed(path, text)


def _parsed(path: Path, text: str) -> list[DeviceLine]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
    except csv.Error as error:
        raise DevicesRefused(path, f"is no CSV ({error})") from None
    if rows and tuple(rows[0]) != DeviceLine._fields:
        raise DevicesRefused(path, f"does not begin with {','.join(DeviceLine._fields)}; choose another file")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(DeviceLine._fields):
            raise DevicesRefused(path, f"line {number} has {len(row)} columns instead of {len(DeviceLine._fields)}")
    return [DeviceLine(*row) for row in rows[1:]]


class Devices:
    """The file at ``path``, opened for one more line and locked, for its owner only from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _SEALED)
            self._file = os.fdopen(descriptor, "r+", encoding="utf-8", newline="")
            os.fchmod(self._file.fileno(), _SEALED)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DevicesRefused(path, "another program writes it just now") from None
        except OSError as error:
            raise DevicesRefused(path, f"cannot be written ({error.strerror})") from error
        try:
            self.lines = _parsed(path, self._file.read())
        except UnicodeDecodeError:
            raise DevicesRefused(path, "is not UTF-8") from None

    def check(self, line: DeviceLine) -> None:
        """Raises DevicesRefused if another node of this DevEUI is there."""
        for other in self.lines:
            if other.dev_eui == line.dev_eui and other != line:
                raise DevicesRefused(self._path, f"has another line for {line.dev_eui}; remove that line first")

    def append(self, line: DeviceLine) -> None:
        """Add the line, unless it is there, and see it on the disk. Raises DevicesRefused."""
        self.check(line)
        if line in self.lines:
            return
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        try:
            self._file.seek(0)
            whole = self._file.read()
            if not self.lines and not whole.strip():
                writer.writerow(DeviceLine._fields)
            elif not whole.endswith("\n"):
                text.write("\n")
            writer.writerow(line)
            self._file.write(text.getvalue())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise DevicesRefused(self._path, f"cannot be written ({error.strerror}); run this again") from error
        self.lines.append(line)

    def close(self) -> None:
        """Nothing is left of a file that would be empty."""
        if not os.fstat(self._file.fileno()).st_size:
            self._path.unlink(missing_ok=True)
        self._file.close()
