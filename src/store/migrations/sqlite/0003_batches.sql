-- Batches: many transfers under one id, the items that are not transfers yet, the lists of dry
-- runs, and the keys batches were asked for with.

CREATE TABLE batches (
    id BLOB NOT NULL PRIMARY KEY,
    status TEXT NOT NULL,
    caller TEXT NOT NULL,
    -- The process that works through it.
    runner BLOB NOT NULL,
    -- Of a drain only.
    from_queue BLOB,
    to_queue BLOB,
    finished_at BIGINT,
    -- The whole record as JSON; the columns above repeat what is searched for.
    data TEXT NOT NULL
);

CREATE INDEX batches_by_caller ON batches (caller, id);
CREATE INDEX batches_by_status ON batches (status, id);
CREATE INDEX batches_by_caller_status ON batches (caller, status, id);

-- What recovery looks through, and what a new drain is checked against.
CREATE INDEX batches_open ON batches (id) WHERE finished_at IS NULL;

-- What retention looks through.
CREATE INDEX batches_finished ON batches (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE batch_items (
    batch_id BLOB NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    conversation_id BLOB NOT NULL,
    -- The transfer it became.
    transfer_id BLOB,
    data TEXT NOT NULL,
    PRIMARY KEY (batch_id, position)
);

CREATE UNIQUE INDEX batch_items_by_conversation ON batch_items (batch_id, conversation_id);

-- Items that are not transfers yet, in order.
CREATE INDEX batch_items_open ON batch_items (batch_id, position) WHERE transfer_id IS NULL;

CREATE TABLE batch_plans (
    id BLOB NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL,
    data TEXT NOT NULL
);

CREATE INDEX batch_plans_expired ON batch_plans (expires_at);

CREATE TABLE batch_keys (
    caller TEXT NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    batch_id BLOB NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    answer_status BIGINT NOT NULL,
    answer_content_type TEXT NOT NULL,
    answer_location TEXT,
    answer_retry_after BIGINT,
    answer_body BLOB NOT NULL,
    PRIMARY KEY (caller, route, key)
);

CREATE INDEX batch_keys_by_batch ON batch_keys (batch_id);
CREATE INDEX batch_keys_by_age ON batch_keys (created_at);

-- Why a transfer failed or was skipped, for the tally of its batch. A process of the version
-- before leaves it empty: then the record says it.
ALTER TABLE transfers ADD COLUMN code TEXT;

CREATE INDEX transfers_by_batch_outcome ON transfers (batch_id, status, code, created_at)
    WHERE batch_id IS NOT NULL;
CREATE INDEX transfers_by_batch_change ON transfers (batch_id, updated_at, id)
    WHERE batch_id IS NOT NULL;
