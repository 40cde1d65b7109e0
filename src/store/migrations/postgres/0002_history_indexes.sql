-- One index for every way the history is filtered, each ending in the id, so that a page costs
-- the same however long the history is. A conversation, a reference and a batch have few
-- transfers: with one of these the other filters are checked row by row.

CREATE INDEX transfers_by_conversation ON transfers (conversation_id, id);
CREATE INDEX transfers_by_reference ON transfers (reference, id) WHERE reference IS NOT NULL;
CREATE INDEX transfers_by_batch ON transfers (batch_id, id) WHERE batch_id IS NOT NULL;
CREATE INDEX transfers_by_caller ON transfers (caller, id);
CREATE INDEX transfers_by_queue ON transfers (queue_id, id);
CREATE INDEX transfers_by_status ON transfers (status, id);
CREATE INDEX transfers_by_caller_queue ON transfers (caller, queue_id, id);
CREATE INDEX transfers_by_caller_status ON transfers (caller, status, id);
CREATE INDEX transfers_by_queue_status ON transfers (queue_id, status, id);
CREATE INDEX transfers_by_caller_queue_status ON transfers (caller, queue_id, status, id);
