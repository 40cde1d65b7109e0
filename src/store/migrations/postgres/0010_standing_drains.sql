-- Drains that stay, the looks that all of them share, and which transfers carry warnings. A process
-- of the version before leaves the new columns empty: its drains do not stay, its transfers count
-- as having no warning.

ALTER TABLE batches ADD COLUMN standing_until BIGINT;

-- Looks of the last minute. One that tells of all queues keeps what it saw for other processes.
CREATE TABLE standing_looks (
    id UUID NOT NULL PRIMARY KEY,
    looked_at BIGINT NOT NULL,
    seen TEXT
);

-- The codes of its warnings, with commas between them.
ALTER TABLE transfers ADD COLUMN warned TEXT COLLATE "C";

CREATE INDEX transfers_by_batch_warned ON transfers (batch_id, warned)
    WHERE batch_id IS NOT NULL AND warned IS NOT NULL;
