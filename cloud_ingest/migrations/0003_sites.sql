-- SPDX-License-Identifier: EUPL-1.2
-- Things are sites: trees, and stations of other kinds, which are in no reference area ('').

ALTER TABLE things RENAME COLUMN tree TO site;
ALTER TABLE things ADD COLUMN kind TEXT NOT NULL DEFAULT 'tree';
