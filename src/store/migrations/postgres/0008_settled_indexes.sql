-- SQLite only: PostgreSQL keeps its indexes, because replicas of the version before may be at work.
SELECT 1;
