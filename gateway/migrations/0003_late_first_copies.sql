-- SPDX-License-Identifier: EUPL-1.2
-- Which of the 32 counters before f_cnt_up were accepted: bit 0 is f_cnt_up - 1. All of them for sessions older than this.

ALTER TABLE sessions ADD COLUMN seen INTEGER NOT NULL DEFAULT 4294967295;
