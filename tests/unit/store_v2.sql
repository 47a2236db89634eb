BEGIN TRANSACTION;
CREATE TABLE bars (
  sid INTEGER NOT NULL, tf INTEGER NOT NULL, origin INTEGER NOT NULL, ts INTEGER NOT NULL,
  open REAL NOT NULL, high REAL NOT NULL, low REAL NOT NULL, close REAL NOT NULL,
  volume REAL NOT NULL, vwap REAL, n INTEGER NOT NULL,
  volume_rest REAL NOT NULL, notional REAL, notional_rest REAL,
  rev INTEGER NOT NULL, state INTEGER NOT NULL,
  PRIMARY KEY (sid, tf, origin, ts)
) WITHOUT ROWID;
INSERT INTO "bars" VALUES(1,60,0,1762180200000000000,0.0,0.0,0.0,9.0,0.0,1.0,5,0.0,0.0,0.0,1,3);
INSERT INTO "bars" VALUES(1,60,0,1762180260000000000,0.0,0.0,0.0,9.0,0.0,NULL,5,0.0,0.0,0.0,1,3);
INSERT INTO "bars" VALUES(1,60,0,1762180320000000000,0.0,0.0,0.0,3.0,0.0,3.0,5,0.0,0.0,0.0,0,2);
INSERT INTO "bars" VALUES(1,60,0,1762180380000000000,0.0,0.0,0.0,4.0,0.0,4.0,5,0.0,0.0,0.0,0,2);
INSERT INTO "bars" VALUES(2,300,1,1762180200000000000,0.0,0.0,0.0,0.0,0.0,0.0,0,0.0,0.0,0.0,0,2);
INSERT INTO "bars" VALUES(2,300,1,1762180500000000000,0.0,0.0,0.0,0.0,0.0,0.0,0,0.0,0.0,0.0,0,2);
CREATE TABLE coverage (
  source TEXT NOT NULL, sid INTEGER NOT NULL, kind TEXT NOT NULL, tf INTEGER NOT NULL,
  lo INTEGER NOT NULL, hi INTEGER NOT NULL, state TEXT NOT NULL, learned TEXT NOT NULL,
  at INTEGER NOT NULL, ready INTEGER NOT NULL,
  PRIMARY KEY (source, sid, kind, tf, lo)
) WITHOUT ROWID;
INSERT INTO "coverage" VALUES('sim',1,'trade',0,1762180200000000000,1762180260000000000,'received','live 1',1762180260000000000,0);
CREATE TABLE fetch_log (
  source TEXT NOT NULL, kind TEXT NOT NULL, sid INTEGER NOT NULL, tf INTEGER NOT NULL,
  ts_lo INTEGER NOT NULL, ts_hi INTEGER NOT NULL, status TEXT NOT NULL, rows INTEGER,
  fetched_at INTEGER NOT NULL,
  PRIMARY KEY (source, kind, sid, tf, ts_lo, ts_hi)
) WITHOUT ROWID;
CREATE TABLE positions (
  stream TEXT NOT NULL, part INTEGER NOT NULL, pos TEXT NOT NULL,
  PRIMARY KEY (stream, part)
) WITHOUT ROWID;
CREATE TABLE quotes (
  sid INTEGER NOT NULL, ts INTEGER NOT NULL, seq INTEGER NOT NULL,
  bid_exch INTEGER NOT NULL, ask_exch INTEGER NOT NULL,
  bid REAL NOT NULL, bid_size REAL NOT NULL, ask REAL NOT NULL, ask_size REAL NOT NULL,
  received INTEGER NOT NULL,
  PRIMARY KEY (sid, ts, seq, bid_exch, ask_exch, bid, bid_size, ask, ask_size)
) WITHOUT ROWID;
INSERT INTO "quotes" VALUES(1,1762180200000000000,-9223372036854775808,0,0,1.0,0.0,3.0,0.0,1762180200000000050);
INSERT INTO "quotes" VALUES(1,1762180200000000001,-9223372036854775808,0,0,2.0,0.0,3.0,0.0,1762180200000000050);
CREATE TABLE schema_version (v INTEGER NOT NULL);
INSERT INTO "schema_version" VALUES(2);
CREATE TABLE segments (
  path TEXT PRIMARY KEY, kind TEXT NOT NULL, tf INTEGER, date TEXT, sym_lo TEXT, sym_hi TEXT,
  ts_lo INTEGER, ts_hi INTEGER, n INTEGER, bytes INTEGER, crc INTEGER, created INTEGER
) WITHOUT ROWID;
CREATE TABLE symbols (
  id INTEGER PRIMARY KEY,
  symbol TEXT NOT NULL UNIQUE,
  asset_class TEXT NOT NULL,
  meta TEXT
);
INSERT INTO "symbols" VALUES(1,'BTC-USD','crypto',NULL);
INSERT INTO "symbols" VALUES(2,'AAPL','stocks',NULL);
CREATE TABLE trades (
  sid INTEGER NOT NULL, ts INTEGER NOT NULL, seq INTEGER NOT NULL, exch INTEGER NOT NULL,
  id INTEGER NOT NULL, received INTEGER NOT NULL, price REAL NOT NULL, size REAL NOT NULL,
  side INTEGER NOT NULL, conds INTEGER NOT NULL, flags INTEGER NOT NULL,
  PRIMARY KEY (sid, ts, seq, exch, id)
) WITHOUT ROWID;
INSERT INTO "trades" VALUES(1,1762180200000000000,-9223372036854775808,0,-9223372036854775807,1762180200000000100,100.5,2.0,0,0,0);
INSERT INTO "trades" VALUES(1,1762180200000000001,-9223372036854775808,0,-9223372036854775806,1762180200000000110,101.0,2.0,0,14,0);
INSERT INTO "trades" VALUES(1,1762180200000000002,-9223372036854775808,0,9223372036854775807,1762180200000000120,102.0,2.0,0,37,6);
CREATE VIEW trades_data AS 
SELECT s.symbol AS symbol, strftime('%Y-%m-%dT%H:%M:%S', ((t.ts) - (((t.ts) % 1000000000 + 1000000000) % 1000000000)) / 1000000000, 'unixepoch') || printf('.%09dZ', (((t.ts) % 1000000000 + 1000000000) % 1000000000)) AS timestamp, t.price AS price, t.size AS size,
  CASE t.side WHEN 1 THEN 'buy' WHEN -1 THEN 'sell' ELSE 'unknown' END AS side,
  t.exch AS exchange_id, printf('%llu', CASE WHEN t.id < 0 THEN t.id + 9223372036854775807 + 1 ELSE t.id - 9223372036854775807 - 1 END) AS trade_id, replace(trim(printf('%s %s %s %s', nullif((t.conds >> 0) & 255, 0), nullif((t.conds >> 8) & 255, 0), nullif((t.conds >> 16) & 255, 0), nullif((t.conds >> 24) & 255, 0))), ' ', ',') AS conditions,
  printf('%llu', CASE WHEN t.seq < 0 THEN t.seq + 9223372036854775807 + 1 ELSE t.seq - 9223372036854775807 - 1 END) AS sequence, strftime('%Y-%m-%dT%H:%M:%S', ((t.received) - (((t.received) % 1000000000 + 1000000000) % 1000000000)) / 1000000000, 'unixepoch') || printf('.%09dZ', (((t.received) % 1000000000 + 1000000000) % 1000000000)) AS received, t.ts AS ts
FROM trades t JOIN symbols s ON s.id = t.sid;
CREATE VIEW quotes_data AS 
SELECT s.symbol AS symbol, strftime('%Y-%m-%dT%H:%M:%S', ((q.ts) - (((q.ts) % 1000000000 + 1000000000) % 1000000000)) / 1000000000, 'unixepoch') || printf('.%09dZ', (((q.ts) % 1000000000 + 1000000000) % 1000000000)) AS timestamp, q.bid AS bid_price,
  q.bid_size AS bid_size, q.ask AS ask_price, q.ask_size AS ask_size,
  q.bid_exch AS exchange_id, q.ask_exch AS ask_exchange_id,
  printf('%llu', CASE WHEN q.seq < 0 THEN q.seq + 9223372036854775807 + 1 ELSE q.seq - 9223372036854775807 - 1 END) AS sequence, strftime('%Y-%m-%dT%H:%M:%S', ((q.received) - (((q.received) % 1000000000 + 1000000000) % 1000000000)) / 1000000000, 'unixepoch') || printf('.%09dZ', (((q.received) % 1000000000 + 1000000000) % 1000000000)) AS received, q.ts AS ts
FROM quotes q JOIN symbols s ON s.id = q.sid;
CREATE VIEW market_data AS 
SELECT s.symbol AS symbol, strftime('%Y-%m-%dT%H:%M:%S', ((b.ts) - (((b.ts) % 1000000000 + 1000000000) % 1000000000)) / 1000000000, 'unixepoch') || printf('.%09dZ', (((b.ts) % 1000000000 + 1000000000) % 1000000000)) AS timestamp,
  CASE WHEN b.tf % 604800 = 0 THEN (b.tf / 604800) || 'w'
    WHEN b.tf % 86400 = 0 THEN (b.tf / 86400) || 'd'
    WHEN b.tf % 3600 = 0 THEN (b.tf / 3600) || 'h'
    WHEN b.tf % 60 = 0 THEN (b.tf / 60) || 'm' ELSE b.tf || 's' END AS timeframe,
  b.open AS open, b.high AS high, b.low AS low, b.close AS close, b.volume AS volume,
  b.vwap AS vwap, b.n AS trade_count, b.rev AS revision,
  CASE b.origin WHEN 0 THEN 'own' ELSE 'provider' END AS origin, b.ts AS ts
FROM bars b JOIN symbols s ON s.id = b.sid
WHERE b.origin = (SELECT min(o.origin) FROM bars o WHERE o.sid = b.sid AND o.tf = b.tf);
COMMIT;
