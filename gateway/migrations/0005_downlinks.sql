-- SPDX-License-Identifier: EUPL-1.2
-- Downlinks of applications on their way to nodes, first come first served (downlink_queue.py). Times are Unix seconds.

CREATE TABLE downlinks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    command_id TEXT NOT NULL UNIQUE,     -- the sender's name for it: sent twice it is one
    dev_eui TEXT NOT NULL REFERENCES devices (dev_eui) ON DELETE CASCADE,
    f_port INTEGER NOT NULL,
    frm_payload BLOB NOT NULL,
    confirmed INTEGER NOT NULL,
    expires_at REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,    -- how often it was sent
    state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'given', 'sent')),
    session INTEGER                      -- the session it was given or sent in
) STRICT;

CREATE INDEX downlinks_by_device ON downlinks (dev_eui, id);

-- A node on mains power that listens all the time. TS001-1.0.4 "Class C"
ALTER TABLE devices ADD COLUMN class_c INTEGER NOT NULL DEFAULT 0;

CREATE INDEX devices_of_class_c ON devices (dev_eui) WHERE class_c;
