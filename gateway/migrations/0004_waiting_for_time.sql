-- SPDX-License-Identifier: EUPL-1.2
-- Uplinks received while no clock was set, in their order: raw, with the boot and the seconds since it (reception_time.py).

CREATE TABLE waiting (
    id INTEGER PRIMARY KEY,
    dev_eui TEXT NOT NULL,
    session INTEGER NOT NULL,
    f_cnt INTEGER NOT NULL,
    f_port INTEGER NOT NULL,
    profile TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    boot_s REAL NOT NULL,
    frm_payload BLOB NOT NULL
) STRICT;
