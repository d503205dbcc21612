-- SPDX-License-Identifier: EUPL-1.2
-- Boots of this machine in their order (boots.py), records whose time is an estimate, and what quarantine needs to be
-- decoded again.

CREATE TABLE boots (
    number INTEGER PRIMARY KEY,          -- later is later, whatever clocks say
    boot_id TEXT NOT NULL UNIQUE,
    last_s REAL NOT NULL,                -- seconds since the boot when the service was last seen in it
    unix_less_boot_s REAL,               -- NULL: nobody knew
    quality TEXT NOT NULL CHECK (quality IN ('unset', 'saved', 'ntp', 'concentrator'))
) STRICT;
INSERT INTO boots (boot_id, last_s, quality)
    SELECT boot_id, max(boot_s), 'unset' FROM waiting GROUP BY boot_id ORDER BY min(id);

CREATE INDEX waiting_by_boot ON waiting (boot_id, id);

-- Rows of the outbox to be dated better when somebody knows the time, unless the cloud has them by then.
CREATE TABLE estimated (
    lane INTEGER NOT NULL,
    row INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    boot_s REAL NOT NULL,
    PRIMARY KEY (lane, row)
) STRICT, WITHOUT ROWID;
CREATE INDEX estimated_by_boot ON estimated (boot_id, boot_s);

ALTER TABLE gateway ADD COLUMN waiting_dropped INTEGER NOT NULL DEFAULT 0;  -- uplinks, as too many waited for a time

ALTER TABLE quarantine ADD COLUMN profile TEXT NOT NULL DEFAULT '';         -- '': the device's of today
ALTER TABLE quarantine ADD COLUMN time_quality TEXT NOT NULL DEFAULT 'ntp';
ALTER TABLE quarantine ADD COLUMN detail TEXT NOT NULL DEFAULT '';          -- what the decoder said
