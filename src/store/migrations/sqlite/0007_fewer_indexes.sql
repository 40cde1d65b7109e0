-- The status of a transfer changes once or twice, and each change took the row out of four indexes
-- and put it back. These hold settled rows only, so that a row enters each of them once. The rows
-- that are not settled are few: transfers_open has them for every filter.

DROP INDEX transfers_by_status;
DROP INDEX transfers_by_caller_status;
DROP INDEX transfers_by_queue_status;
DROP INDEX transfers_by_caller_queue_status;

CREATE INDEX settled_by_status ON transfers (status, id)
    WHERE stage IN ('accepted', 'confirmed', 'skipped', 'failed');
CREATE INDEX settled_by_caller_status ON transfers (caller, status, id)
    WHERE stage IN ('accepted', 'confirmed', 'skipped', 'failed');
CREATE INDEX settled_by_queue_status ON transfers (queue_id, status, id)
    WHERE stage IN ('accepted', 'confirmed', 'skipped', 'failed');
CREATE INDEX settled_by_caller_queue_status ON transfers (caller, queue_id, status, id)
    WHERE stage IN ('accepted', 'confirmed', 'skipped', 'failed');
