-- SPDX-License-Identifier: EUPL-1.2
-- Devices, their sessions, and the readings on their way to the cloud. Keys are sealed (see keys.py), times are Unix seconds.

CREATE TABLE gateway (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL,              -- names this numbering of the outbox; random, 32 bits
    key_check BLOB NOT NULL,             -- opens with the right key file only
    last_dev_addr INTEGER NOT NULL       -- the DevAddr allocated last; -1 before the first
) STRICT;

CREATE TABLE devices (
    dev_eui TEXT PRIMARY KEY,
    join_eui TEXT NOT NULL,
    app_key BLOB NOT NULL,
    profile TEXT NOT NULL,
    name TEXT NOT NULL,
    dev_nonce INTEGER NOT NULL DEFAULT -1,   -- the last one accepted; -1 before the first, so that 0 is valid
    join_nonce INTEGER NOT NULL DEFAULT 0    -- the last one used
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    dev_eui TEXT NOT NULL REFERENCES devices (dev_eui) ON DELETE CASCADE,
    session INTEGER NOT NULL,            -- its name for ever: random, 53 bits
    dev_addr INTEGER NOT NULL UNIQUE,
    nwk_s_key BLOB NOT NULL,
    app_s_key BLOB NOT NULL,
    f_cnt_up INTEGER NOT NULL DEFAULT -1,    -- 32 bits; the last one accepted
    f_cnt_down INTEGER NOT NULL DEFAULT -1,  -- 32 bits; the last one used
    last_digest BLOB NOT NULL DEFAULT x'',   -- of the last accepted PHYPayload, and when it was received:
    last_at REAL NOT NULL DEFAULT 0,         -- tell a late copy from a replay
    UNIQUE (dev_eui, session)
) STRICT;

-- AUTOINCREMENT keeps the highest seq when the table is empty, and takes it back with a transaction: no gaps, no reuse.
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    dev_eui TEXT NOT NULL,
    session INTEGER NOT NULL,
    f_cnt INTEGER NOT NULL,
    received_at REAL NOT NULL,
    profile TEXT NOT NULL,
    readings TEXT NOT NULL               -- JSON [[quantity, unit, at, value, fault], ...]
) STRICT;

-- What no decoder could read; kept raw for the day that one can.
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    dev_eui TEXT NOT NULL,
    session INTEGER NOT NULL,
    f_cnt INTEGER NOT NULL,
    f_port INTEGER NOT NULL,
    received_at REAL NOT NULL,
    frm_payload BLOB NOT NULL,
    problem TEXT NOT NULL
) STRICT;
