-- SPDX-License-Identifier: EUPL-1.2
-- Epochs are random numbers: which one of a gateway is the current one is told by the order in which they first came.

ALTER TABLE watermarks ADD COLUMN arrived INTEGER NOT NULL DEFAULT 0;
