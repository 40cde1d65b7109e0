-- Which transfer a transfer undoes, and which batch a batch. What was undone is not undone again,
-- unless that failed. A process of the version before leaves both empty.

ALTER TABLE transfers ADD COLUMN undoes UUID;
ALTER TABLE batches ADD COLUMN undoes UUID;

CREATE UNIQUE INDEX transfers_by_undone ON transfers (undoes)
    WHERE undoes IS NOT NULL AND stage <> 'failed' AND stage <> 'skipped';
CREATE UNIQUE INDEX batches_by_undone ON batches (undoes)
    WHERE undoes IS NOT NULL AND status <> 'failed';
