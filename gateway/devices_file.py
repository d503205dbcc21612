# SPDX-License-Identifier: EUPL-1.2
"""devices.csv: ``dev_eui,join_eui,app_key,profile,name`` with a header line; hex in lower case. All or nothing.

Also the files of others, by their header: The Things Stack (https://www.thethingsindustries.com/docs/devices/, "CSV
File Reference": commas or semicolons, ``dev_eui``, ``join_eui``, ``app_key``, ``id``, ``name``) and ChirpStack, which
keeps the key of a LoRaWAN 1.0 device in ``nwk_key``. Their hex may be upper-case; they name no payload layout of ours.
"""

import csv
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from decoders.eui import is_eui
from decoders.profiles import PROFILES
from gateway.errors import DevicesError, shown
from gateway.store import Device

COLUMNS = ("dev_eui", "join_eui", "app_key", "profile", "name")

_KEY = re.compile("[0-9a-f]{32}")
_KEY_FILE_CHARACTERS = 1000  # with its line ends; a device such as /dev/zero has no end
_MAX_NAME = 64
_KEY_COLUMNS = ("app_key", "nwk_key")
_NO_KEY = "0" * 32  # what ChirpStack writes for the key that a device of LoRaWAN 1.0 does not have

# Columns of other servers' files, with what is the same for all our devices
CHIRPSTACK = ("dev_eui", "join_eui", "nwk_key", "name")
TTN = (
    "id", "dev_eui", "join_eui", "name", "frequency_plan_id", "lorawan_version", "lorawan_phy_version", "app_key",
    "supports_join",
)  # fmt: skip
_TTN_FIXED = {
    "frequency_plan_id": "EU_863_870", "lorawan_version": "MAC_V1_0_4", "lorawan_phy_version": "RP002_V1_0_4",
    "supports_join": "true",
}  # fmt: skip
FORMATS = {"stadtfunk": COLUMNS, "chirpstack": CHIRPSTACK, "ttn": TTN}


def read_devices(path: Path, profile: str = "tree", known: Mapping[str, str] | None = None) -> list[Device]:
    """Every device of the file; raises DevicesError with a line for each bad row.

    Where the file names no profile, it is that of ``known`` (by DevEUI), else ``profile``.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            semicolons = ";" in file.readline()
            file.seek(0)
            return _devices(
                path, csv.reader(file, strict=True, delimiter=";" if semicolons else ","), profile, known or {}
            )
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
    if not is_eui(dev_eui):
        problems.append(f"dev_eui {shown(dev_eui)} is not 16 lower-case hex digits")
    if not is_eui(join_eui):
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
        with path.open(encoding="utf-8") as file:
            app_key = file.read(_KEY_FILE_CHARACTERS).strip()
    except OSError as error:
        raise DevicesError([f"{path}: cannot be read ({error.strerror})"]) from error
    except UnicodeDecodeError:
        app_key = ""
    if not _KEY.fullmatch(app_key):
        raise DevicesError([f"{path}: must hold a key, 32 lower-case hex digits"])
    return app_key


def _ours(header: Sequence[str], row: list[str], profile: str, known: Mapping[str, str]) -> list[str]:
    """The columns of another server's row in our order; raises DevicesError."""
    if len(row) != len(header):
        raise DevicesError([f"has {len(row)} columns instead of {len(header)}"])
    values = {name: value.strip() for name, value in zip(header, row, strict=True)}
    keys = {values[name].lower() for name in _KEY_COLUMNS if values.get(name)} - {_NO_KEY}
    if len(keys) > 1:
        raise DevicesError(["has an app_key and another nwk_key: a device of LoRaWAN 1.1, which is not supported"])
    name = values.get("name") or values.get("id", "")
    dev_eui = values["dev_eui"].lower()
    named = values.get("profile") or known.get(dev_eui, profile)
    return [dev_eui, values["join_eui"].lower(), next(iter(keys), ""), named, name]


def write_devices(path: Path, devices: Iterable[Device], columns: Sequence[str] = COLUMNS) -> int:
    """Write a new file, keys included, for its owner only; returns how many. Raises DevicesError."""
    count, made = 0, False
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        made = True
        with open(number, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            for device in devices:
                key = device.app_key.hex()
                values = {
                    **device._asdict(),
                    **_TTN_FIXED,
                    "app_key": key,
                    "nwk_key": key,
                    "id": f"eui-{device.dev_eui}",
                }
                writer.writerow([values[column] for column in columns])
                count += 1
    except OSError as error:
        if made:  # half a registry would pass for a whole one
            path.unlink(missing_ok=True)
        raise DevicesError([f"{path}: cannot be written ({error.strerror})"]) from error
    return count


def _devices(path: Path, rows: Iterable[list[str]], profile: str, known: Mapping[str, str]) -> list[Device]:
    devices: dict[str, Device] = {}
    problems = []
    header: tuple[str, ...] = COLUMNS
    for line, row in enumerate(rows, 1):
        if line == 1 and any(row):
            header = tuple(value.strip() for value in row)
            if not {"dev_eui", "join_eui"} <= set(header) or not set(_KEY_COLUMNS) & set(header):
                raise DevicesError([f"{path} line 1: must be {','.join(COLUMNS)}"])
            continue
        if not row:
            continue
        try:
            device = device_from(row if header == COLUMNS else _ours(header, row, profile, known))
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
