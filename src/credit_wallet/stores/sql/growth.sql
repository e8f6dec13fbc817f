-- What waits to be done, and the size of the database.

-- waiting_events: events that were not fanned out yet, and the time of the oldest
SELECT count(*), min(occurred_at) FROM am_credit_outbox WHERE handed_out = 0;

-- waiting_deliveries: notices that are to be sent
SELECT count(*) FROM am_credit_delivery WHERE status = 'pending';

-- dead_deliveries: notices that were given up
SELECT count(*) FROM am_credit_delivery WHERE status = 'dead';

-- topups_by_status: top-ups through a payment provider
SELECT status, count(*) FROM am_credit_topup GROUP BY status;

-- database_bytes: pages of the file
SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size();

-- latest_migration: the name of the latest migration that was applied
SELECT max(name) FROM credit_wallet_migration;
