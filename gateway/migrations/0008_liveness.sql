-- SPDX-License-Identifier: EUPL-1.2
-- Who has fallen silent (liveness.py): kept at times and with each change of state, so that no restart tells it again.

ALTER TABLE devices ADD COLUMN interval_s REAL;  -- set by hand; NULL: learned

CREATE TABLE node_liveness (
    dev_eui TEXT PRIMARY KEY REFERENCES devices (dev_eui) ON DELETE CASCADE,
    state TEXT NOT NULL CHECK (state IN ('ok', 'late', 'down')),
    silent_s REAL NOT NULL,              -- while somebody listened
    learned_s REAL,                      -- the interval that it sends at
    session INTEGER NOT NULL,
    f_cnt INTEGER NOT NULL,              -- of its newest uplink when this was kept
    received INTEGER NOT NULL,
    missed INTEGER NOT NULL,
    heard_by TEXT NOT NULL               -- JSON list of concentrators
) STRICT, WITHOUT ROWID;

-- Those that have brought a frame of ours.
CREATE TABLE concentrators (
    eui TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('ok', 'late', 'down'))
) STRICT, WITHOUT ROWID;

-- Rises when what the running service keeps in memory of the registry is no longer true.
CREATE TABLE registry (version INTEGER NOT NULL) STRICT;
INSERT INTO registry VALUES (1);

CREATE TRIGGER device_added AFTER INSERT ON devices BEGIN
    UPDATE registry SET version = version + 1;
END;
CREATE TRIGGER device_removed AFTER DELETE ON devices BEGIN
    UPDATE registry SET version = version + 1;
END;
CREATE TRIGGER device_changed AFTER UPDATE OF interval_s, class_c ON devices BEGIN
    UPDATE registry SET version = version + 1;
END;
CREATE TRIGGER concentrator_forgotten AFTER DELETE ON concentrators BEGIN
    UPDATE registry SET version = version + 1;
END;
