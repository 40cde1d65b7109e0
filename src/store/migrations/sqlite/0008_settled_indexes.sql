-- Each index costs every transfer a page that is written, and written again at the next checkpoint.
-- Pages of the history without a status are put together from the indexes of each status; the rows
-- that are not settled are few, and transfers_unsettled has them.

DROP INDEX transfers_open;
DROP INDEX transfers_by_caller;
DROP INDEX transfers_by_queue;
DROP INDEX transfers_by_caller_queue;
