-- Batches: many transfers under one id, the items that are not transfers yet, the lists of dry
-- runs, and the keys batches were asked for with.

CREATE TABLE batches (
    id UUID NOT NULL PRIMARY KEY,
    status TEXT COLLATE "C" NOT NULL,
    caller TEXT COLLATE "C" NOT NULL,
    -- The process that works through it.
    runner UUID NOT NULL,
    -- Of a drain only.
    from_queue UUID,
    to_queue UUID,
    finished_at BIGINT,
    -- The id once more, in no index alone, so that no list is made by walking all batches; see
    -- the history's indexes.
    position UUID GENERATED ALWAYS AS (id) STORED,
    -- The whole record as JSON; the columns above repeat what is searched for.
    data TEXT NOT NULL
);

CREATE INDEX batches_by_caller ON batches (caller, position);
CREATE INDEX batches_by_status ON batches (status, position);
CREATE INDEX batches_by_caller_status ON batches ((caller || '/' || status), position);

-- What recovery looks through, and what a new drain is checked against.
CREATE INDEX batches_open ON batches (id) WHERE finished_at IS NULL;

-- What retention looks through.
CREATE INDEX batches_finished ON batches (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE batch_items (
    batch_id UUID NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    conversation_id UUID NOT NULL,
    -- The transfer it became.
    transfer_id UUID,
    data TEXT NOT NULL,
    PRIMARY KEY (batch_id, position)
);

CREATE UNIQUE INDEX batch_items_by_conversation ON batch_items (batch_id, conversation_id);

-- Items that are not transfers yet, in order.
CREATE INDEX batch_items_open ON batch_items (batch_id, position) WHERE transfer_id IS NULL;

CREATE TABLE batch_plans (
    id UUID NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL,
    data TEXT NOT NULL
);

CREATE INDEX batch_plans_expired ON batch_plans (expires_at);

CREATE TABLE batch_keys (
    caller TEXT COLLATE "C" NOT NULL,
    route TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    fingerprint BYTEA NOT NULL,
    batch_id UUID NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    answer_status BIGINT NOT NULL,
    answer_content_type TEXT NOT NULL,
    answer_location TEXT,
    answer_retry_after BIGINT,
    answer_body BYTEA NOT NULL,
    PRIMARY KEY (caller, route, key)
);

CREATE INDEX batch_keys_by_batch ON batch_keys (batch_id);
CREATE INDEX batch_keys_by_age ON batch_keys (created_at);

-- Why a transfer failed or was skipped, for the tally of its batch. A process of the version
-- before leaves it empty: then the record says it.
ALTER TABLE transfers ADD COLUMN code TEXT COLLATE "C";

CREATE INDEX transfers_by_batch_outcome ON transfers (batch_id, status, code, created_at)
    WHERE batch_id IS NOT NULL;
CREATE INDEX transfers_by_batch_change ON transfers (batch_id, updated_at, id)
    WHERE batch_id IS NOT NULL;
