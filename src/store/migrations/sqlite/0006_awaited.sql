-- Accepted transfers that are still to be seen in their queues (transfers.confirm = always), for the
-- process that takes over from one that died. A process of the version before adds none.

CREATE TABLE awaited (
    transfer_id BLOB NOT NULL PRIMARY KEY REFERENCES transfers (id) ON DELETE CASCADE
);
