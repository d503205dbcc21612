# SPDX-License-Identifier: EUPL-1.2
"""The settings in force: the profile's own, changed by what came on FPort 21 and is kept on flash.

``settings.a`` and ``settings.b`` (firmware/journal.py) hold the changed ones as items of ``decoders.settings``, which
is loaded for the moment only. If neither can be read, the profile's own are in force.
"""

from firmware.journal import Journal

if False:  # types only
    from decoders.settings import Setting
    from firmware.delivery import Delivery

# Of an answer at the slowest data rate, beside 15 bytes of answers to the network and 2 requests: what does not fit is
# not answered, and not done
_ROOM = 34
# Of the probes in firmware.profile, which is not loaded, as masks: those whose quantities a profile sends
PROBES = {"tree": 0x001F, "air": 0x03E0, "traffic": 0xFC00}
# Those of which a node has one at most: on the UART; at I2C address 0x69; on the first pulse input
_EITHER = (0x0E01, 0x0120, 0xF000)


class Settings:
    """Plain settings are attributes by name. By number of the field: ``thresholds`` and ``calibrations``."""

    def __init__(self, folder: str, interval_s: int) -> None:
        self.interval_s = interval_s
        self.send_every = 1
        self.history = 0  # samples of a message; 0: as many as cover 4 h, at least 8
        self.average = 1
        self.probes = 0  # 0: those of the profile
        self.slow_below_kmh = 30
        self.fast_above_kmh = 50
        # LiFePO4 stays at 3.2 to 3.3 V until a tenth is left: below 3.15 V four times the interval. At 3.0 V 3 % are
        # left, and in frost an uplink may pull the cell below what the processor runs on: then nothing is sent.
        self.low_battery_mv = 3_150
        self.empty_battery_mv = 3_000
        self.safe_mode = 0
        self.thresholds: "dict[int, tuple[int, int]]" = {}  # kind, value
        self.calibrations: "dict[int, tuple[int, int]]" = {}  # scale, offset
        self._changed: "list[str]" = []
        self._journal = Journal(folder, "/settings")
        self._load()

    def _load(self) -> None:
        data = self._journal.load()
        if not data:
            return
        from decoders import settings

        for number, value in settings.items(data) or ():
            setting = settings.BY_ID.get(number)
            if setting is None or len(value) != setting.size():
                continue  # of a newer firmware
            numbers = setting.unpack(value)
            if setting.allows(numbers):
                self._put(setting.name, numbers)

    def _put(self, name: str, numbers: "tuple[int, ...]") -> None:
        if name == "threshold":
            self.thresholds.pop(numbers[0], None)
            if numbers[1]:
                self.thresholds[numbers[0]] = (numbers[1], numbers[2])
        elif name == "calibration":
            self.calibrations[numbers[0]] = (numbers[1], numbers[2])
        else:
            setattr(self, name, numbers[0])
            if name not in self._changed:
                self._changed.append(name)

    def _save(self) -> None:
        from decoders import settings

        data = b""
        for setting in settings.SETTINGS:
            if setting.name in self._changed:
                data += settings.item(setting, (getattr(self, setting.name),))
        for field, threshold in self.thresholds.items():
            data += settings.item(settings.THRESHOLD, (field, threshold[0], threshold[1]))
        for field, calibration in self.calibrations.items():
            data += settings.item(settings.CALIBRATION, (field, calibration[0], calibration[1]))
        self._journal.append(data)

    def obey(self, message: bytes, fields: int, delivery: "Delivery", probes: int = PROBES["tree"]) -> bytes:
        """Do what a downlink on FPort 21 says; return the answer. Who has promised to reboot does it afterwards.

        ``fields``: how many the layout has; ``probes``: those that this kind of node can have, as a mask. What is
        answered as done is on flash.
        """
        from decoders import settings

        found = settings.items(message[1:]) if message else None
        if found is None:
            return message[:1] + bytes((0, settings.WRONG_LENGTH, 0))
        answer = message[:1]
        for number, value in found:
            shown = value[0] if number == settings.READ.id and value else number
            if len(answer) + 3 + (settings.BY_ID[shown].size() if shown in settings.BY_ID else 0) > _ROOM:
                break
            status, now = self._one(number, value, fields, delivery, probes)
            answer += bytes((number, status, len(now))) + now
        return answer

    def _one(self, number: int, value: bytes, fields: int, delivery: "Delivery", probes: int) -> "tuple[int, bytes]":
        """(status, value now in force) of one item."""
        from decoders import settings

        setting = settings.BY_ID.get(number)
        if setting is None:
            return settings.UNKNOWN_SETTING, b""
        if len(value) != setting.size():
            return settings.WRONG_LENGTH, self._now(setting, b"")
        numbers = setting.unpack(value)
        if not setting.allows(numbers) or (setting.name == "probes" and numbers[0] & ~probes):
            return settings.OUT_OF_RANGE, self._now(setting, value)
        if setting.parts[:1] == ("field",) and numbers[0] >= fields:
            return settings.UNKNOWN_FIELD, b""
        if setting is settings.READ:
            asked = settings.BY_ID.get(numbers[0])
            return (settings.UNKNOWN_SETTING, b"") if asked is None else (settings.DONE, self._now(asked, b""))
        if setting is settings.SEND_AGAIN:
            if numbers[0] > numbers[1]:
                return settings.CONTRADICTS, b""
            delivery.again(numbers[0], numbers[1])
            return settings.DONE, value
        if setting is settings.REBOOT:
            return settings.DONE, b""
        return self._change(setting, numbers, value)

    def _change(self, setting: "Setting", numbers: "tuple[int, ...]", value: bytes) -> "tuple[int, bytes]":
        from decoders import settings

        before = self._now(setting, value)
        self._put(setting.name, numbers)
        status = settings.DONE
        if (
            (setting.name == "probes" and any(_several(self.probes & line) for line in _EITHER))
            or self.slow_below_kmh > self.fast_above_kmh
            or self.empty_battery_mv > self.low_battery_mv
        ):
            status = settings.CONTRADICTS
        else:
            try:
                self._save()
            except OSError:
                status = settings.NOT_STORED
        if status != settings.DONE:
            self._put(setting.name, setting.unpack(before))
            return status, before
        return status, value

    def _now(self, setting: "Setting", value: bytes) -> bytes:
        """The value in force of what ``value`` would change, packed."""
        from decoders import settings

        if setting.name == "threshold" and value:
            kind, limit = self.thresholds.get(value[0], (settings.OFF, 0))
            return setting.pack((value[0], kind, limit))
        if setting.name == "calibration" and value:
            scale, offset = self.calibrations.get(value[0], (settings.UNITY, 0))
            return setting.pack((value[0], scale, offset))
        if setting.id > settings.SETTINGS[-1].id:
            return b""
        return setting.pack((getattr(self, setting.name),))


def _several(mask: int) -> bool:
    return mask & (mask - 1) != 0
