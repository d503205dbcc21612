-- SPDX-License-Identifier: EUPL-1.2
-- Each lane of a gateway's epoch (0 alarms, 1 readings, 2 diagnostics) has its own sequence. Which epoch is current, and
-- whose watermark is to be told, is kept once for all lanes. unjudged: areas with readings that nobody has judged yet.
-- attempts: messages whose worker ended in the middle of them, and how often.

CREATE TABLE epochs (
    gateway_eui TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    arrived INTEGER NOT NULL,
    touched INTEGER NOT NULL,
    PRIMARY KEY (gateway_eui, epoch)
) STRICT, WITHOUT ROWID;
CREATE INDEX epochs_touched ON epochs (touched);
INSERT INTO epochs SELECT gateway_eui, epoch, arrived, arrived FROM watermarks;

ALTER TABLE watermarks RENAME TO old_watermarks;
ALTER TABLE applied RENAME TO old_applied;
ALTER TABLE gaps RENAME TO old_gaps;

CREATE TABLE watermarks (
    gateway_eui TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    oldest_seq INTEGER NOT NULL,
    PRIMARY KEY (gateway_eui, epoch, lane)
) STRICT, WITHOUT ROWID;
CREATE TABLE applied (
    gateway_eui TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    PRIMARY KEY (gateway_eui, epoch, lane, first_seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE gaps (
    gateway_eui TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    PRIMARY KEY (gateway_eui, epoch, lane, first_seq)
) STRICT, WITHOUT ROWID;

INSERT INTO watermarks SELECT gateway_eui, epoch, 1, seq, oldest_seq FROM old_watermarks;
INSERT INTO applied SELECT gateway_eui, epoch, 1, first_seq, last_seq FROM old_applied;
INSERT INTO gaps SELECT gateway_eui, epoch, 1, first_seq, last_seq FROM old_gaps;
DROP TABLE old_watermarks;
DROP TABLE old_applied;
DROP TABLE old_gaps;

-- Up to seq of its epoch a lane has the records that of_epoch counted up to of_seq: what a restarted gateway says.
CREATE TABLE continued (
    gateway_eui TEXT NOT NULL,
    lane INTEGER NOT NULL,
    of_epoch INTEGER NOT NULL,
    of_seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (gateway_eui, lane, of_epoch, of_seq, epoch, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE unjudged (
    area TEXT PRIMARY KEY
) STRICT;

CREATE TABLE attempts (
    identity TEXT PRIMARY KEY,
    tries INTEGER NOT NULL
) STRICT;

-- What happened at gateways. The public sees none of it: dev_eui names a node.
CREATE TABLE gateway_events (
    id INTEGER PRIMARY KEY,
    gateway_eui TEXT NOT NULL,
    kind TEXT NOT NULL,
    dev_eui TEXT NOT NULL,
    at REAL NOT NULL,
    time_quality TEXT NOT NULL,
    detail TEXT NOT NULL CHECK (json_valid(detail)),
    UNIQUE (gateway_eui, kind, dev_eui, at, detail)
) STRICT;
CREATE INDEX gateway_events_at ON gateway_events (at);

-- What full gateways dropped undelivered, as they told it; devices: [[dev_eui, session, first f_cnt, last, count], ...]
CREATE TABLE dropped (
    gateway_eui TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    first_at REAL NOT NULL,
    last_at REAL NOT NULL,
    others INTEGER NOT NULL,
    devices TEXT NOT NULL CHECK (json_valid(devices)),
    PRIMARY KEY (gateway_eui, epoch, lane, first_seq, last_seq)
) STRICT, WITHOUT ROWID;

-- 'saved' or 'unset' when the gateway was not sure of its time, else null.
ALTER TABLE observations ADD COLUMN time_quality TEXT;
ALTER TABLE latest ADD COLUMN time_quality TEXT;
