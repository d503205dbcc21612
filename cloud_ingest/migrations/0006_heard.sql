-- SPDX-License-Identifier: EUPL-1.2
-- When the newest batch of an epoch was applied, by our clock (Unix s): when its gateway was last heard.

ALTER TABLE epochs ADD COLUMN heard_at REAL;
