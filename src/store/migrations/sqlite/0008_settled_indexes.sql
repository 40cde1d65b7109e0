-- Each index costs every transfer a page that is written, and written again at the next checkpoint.
-- Pages of the history without a status are put together from the indexes of each status; the rows
-- that are not settled are few, and transfers_unsettled has them.

DROP INDEX transfers_open;
DROP INDEX transfers_by_caller;
DROP INDEX transfers_by_queue;
DROP INDEX transfers_by_caller_queue;

-- A list with IN of more than two values is a table that SQLite makes anew for each index whenever
-- a row is written: twelve for one update. The same conditions with OR are compared at once.

DROP INDEX transfers_unsettled;
CREATE UNIQUE INDEX transfers_unsettled ON transfers (conversation_id)
    WHERE (stage = 'received' OR stage = 'prepared' OR stage = 'dispatching' OR stage = 'unknown');
DROP INDEX transfers_settled;
CREATE INDEX transfers_settled ON transfers (updated_at)
    WHERE (stage = 'accepted' OR stage = 'confirmed' OR stage = 'skipped' OR stage = 'failed');
DROP INDEX settled_by_status;
CREATE INDEX settled_by_status ON transfers (status, id)
    WHERE (stage = 'accepted' OR stage = 'confirmed' OR stage = 'skipped' OR stage = 'failed');
DROP INDEX settled_by_caller_status;
CREATE INDEX settled_by_caller_status ON transfers (caller, status, id)
    WHERE (stage = 'accepted' OR stage = 'confirmed' OR stage = 'skipped' OR stage = 'failed');
DROP INDEX settled_by_queue_status;
CREATE INDEX settled_by_queue_status ON transfers (queue_id, status, id)
    WHERE (stage = 'accepted' OR stage = 'confirmed' OR stage = 'skipped' OR stage = 'failed');
DROP INDEX settled_by_caller_queue_status;
CREATE INDEX settled_by_caller_queue_status ON transfers (caller, queue_id, status, id)
    WHERE (stage = 'accepted' OR stage = 'confirmed' OR stage = 'skipped' OR stage = 'failed');
