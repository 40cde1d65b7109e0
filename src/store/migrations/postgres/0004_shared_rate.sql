-- What each process has used of a minute's requests to Genesys and may use before the next round,
-- so that replicas together keep to one limit. A process of the version before leaves all empty
-- and counts as having used nothing.

ALTER TABLE instances ADD COLUMN spent BIGINT;
ALTER TABLE instances ADD COLUMN granted BIGINT;
ALTER TABLE instances ADD COLUMN spent_at BIGINT;
