-- SPDX-License-Identifier: EUPL-1.2
-- The names of applications' commands (downlink_queue.py), those that wait and the newest that have ended: a command
-- that comes again is known, and answered with its end. Written when it is queued, so that its end needs no room.

CREATE TABLE commands (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    command_id TEXT NOT NULL UNIQUE,
    dev_eui TEXT NOT NULL REFERENCES devices (dev_eui) ON DELETE CASCADE,
    f_port INTEGER NOT NULL,
    frm_payload BLOB NOT NULL,
    confirmed INTEGER NOT NULL,
    ended TEXT NOT NULL DEFAULT '' CHECK (ended IN ('', 'sent', 'acknowledged', 'failed', 'expired'))  -- '': not yet
) STRICT;
INSERT INTO commands (command_id, dev_eui, f_port, frm_payload, confirmed)
    SELECT command_id, dev_eui, f_port, frm_payload, confirmed FROM downlinks ORDER BY id;
