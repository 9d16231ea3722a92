"""Tables of the journal, and the version of their form.

Units   as in the names of the columns; sides, states and times in force are their words.
"""

import sqlite3
from contextlib import closing
from typing import Final

#: Form of the tables. A journal of a higher one was written by a newer program and is refused.
VERSION: Final = 1

TABLES: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE orders (
  number INTEGER PRIMARY KEY, client_order_id TEXT NOT NULL UNIQUE, ticker TEXT NOT NULL, side TEXT NOT NULL,
  price_e4 INTEGER NOT NULL, qty_e2 INTEGER NOT NULL, time_in_force TEXT NOT NULL, post_only INTEGER NOT NULL,
  reduce_only INTEGER NOT NULL, expires_s INTEGER, decided_ns INTEGER NOT NULL, model TEXT NOT NULL,
  decision TEXT NOT NULL, exchange_index INTEGER NOT NULL, created_ns INTEGER NOT NULL,
  fee_bound_e6 INTEGER NOT NULL, state TEXT NOT NULL, order_id TEXT, told_filled_e2 INTEGER NOT NULL,
  cancel_wanted INTEGER NOT NULL, reason TEXT NOT NULL
);
CREATE TABLE fills (
  trade_id TEXT NOT NULL, order_id TEXT NOT NULL, client_order_id TEXT, ticker TEXT NOT NULL,
  side TEXT NOT NULL, price_e4 INTEGER NOT NULL, qty_e2 INTEGER NOT NULL, fee_e6 INTEGER NOT NULL,
  is_taker INTEGER NOT NULL, exchange_index INTEGER, exch_ns INTEGER NOT NULL,
  PRIMARY KEY (trade_id, order_id)
) WITHOUT ROWID;
CREATE TABLE settlements (ticker TEXT PRIMARY KEY, value_e4 INTEGER NOT NULL, at_ns INTEGER NOT NULL)
  WITHOUT ROWID;
CREATE TABLE corrections (
  number INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, kind TEXT NOT NULL, ticker TEXT,
  exchange_index INTEGER NOT NULL, position_e2 INTEGER NOT NULL, amount_e6 INTEGER NOT NULL
);
CREATE TABLE facts (ticker TEXT PRIMARY KEY, event TEXT NOT NULL, category TEXT NOT NULL,
  exchange_index INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE results (minute INTEGER PRIMARY KEY, best_e6 INTEGER NOT NULL, last_e6 INTEGER NOT NULL);
CREATE TABLE notes (
  number INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL
);
"""

#: All of them but ``meta``.
ROW_TABLES: Final = ("orders", "fills", "settlements", "corrections", "facts", "results", "notes")

#: Ways to find one order again (recover.py); a journal of before has them from its next opening on.
INDEXES: Final = """
CREATE INDEX IF NOT EXISTS orders_by_order_id ON orders (order_id);
CREATE INDEX IF NOT EXISTS fills_by_client_id ON fills (client_order_id);
"""


def table_words(database: sqlite3.Connection | None) -> dict[str, str]:
    """Table -> the words that made it, in ``database``; None: in a new journal."""
    if database is None:
        with closing(sqlite3.connect(":memory:")) as fresh:
            fresh.executescript(TABLES)
            return table_words(fresh)
    return dict(database.execute("SELECT name, sql FROM sqlite_master WHERE type='table'"))
