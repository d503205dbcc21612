-- SPDX-License-Identifier: EUPL-1.2
-- What the city's side keeps. Times are Unix seconds; a flag says why a reading is not a value.

CREATE TABLE things (
    id INTEGER PRIMARY KEY,
    tree TEXT NOT NULL UNIQUE,
    area TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    properties TEXT NOT NULL CHECK (json_valid(properties)),
    lon REAL NOT NULL,
    lat REAL NOT NULL
) STRICT;
CREATE INDEX things_area ON things (area);

CREATE TABLE sensors (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    metadata TEXT NOT NULL
) STRICT;

CREATE TABLE observed_properties (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    definition TEXT NOT NULL,
    description TEXT NOT NULL,
    properties TEXT NOT NULL CHECK (json_valid(properties))
) STRICT;

-- One series: a quantity of one node at one tree. A replaced node begins a new series at the same tree.
CREATE TABLE datastreams (
    id INTEGER PRIMARY KEY,
    thing INTEGER NOT NULL REFERENCES things,
    dev_eui TEXT NOT NULL,
    quantity TEXT NOT NULL,
    unit TEXT NOT NULL,
    sensor INTEGER NOT NULL REFERENCES sensors,
    observed_property INTEGER NOT NULL REFERENCES observed_properties,
    UNIQUE (thing, dev_eui, quantity)
) STRICT;
CREATE INDEX datastreams_sensor ON datastreams (sensor);
CREATE INDEX datastreams_observed_property ON datastreams (observed_property);

-- A reading is a value when flag is null. Of two with the same key the better stays; see ingest.py.
CREATE TABLE observations (
    datastream INTEGER NOT NULL REFERENCES datastreams,
    at INTEGER NOT NULL,
    result REAL,
    flag TEXT,
    received_at REAL NOT NULL,
    PRIMARY KEY (datastream, at),
    CHECK (flag IS NOT NULL OR result IS NOT NULL)
) STRICT, WITHOUT ROWID;
CREATE INDEX observations_at ON observations (at);

CREATE TABLE latest (
    datastream INTEGER PRIMARY KEY REFERENCES datastreams,
    at INTEGER NOT NULL,
    result REAL,
    flag TEXT,
    received_at REAL NOT NULL
) STRICT;

CREATE TABLE uplinks (
    dev_eui TEXT NOT NULL,
    session INTEGER NOT NULL,
    f_cnt INTEGER NOT NULL,
    received_at REAL NOT NULL,
    PRIMARY KEY (dev_eui, session, f_cnt)
) STRICT, WITHOUT ROWID;
CREATE INDEX uplinks_received_at ON uplinks (received_at);

-- Which sequence numbers of a gateway's epoch came; the watermark and the gaps follow from them (progress.py).
CREATE TABLE applied (
    gateway_eui TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    PRIMARY KEY (gateway_eui, epoch, first_seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE watermarks (
    gateway_eui TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    oldest_seq INTEGER NOT NULL,
    PRIMARY KEY (gateway_eui, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE gaps (
    gateway_eui TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    PRIMARY KEY (gateway_eui, epoch, first_seq)
) STRICT, WITHOUT ROWID;

-- What could not be applied. identity keeps one row per content however often it comes.
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,
    reason TEXT NOT NULL,
    replayable INTEGER NOT NULL,
    topic TEXT NOT NULL,
    detail TEXT NOT NULL,
    raw BLOB NOT NULL,
    size INTEGER NOT NULL,
    times INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX dead_letters_size ON dead_letters (replayable, id, size);

-- The judgement of each node's soil probe, as of its newest reading (quality.py).
CREATE TABLE probes (
    thing INTEGER PRIMARY KEY REFERENCES things,
    snapshot TEXT NOT NULL CHECK (json_valid(snapshot))
) STRICT;

-- Up to which phenomenon time an area has been judged.
CREATE TABLE judged (
    area TEXT PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE alerts (
    id INTEGER PRIMARY KEY,
    area TEXT NOT NULL,
    quantity TEXT NOT NULL,
    value REAL NOT NULL,
    threshold REAL NOT NULL,
    trees TEXT NOT NULL CHECK (json_valid(trees)),
    litres INTEGER NOT NULL,
    dry_since INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,
    closed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX alerts_one_open ON alerts (area) WHERE closed_at IS NULL;
CREATE INDEX alerts_area ON alerts (area, opened_at);

CREATE TABLE counters (
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (name, reason)
) STRICT, WITHOUT ROWID;
