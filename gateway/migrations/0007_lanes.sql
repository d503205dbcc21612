-- SPDX-License-Identifier: EUPL-1.2
-- The outbox in three lanes (decoders/records.py), each numbered without gaps and filled at its end only: one table for
-- all took a tenth more room. A record is what goes to the cloud, packed (packing.py). What is known of a lane is kept
-- with it, so that neither start nor append ever counts rows. The outbox of before is given up: no version was released.

DROP TABLE outbox;

CREATE TABLE lanes (
    lane INTEGER PRIMARY KEY CHECK (lane BETWEEN 0 AND 2),
    first_seq INTEGER NOT NULL DEFAULT 1,        -- the oldest row; last_seq + 1 when there is none
    last_seq INTEGER NOT NULL DEFAULT 0,         -- the number given last; none is ever given twice
    delivered_seq INTEGER NOT NULL DEFAULT 0,    -- the cloud has everything up to here; first_seq - 1 or more
    bytes INTEGER NOT NULL DEFAULT 0,            -- of all rows
    delivered_bytes INTEGER NOT NULL DEFAULT 0,  -- of those that the cloud has
    confirmed_epoch INTEGER,                     -- what delivered_seq was called when the cloud confirmed it
    confirmed_seq INTEGER
) STRICT;
INSERT INTO lanes (lane) VALUES (0), (1), (2);

CREATE TABLE outbox_0 (seq INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;
CREATE TABLE outbox_1 (seq INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;
CREATE TABLE outbox_2 (seq INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;
