-- SPDX-License-Identifier: EUPL-1.2
-- What a session has agreed on with its node (mac_control.py, JSON), the history of its link (adr.py), and the node's
-- own word about itself: battery 0 external, 1 to 254 lowest to full, 255 it cannot tell; margin of the request in dB.

ALTER TABLE sessions ADD COLUMN link BLOB NOT NULL DEFAULT x'';
ALTER TABLE sessions ADD COLUMN mac TEXT NOT NULL DEFAULT '{}';
ALTER TABLE devices ADD COLUMN battery INTEGER;
ALTER TABLE devices ADD COLUMN margin_db INTEGER;
ALTER TABLE devices ADD COLUMN status_at REAL;
