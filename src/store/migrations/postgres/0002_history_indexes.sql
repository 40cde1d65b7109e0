-- One index for every way the history is filtered, each ending in the id's order, so that a page
-- costs the same however long the history is. A conversation, a reference and a batch have few
-- transfers: with one of these the other filters are checked row by row.

-- The id once more. No index has it alone: a statement ordered by it cannot be answered by walking
-- all transfers from the newest, which the planner would else prefer for common values.
ALTER TABLE transfers ADD COLUMN position UUID GENERATED ALWAYS AS (id) STORED;

CREATE INDEX transfers_by_conversation ON transfers (conversation_id, position);
CREATE INDEX transfers_by_reference ON transfers (reference, position)
    WHERE reference IS NOT NULL;
CREATE INDEX transfers_by_batch ON transfers (batch_id, position) WHERE batch_id IS NOT NULL;
CREATE INDEX transfers_by_caller ON transfers (caller, position);
CREATE INDEX transfers_by_queue ON transfers (queue_id, position);
CREATE INDEX transfers_by_status ON transfers (status, position);

-- Joined into one, so that no index on one of the columns fits the statement, too. Neither a
-- queue's id nor a status has a slash: different values stay different.
CREATE INDEX transfers_by_caller_queue
    ON transfers ((caller || '/' || queue_id::text), position);
CREATE INDEX transfers_by_caller_status
    ON transfers ((caller || '/' || status), position);
CREATE INDEX transfers_by_queue_status
    ON transfers ((queue_id::text || '/' || status), position);
CREATE INDEX transfers_by_caller_queue_status
    ON transfers ((caller || '/' || queue_id::text || '/' || status), position);
