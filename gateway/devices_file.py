# SPDX-License-Identifier: EUPL-1.2
"""devices.csv: ``dev_eui,join_eui,app_key,profile,name`` with a header line; hex in lower case. All or nothing."""

import csv
import re
from collections.abc import Iterable
from pathlib import Path

from decoders.profiles import PROFILES
from gateway.errors import DevicesError, shown
from gateway.store import Device

COLUMNS = ("dev_eui", "join_eui", "app_key", "profile", "name")

_EUI = re.compile("[0-9a-f]{16}")
_KEY = re.compile("[0-9a-f]{32}")
_MAX_NAME = 64


def read_devices(path: Path) -> list[Device]:
    """Every device of the file; raises DevicesError with a line for each bad row."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _devices(path, csv.reader(file, strict=True))
    except OSError as error:
        raise DevicesError([f"{path}: cannot be read ({error.strerror})"]) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DevicesError([f"{path}: is no CSV in UTF-8 ({error})"]) from error


def device_from(row: list[str]) -> Device:
    """One device from its columns; raises DevicesError. A key is never repeated in a message."""
    if len(row) != len(COLUMNS):
        raise DevicesError([f"has {len(row)} columns instead of {len(COLUMNS)} ({','.join(COLUMNS)})"])
    dev_eui, join_eui, app_key, profile, name = (value.strip() for value in row)
    problems = []
    if not _EUI.fullmatch(dev_eui):
        problems.append(f"dev_eui {shown(dev_eui)} is not 16 lower-case hex digits")
    if not _EUI.fullmatch(join_eui):
        problems.append(f"join_eui {shown(join_eui)} is not 16 lower-case hex digits")
    if not _KEY.fullmatch(app_key):
        problems.append("app_key is not 32 lower-case hex digits")
    if profile not in PROFILES:
        problems.append(f"profile {shown(profile)} is unknown; known are {', '.join(PROFILES)}")
    if len(name) > _MAX_NAME or not name.isprintable():
        problems.append(f"name is longer than {_MAX_NAME} characters or not printable")
    if problems:
        raise DevicesError(["; ".join(problems)])
    return Device(dev_eui, join_eui, bytes.fromhex(app_key), profile, name)


def read_app_key(path: Path) -> str:
    """The key of one device, 32 hex digits; raises DevicesError."""
    try:
        app_key = path.read_text("utf-8").strip()
    except OSError as error:
        raise DevicesError([f"{path}: cannot be read ({error.strerror})"]) from error
    except UnicodeDecodeError:
        app_key = ""
    if not _KEY.fullmatch(app_key):
        raise DevicesError([f"{path}: must hold a key, 32 lower-case hex digits"])
    return app_key


def _devices(path: Path, rows: Iterable[list[str]]) -> list[Device]:
    devices: dict[str, Device] = {}
    problems = []
    for line, row in enumerate(rows, 1):
        if line == 1 and any(row):
            if tuple(value.strip() for value in row) != COLUMNS:
                raise DevicesError([f"{path} line 1: must be {','.join(COLUMNS)}"])
            continue
        if not row:
            continue
        try:
            device = device_from(row)
        except DevicesError as error:
            problems.append(f"{path} line {line}: {error}")
            continue
        if device.dev_eui in devices:
            problems.append(f"{path} line {line}: dev_eui {device.dev_eui} is there twice")
        devices[device.dev_eui] = device
    if problems:
        raise DevicesError(problems)
    if not devices:
        raise DevicesError([f"{path}: no device in this file"])
    return list(devices.values())
