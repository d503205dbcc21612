# SPDX-License-Identifier: EUPL-1.2
"""Which application a node starts: the one it was flashed with, or an update in one of two folders of its file system.

This, ``main`` and ``journal`` are taken from what was flashed and are never updated; an update gets a ``Start`` and
calls its methods, so those may not change. The record on flash, in two slots (firmware/journal.py), little endian:

active(1) trial(1) previous(1) starts(1) unheard(1) wakes(2) version of a(4) version of b(4)

Applications are 0 (as flashed), 1 (``/data/app_a``) and 2 (``/data/app_b``). ``trial``: the one being tried, 0 for
none. ``previous``: what was active before; its files are still there. ``starts``: boots in a row that did not end well,
of the trial or of the active one. ``unheard``: uplinks of the trial without an answer; ``wakes``: its wakes.

A trial ends at the first accepted downlink: then it is active. It is given up after STARTS boots in a row that did not
end well, after UNHEARD uplinks or WAKES wakes without an answer, or at once if it cannot even be loaded. An active one
that cannot be loaded STARTS times in a row makes way for the previous one. Every change is one record, so power may
fail at any time: what is started before it and after it is whole.
"""

import os
import struct

from firmware import VERSION
from firmware.journal import Journal

STARTS = 3
UNHEARD = 20
WAKES = 200
_RECORD = "<BBBBBHII"
_SIZE = struct.calcsize(_RECORD)
_FOLDERS = ("", "/app_a", "/app_b")
_FIRST = "/firmware/app.mpy"  # without it there is no application in a folder


class Start:
    """The choice for one boot; ``root`` is where the record and the applications lie.

    ``folder``: of the chosen application, "" for what was flashed. ``trial``: whether it is on trial. ``changed``:
    whether this boot is the first of this application, so that RTC memory is another one's.
    """

    def __init__(self, root: str) -> None:
        self._journal = Journal(root, "/start")
        self._root = root
        self._active = self._trial = self._previous = self._starts = self._unheard = self._wakes = 0
        self._versions = [VERSION, 0, 0]
        self._load()
        self.changed = False
        if self._trial:
            self._try()
        self._chosen = self._trial or self._active
        self.trial = self._trial != 0
        self.folder = root + _FOLDERS[self._chosen] if self._chosen else ""

    def _load(self) -> None:
        record = self._journal.load()
        if record is None or len(record) != _SIZE:
            return
        fields = struct.unpack(_RECORD, record)
        if max(fields[:3]) >= len(_FOLDERS):
            return
        self._active, self._trial, self._previous, self._starts, self._unheard, self._wakes = fields[:6]
        self._versions[1:] = fields[6:]
        self._trial = self._usable(self._trial)
        self._previous = self._usable(self._previous)
        self._active = self._usable(self._active) or self._previous

    def _usable(self, application: int) -> int:
        """``application``, or 0 if it is older than what was flashed, or is not there."""
        if self._versions[application] <= VERSION:
            return 0
        try:
            os.stat(self._root + _FOLDERS[application] + _FIRST)
        except OSError:
            return 0
        return application

    def _try(self) -> None:
        """Count this boot of the trial before anything of it runs; or give it up."""
        if self._starts >= STARTS or self._unheard >= UNHEARD or self._wakes >= WAKES:
            self._give_up()
        else:
            self.changed = self._starts == 0 and self._wakes == 0
            self._starts += 1
            self._wakes += 1
            self._save()

    def _give_up(self) -> None:
        self._versions[self._trial] = 0
        self._trial = self._starts = self._unheard = self._wakes = 0
        self.changed = True
        self._save()

    def _save(self) -> None:
        versions = self._versions
        fields = (self._active, self._trial, self._previous, self._starts, self._unheard, self._wakes)
        self._journal.append(struct.pack(_RECORD, *fields, versions[1], versions[2]))

    # --- what became of this boot ---

    def failed(self) -> None:
        """The chosen application could not be loaded."""
        if self._trial:
            self._give_up()
        elif self._chosen:
            self._starts += 1
            if self._starts >= STARTS:
                self._versions[self._active] = self._starts = 0
                self._active, self._previous = self._previous, 0
            self._save()

    def ended(self, sent: bool, heard: bool) -> None:
        """A wake ended well. ``sent``: it sent something; ``heard``: a data downlink was accepted."""
        if self.trial and self._trial:
            if heard:
                self._previous, self._active, self._trial = self._active, self._trial, 0
                self._unheard = self._wakes = 0
            else:
                self._unheard += sent
            self._starts = 0
            self._save()
        elif self._starts and not self._trial:
            self._starts = 0
            self._save()

    # --- installing ---

    def version(self, trial: bool = False) -> int:
        """Of the active application; an update must be newer. ``trial``: of the one on trial, 0 if there is none."""
        if trial:
            return self._versions[self._trial] if self._trial else 0
        return self._versions[self._active]

    def begin(self) -> str:
        """Give up what is in the folder that is not active; return the folder, which may now be written."""
        target = 1 if self._active == 2 else 2
        if self._trial or self._previous == target or self._versions[target]:
            self._trial = self._starts = self._unheard = self._wakes = 0
            self._versions[target] = 0
            if self._previous == target:
                self._previous = 0
            self._save()
        return self._root + _FOLDERS[target]

    def commit(self, version: int) -> None:
        """The folder that ``begin`` returned holds this version, whole: it is tried from the next boot on."""
        self._trial = 1 if self._active == 2 else 2
        self._versions[self._trial] = version
        self._starts = self._unheard = self._wakes = 0
        self._save()
