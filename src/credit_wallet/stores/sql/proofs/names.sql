-- What entries are called.

-- names: an entry is found by the request id, the reference and the idempotency key that it has, and by nothing else
SELECT n.wallet_id, n.name, n.found
FROM (SELECT n.wallet_id, n.name,
             CASE n.named WHEN 'request_id' THEN e.detail ->> 'request_id'
                          WHEN 'reference' THEN e.detail ->> 'reference'
                          ELSE e.detail ->> 'idempotency_key' END AS found
      FROM am_credit_entry_name n
      LEFT JOIN am_credit_transaction_log e ON e.txn_id = n.txn_id AND e.wallet_id = n.wallet_id) AS n
WHERE n.found IS DISTINCT FROM n.name;
