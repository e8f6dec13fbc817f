"""The checks of a PostgreSQL server before the ledger is opened."""

from __future__ import annotations

import re
from collections.abc import Iterator

from credit_wallet.domain.views import Finding
from credit_wallet.stores.postgres.connection import Raw

_SERVER = """
SELECT current_setting('server_version'), current_schema(), current_setting('fsync'),
       current_setting('synchronous_commit'), current_setting('max_connections'),
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
"""
_TAKES_NO_WRITES = """
SELECT CASE WHEN pg_is_in_recovery() THEN 'it is a standby; give the address of the primary'
            WHEN current_setting('transaction_read_only') = 'on' THEN 'it is set read-only; reset that' END
"""
_LACKING = """
WITH needed (privilege) AS (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')), ledger (oid, name, kind) AS (
    SELECT oid, relname, relkind FROM pg_class
    WHERE (relname LIKE 'am\\_credit\\_%%' OR relname = 'credit_wallet_migration') AND NOT relispartition
      AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('am_credit_wallet'))
)
SELECT privilege || ' on ' || name FROM ledger CROSS JOIN needed
WHERE CASE WHEN kind IN ('r', 'p') THEN NOT has_table_privilege(oid, privilege) END
  AND (privilege = 'SELECT' OR name <> 'credit_wallet_migration')
  AND (privilege <> 'DELETE' OR name = ANY (%s))
UNION ALL
SELECT 'USAGE on ' || name FROM ledger WHERE CASE WHEN kind = 'S' THEN NOT has_sequence_privilege(oid, 'USAGE') END
ORDER BY 1
"""
_DELETED_FROM = ["am_credit_idempotency", "am_credit_purchase"]
"""Tables from which the wallet deletes old rows."""

_STANDBYS = """
SELECT current_setting('synchronous_standby_names'), count(*), count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')),
       count(sync_state) = count(*)
FROM pg_stat_replication WHERE coalesce(state, 'streaming') IN ('streaming', 'catchup')
"""
"""Without ``pg_read_all_stats`` a user sees the number of standbys, but not their state."""

_HOW_MANY = re.compile(r"\s*(?:(?:FIRST|ANY)\s+)?(\d+)\s*\(", re.IGNORECASE)

SHOWN_PRIVILEGES = 5


def findings(raw: Raw, connections: int) -> Iterator[Finding]:
    """Version, durability, replication, privileges, and whether a node's ``connections`` find room."""
    version, schema, fsync, commits, room, used = raw.execute(_SERVER).fetchall()[0]
    yield Finding("postgresql", True, f"PostgreSQL {version}, UTF-8, schema {schema}, synchronous_commit={commits}")
    yield Finding(
        "durability",
        fsync == "on",
        f"fsync={fsync}" + ("" if fsync == "on" else "; set fsync=on, or a crash loses money"),
    )
    yield _replication(raw)
    yield _writable(raw)
    enough = int(room) - int(used) > connections
    yield Finding("connections", enough, f"{used} of {room} in use" + ("" if enough else "; raise max_connections"))


def _replication(raw: Raw) -> Finding:
    names, attached, synchronous, seen = raw.execute(_STANDBYS).fetchall()[0]
    if not names:
        return Finding(
            "replication",
            not attached,
            f"{attached} standbys are attached and none is synchronous: a failover loses the last commits; "
            "set synchronous_standby_names (Patroni: synchronous_mode: true)"
            if attached
            else "no standby is attached",
        )
    wanted = int(named[1]) if (named := _HOW_MANY.match(names)) else 1
    found = synchronous if seen else attached
    return Finding(
        "replication",
        found >= wanted,
        f"synchronous_standby_names={names}: {found} of {wanted} synchronous standbys are attached"
        + ("" if found >= wanted else "; commits wait until they are back, start them or take them off that list"),
    )


def _writable(raw: Raw) -> Finding:
    [(problem,)] = raw.execute(_TAKES_NO_WRITES).fetchall()
    if problem:
        return Finding("writable", False, f"the server takes no writes: {problem}")
    lacking = [privilege for (privilege,) in raw.execute(_LACKING, [_DELETED_FROM])]
    if not lacking:
        return Finding("writable", True, "the server takes writes, and this user may write every table")
    more = f" and {len(lacking) - SHOWN_PRIVILEGES} more" * (len(lacking) > SHOWN_PRIVILEGES)
    return Finding(
        "writable", False, f"this user lacks {', '.join(lacking[:SHOWN_PRIVILEGES])}{more}; GRANT what is missing"
    )
