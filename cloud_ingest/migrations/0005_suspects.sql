-- SPDX-License-Identifier: EUPL-1.2
-- What is to be doubted, and why: all readings of a series from first_at to last_at. Follows from the readings alone.
-- unjudged_stations: stations (their things) with readings from since on that nobody has judged yet; all, at first.

CREATE TABLE suspects (
    datastream INTEGER NOT NULL REFERENCES datastreams,
    reason TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (datastream, reason, first_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX suspects_last ON suspects (datastream, last_at);

CREATE TABLE unjudged_stations (
    thing INTEGER PRIMARY KEY REFERENCES things,
    since INTEGER NOT NULL
) STRICT;
INSERT INTO unjudged_stations SELECT id, 0 FROM things WHERE area = '';

-- Their form has changed; they are made anew at the start.
DELETE FROM probes;
