-- Transfers, idempotency keys and the processes that own transfers.
-- Times are microseconds since 1970 (UTC); ids are the 16 bytes of a UUID.
-- Later migrations must leave a process of the version before able to work: add, never change.

CREATE TABLE transfers (
    id BLOB NOT NULL PRIMARY KEY,
    -- Where the transfer stands, and the coarser word callers filter by.
    stage TEXT NOT NULL,
    status TEXT NOT NULL,
    -- The process that works on it while it is not settled.
    owner BLOB NOT NULL,
    conversation_id BLOB NOT NULL,
    queue_id BLOB NOT NULL,
    caller TEXT NOT NULL,
    reference TEXT,
    batch_id BLOB,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    -- The whole record as JSON; the columns above repeat what is searched for.
    data TEXT NOT NULL
);

-- The guard of every conversation: one transfer that is not settled, whoever tries.
CREATE UNIQUE INDEX transfers_unsettled ON transfers (conversation_id)
    WHERE stage IN ('received', 'prepared', 'dispatching', 'unknown');

-- What recovery looks through, oldest first.
CREATE INDEX transfers_open ON transfers (id)
    WHERE stage IN ('received', 'prepared', 'dispatching', 'unknown');

-- What retention looks through.
CREATE INDEX transfers_settled ON transfers (updated_at)
    WHERE stage IN ('accepted', 'confirmed', 'skipped', 'failed');

CREATE TABLE idempotency_keys (
    caller TEXT NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    transfer_id BLOB NOT NULL REFERENCES transfers (id) ON DELETE CASCADE,
    -- The first answer, from settled_at on.
    settled_at BIGINT,
    answer_status BIGINT,
    answer_content_type TEXT,
    answer_location TEXT,
    answer_retry_after BIGINT,
    answer_body BLOB,
    PRIMARY KEY (caller, route, key)
);

CREATE UNIQUE INDEX idempotency_keys_by_transfer ON idempotency_keys (transfer_id);

CREATE INDEX idempotency_keys_settled ON idempotency_keys (settled_at)
    WHERE settled_at IS NOT NULL;

CREATE TABLE instances (
    owner BLOB NOT NULL PRIMARY KEY,
    heartbeat BIGINT NOT NULL
);

-- One row that readiness checks write, to know that writing works.
CREATE TABLE probe (
    id BIGINT NOT NULL PRIMARY KEY,
    checked_at BIGINT NOT NULL
);
