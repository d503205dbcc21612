-- SPDX-License-Identifier: EUPL-1.2
-- Each lane of a gateway's epoch (0 alarms, 1 readings, 2 diagnostics) has its own sequence.

DROP TABLE applied;
DROP TABLE watermarks;
DROP TABLE gaps;

CREATE TABLE applied (
    gateway_eui TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    PRIMARY KEY (gateway_eui, epoch, lane, first_seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE watermarks (
    gateway_eui TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    oldest_seq INTEGER NOT NULL,
    arrived INTEGER NOT NULL,
    PRIMARY KEY (gateway_eui, epoch, lane)
) STRICT, WITHOUT ROWID;

CREATE TABLE gaps (
    gateway_eui TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    PRIMARY KEY (gateway_eui, epoch, lane, first_seq)
) STRICT, WITHOUT ROWID;
