-- SPDX-License-Identifier: EUPL-1.2
-- The numbering towards the cloud is named anew at every start (forwarder.py): a name on the disk would be restored with it.

ALTER TABLE gateway DROP COLUMN epoch;
