"""Tables and views of the embedded store, and the check of what an opened file holds.

Times are ns since the epoch, UTC. Numbers that are unsigned 64-bit in a record (`seq`, `id`)
are kept less 2**63, so that SQLite's signed integers sort as the record's numbers do; the
views give them back as they were.
"""

# Statements are put together from the names in this package; every value is bound.
# ruff: noqa: S608

from __future__ import annotations

import sqlite3

from workbench.errors import StoreError, StoreSchemaError
from workbench.records import CANCELLED

__all__ = ["VERSION", "check", "create", "version"]

#: Version of the tables below; raised whenever an older program could not use them.
VERSION = 3

# A quote has no id, and some venues do not number theirs: only the whole of it tells two
# quotes of one moment apart, so all of it but the time of receipt is its key.
_BAR = """open REAL NOT NULL, high REAL NOT NULL, low REAL NOT NULL, close REAL NOT NULL,
  volume REAL NOT NULL, vwap REAL, n INTEGER NOT NULL,
  volume_rest REAL NOT NULL, notional REAL, notional_rest REAL,
  rev INTEGER NOT NULL, state INTEGER NOT NULL, known INTEGER NOT NULL DEFAULT 0"""

# `known` is when a content became known, and 0 for what was stored before that was noted. In
# the tables of revisions `place` numbers what a row said, in the order it was taken. Trades
# have no such column: what was never amended is known since it was received.
_TABLES = f"""
CREATE TABLE IF NOT EXISTS schema_version (v INTEGER NOT NULL);

CREATE TABLE IF NOT EXISTS symbols (
  id INTEGER PRIMARY KEY,
  symbol TEXT NOT NULL UNIQUE,
  asset_class TEXT NOT NULL,
  meta TEXT
);

CREATE TABLE IF NOT EXISTS trades (
  sid INTEGER NOT NULL, ts INTEGER NOT NULL, seq INTEGER NOT NULL, exch INTEGER NOT NULL,
  id INTEGER NOT NULL, received INTEGER NOT NULL, price REAL NOT NULL, size REAL NOT NULL,
  side INTEGER NOT NULL, conds INTEGER NOT NULL, flags INTEGER NOT NULL,
  PRIMARY KEY (sid, ts, seq, exch, id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS quotes (
  sid INTEGER NOT NULL, ts INTEGER NOT NULL, seq INTEGER NOT NULL,
  bid_exch INTEGER NOT NULL, ask_exch INTEGER NOT NULL,
  bid REAL NOT NULL, bid_size REAL NOT NULL, ask REAL NOT NULL, ask_size REAL NOT NULL,
  received INTEGER NOT NULL,
  PRIMARY KEY (sid, ts, seq, bid_exch, ask_exch, bid, bid_size, ask, ask_size)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS bars (
  sid INTEGER NOT NULL, tf INTEGER NOT NULL, origin INTEGER NOT NULL, ts INTEGER NOT NULL,
  {_BAR},
  PRIMARY KEY (sid, tf, origin, ts)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS bar_revisions (
  sid INTEGER NOT NULL, tf INTEGER NOT NULL, origin INTEGER NOT NULL, ts INTEGER NOT NULL,
  place INTEGER NOT NULL,
  {_BAR},
  PRIMARY KEY (sid, tf, origin, ts, place)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS trade_revisions (
  sid INTEGER NOT NULL, ts INTEGER NOT NULL, seq INTEGER NOT NULL, exch INTEGER NOT NULL,
  id INTEGER NOT NULL, place INTEGER NOT NULL, received INTEGER NOT NULL, price REAL NOT NULL,
  size REAL NOT NULL, side INTEGER NOT NULL, conds INTEGER NOT NULL, flags INTEGER NOT NULL,
  known INTEGER NOT NULL, until INTEGER NOT NULL,
  PRIMARY KEY (sid, ts, seq, exch, id, place)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS segments (
  path TEXT PRIMARY KEY, kind TEXT NOT NULL, tf INTEGER, date TEXT, sym_lo TEXT, sym_hi TEXT,
  ts_lo INTEGER, ts_hi INTEGER, n INTEGER, bytes INTEGER, crc INTEGER, created INTEGER
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS coverage (
  source TEXT NOT NULL, sid INTEGER NOT NULL, kind TEXT NOT NULL, tf INTEGER NOT NULL,
  lo INTEGER NOT NULL, hi INTEGER NOT NULL, state TEXT NOT NULL, learned TEXT NOT NULL,
  at INTEGER NOT NULL, ready INTEGER NOT NULL,
  PRIMARY KEY (source, sid, kind, tf, lo)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS positions (
  stream TEXT NOT NULL, part INTEGER NOT NULL, pos TEXT NOT NULL,
  PRIMARY KEY (stream, part)
) WITHOUT ROWID;
"""

_VALUES = "open high low close volume vwap n volume_rest notional notional_rest rev state known"

#: Keeps what a bar said when it is replaced. A trigger costs nothing where none is, and cannot
#: be forgotten by whoever writes.
_TRIGGER = f"""
CREATE TRIGGER IF NOT EXISTS bars_revised AFTER UPDATE ON bars BEGIN
  INSERT INTO bar_revisions (sid, tf, origin, ts, place, {", ".join(_VALUES.split())})
  VALUES (old.sid, old.tf, old.origin, old.ts,
    coalesce((SELECT max(r.place) FROM bar_revisions r WHERE r.sid = old.sid
      AND r.tf = old.tf AND r.origin = old.origin AND r.ts = old.ts), -1) + 1,
    {", ".join(f"old.{name}" for name in _VALUES.split())});
END"""


def _utc(column: str) -> str:
    # Division truncates towards zero, so the remainder of times before 1970 is lifted first.
    rest = f"((({column}) % 1000000000 + 1000000000) % 1000000000)"
    whole = f"(({column}) - {rest}) / 1000000000"
    return f"strftime('%Y-%m-%dT%H:%M:%S', {whole}, 'unixepoch') || printf('.%09dZ', {rest})"


def _unsigned(column: str) -> str:
    # Signed wrap-around is undone by hand: sums beyond 63 bits would turn into floats.
    flipped = (
        f"CASE WHEN {column} < 0 THEN {column} + 9223372036854775807 + 1"
        f" ELSE {column} - 9223372036854775807 - 1 END"
    )
    return f"printf('%llu', {flipped})"


def _codes(column: str) -> str:
    codes = [f"nullif(({column} >> {8 * place}) & 255, 0)" for place in range(4)]
    return f"replace(trim(printf('%s %s %s %s', {', '.join(codes)})), ' ', ',')"


_VIEWS = {
    "trades_data": f"""
SELECT s.symbol AS symbol, {_utc("t.ts")} AS timestamp, t.price AS price, t.size AS size,
  CASE t.side WHEN 1 THEN 'buy' WHEN -1 THEN 'sell' ELSE 'unknown' END AS side,
  t.exch AS exchange_id, {_unsigned("t.id")} AS trade_id, {_codes("t.conds")} AS conditions,
  {_unsigned("t.seq")} AS sequence, {_utc("t.received")} AS received, t.ts AS ts
FROM trades t JOIN symbols s ON s.id = t.sid
WHERE t.flags & {CANCELLED} = 0""",
    "quotes_data": f"""
SELECT s.symbol AS symbol, {_utc("q.ts")} AS timestamp, q.bid AS bid_price,
  q.bid_size AS bid_size, q.ask AS ask_price, q.ask_size AS ask_size,
  q.bid_exch AS exchange_id, q.ask_exch AS ask_exchange_id,
  {_unsigned("q.seq")} AS sequence, {_utc("q.received")} AS received, q.ts AS ts
FROM quotes q JOIN symbols s ON s.id = q.sid""",
    # One row per (symbol, timeframe, time), as the reader gives them: a series that was built
    # here hides the provider's.
    "market_data": f"""
SELECT s.symbol AS symbol, {_utc("b.ts")} AS timestamp,
  CASE WHEN b.tf % 604800 = 0 THEN (b.tf / 604800) || 'w'
    WHEN b.tf % 86400 = 0 THEN (b.tf / 86400) || 'd'
    WHEN b.tf % 3600 = 0 THEN (b.tf / 3600) || 'h'
    WHEN b.tf % 60 = 0 THEN (b.tf / 60) || 'm' ELSE b.tf || 's' END AS timeframe,
  b.open AS open, b.high AS high, b.low AS low, b.close AS close, b.volume AS volume,
  b.vwap AS vwap, b.n AS trade_count, b.rev AS revision,
  CASE b.origin WHEN 0 THEN 'own' ELSE 'provider' END AS origin, b.ts AS ts,
  CASE WHEN b.known != 0 THEN {_utc("b.known")} END AS known
FROM bars b JOIN symbols s ON s.id = b.sid
WHERE b.origin = (SELECT min(o.origin) FROM bars o WHERE o.sid = b.sid AND o.tf = b.tf)""",
}


def version(connection: sqlite3.Connection) -> int | None:
    """Return the version a file was written with, or None if it holds no store yet."""
    known = connection.execute(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'"
    ).fetchone()[0]
    if not known:
        return None
    found = connection.execute("SELECT max(v) FROM schema_version").fetchone()[0]
    return None if found is None else int(found)


def check(connection: sqlite3.Connection, path: str) -> int | None:
    """Return the version of a store that this program can use, None if there are no tables.

    Parameters
    ----------
    connection : sqlite3.Connection
    path : str
        What errors call the file.

    Raises
    ------
    StoreSchemaError
        If a newer program wrote it.
    StoreError
        If the file is another program's database.
    """
    found = version(connection)
    if found is not None and found > VERSION:
        raise StoreSchemaError(
            f"{path} was written by a newer Workbench (store version {found}, this one knows "
            f"{VERSION}): upgrade Workbench, or open another store; nothing was changed"
        )
    if found is None:
        others = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'schema_version' "
            "AND name NOT LIKE 'sqlite_%' LIMIT 1"
        ).fetchone()
        if others is not None:
            raise StoreError(
                f"{path} is a database of another program (it has a table {others[0]!r}): "
                "give the store a file of its own"
            )
    return found


def _note_when_known(connection: sqlite3.Connection) -> None:
    columns = [row[1] for row in connection.execute("PRAGMA table_info(bars)")]
    if columns and "known" not in columns:
        connection.execute("ALTER TABLE bars ADD COLUMN known INTEGER NOT NULL DEFAULT 0")
    for name in _VIEWS:  # they are made again, and show it
        connection.execute(f"DROP VIEW IF EXISTS {name}")


def create(connection: sqlite3.Connection, path: str) -> None:
    """Make what is missing of the tables and views; do nothing where all is there.

    A store of an older version gets what was added since and the present version: version 2
    added the table `coverage`, version 3 when bars became known, and what they and trades said
    before. What is in a store is never changed by that. Safe when several processes do it at
    once, and when it is interrupted: it is one transaction.

    Parameters
    ----------
    connection : sqlite3.Connection
        In autocommit mode.
    path : str
        What errors call the file.

    Raises
    ------
    StoreSchemaError, StoreError
        As :func:`check` does.
    """
    if check(connection, path) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = check(connection, path)
        if found is not None and found < 3:
            _note_when_known(connection)
            connection.execute("DROP TABLE IF EXISTS fetch_log")  # the ledger knows it all
        for statement in (*_TABLES.split(";"), _TRIGGER):
            if statement.strip():
                connection.execute(statement)
        for name, query in _VIEWS.items():
            connection.execute(f"CREATE VIEW IF NOT EXISTS {name} AS {query}")
        connection.execute(
            "INSERT INTO schema_version SELECT ? WHERE NOT EXISTS (SELECT 1 FROM schema_version)",
            (VERSION,),
        )
        connection.execute("UPDATE schema_version SET v = ? WHERE v < ?", (VERSION, VERSION))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
