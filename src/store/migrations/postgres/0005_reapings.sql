-- How far the last deletion of old records went, in microseconds since 1970: the next one goes no
-- further than the time that has really passed since, and a day, whatever the clock says. One row.
-- A process of the version before does not write it; then the next deletion goes less far.

CREATE TABLE reapings (
    id BIGINT NOT NULL PRIMARY KEY,
    reach BIGINT NOT NULL
);
