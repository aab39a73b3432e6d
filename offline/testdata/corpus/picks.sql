-- == DISTINCT ON in a total order
-- inputs
SELECT DISTINCT ON (origin) origin, event_time, available_at, delay FROM flights ORDER BY origin, event_time DESC, id
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.origin
-- > available_at: order flights.event_time flights.id flights.origin
-- > delay: value flights.delay
-- > delay: group flights.origin
-- > delay: order flights.event_time flights.id flights.origin
-- > event_time: value flights.event_time
-- > event_time: group flights.origin
-- > event_time: order flights.event_time flights.id flights.origin
-- > origin: value flights.origin
-- > origin: group flights.origin
-- > origin: order flights.event_time flights.id flights.origin
-- > uses flights(available_at, delay, event_time, id, origin)

-- == DISTINCT ON with ties
SELECT
  DISTINCT ON (origin) origin, event_time, available_at, delay FROM flights ORDER BY origin, event_time DESC
-- > refused
-- > 2:3 found DISTINCT ON whose ORDER BY leaves ties, expected an order that tells all rows apart; add the columns of a unique key to the ORDER BY (flights: id) (rule distinct-on-order)

-- == DISTINCT ON without an order
SELECT DISTINCT ON (origin) origin, event_time, available_at, delay FROM flights
-- > refused
-- > 1:8 found DISTINCT ON whose ORDER BY leaves ties, expected an order that tells all rows apart; add the columns of a unique key to the ORDER BY (flights: id) (rule distinct-on-order)

-- == DISTINCT ON by all that is output
SELECT DISTINCT ON (person) person, event_time, available_at, amount FROM events ORDER BY person, at DESC, amount
-- > accepted

-- == DISTINCT
-- inputs
SELECT DISTINCT origin, event_time, available_at FROM flights
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.available_at flights.event_time flights.origin
-- > event_time: value flights.event_time
-- > event_time: group flights.available_at flights.event_time flights.origin
-- > origin: value flights.origin
-- > origin: group flights.available_at flights.event_time flights.origin
-- > uses flights(available_at, event_time, origin)

-- == LIMIT in a total order
-- inputs
SELECT origin, event_time, available_at, delay FROM flights ORDER BY id LIMIT 10
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: order flights.id
-- > delay: value flights.delay
-- > delay: order flights.id
-- > event_time: value flights.event_time
-- > event_time: order flights.id
-- > origin: value flights.origin
-- > origin: order flights.id
-- > uses flights(available_at, delay, event_time, id, origin)

-- == LIMIT with ties
SELECT origin, event_time, available_at, delay FROM flights ORDER BY event_time
LIMIT 10
-- > refused
-- > 2:1 found LIMIT of rows in an order that leaves ties, expected an order that tells all rows apart; add the columns of a unique key to the ORDER BY (flights: id), or write FETCH FIRST … ROWS WITH TIES (rule limit-order)

-- == LIMIT without an order
SELECT origin, event_time, available_at, delay FROM flights LIMIT 10
-- > refused
-- > 1:61 found LIMIT of rows in no order, expected an order that tells all rows apart; add the columns of a unique key to the ORDER BY (flights: id) (rule limit-order)

-- == FETCH FIRST with ties
SELECT origin, event_time, available_at, delay FROM flights ORDER BY event_time FETCH FIRST 10 ROWS WITH TIES
-- > accepted

-- == FETCH FIRST
SELECT origin, event_time, available_at, delay FROM flights ORDER BY event_time
  FETCH FIRST 10 ROWS ONLY
-- > refused
-- > 2:3 found FETCH of rows in an order that leaves ties, expected an order that tells all rows apart; add the columns of a unique key to the ORDER BY (flights: id), or write FETCH FIRST … ROWS WITH TIES (rule limit-order)

-- == OFFSET
SELECT origin, event_time, available_at, delay FROM flights ORDER BY event_time OFFSET 5
-- > refused
-- > 1:28 found an available_at that may be before that of the rows that OFFSET leaves out, expected one that is before that of no row that counts; write it without OFFSET: number the rows by row_number(), with max(available_at) OVER the same window, and keep those that are meant (rule available-at)
-- > 1:81 found OFFSET of rows in an order that leaves ties, expected an order that tells all rows apart; add the columns of a unique key to the ORDER BY (flights: id) (rule limit-order)

-- == OFFSET and ties kept
SELECT origin, event_time, available_at, delay FROM flights ORDER BY event_time OFFSET 5 FETCH FIRST 10 ROWS WITH TIES
-- > refused
-- > 1:28 found an available_at that may be before that of the rows that OFFSET leaves out, expected one that is before that of no row that counts; write it without OFFSET: number the rows by row_number(), with max(available_at) OVER the same window, and keep those that are meant (rule available-at)
-- > 1:81 found OFFSET of rows in an order that leaves ties, expected an order that tells all rows apart; add the columns of a unique key to the ORDER BY (flights: id) (rule limit-order)

-- == LIMIT by all that is output
SELECT person, event_time, available_at FROM events ORDER BY at, person LIMIT 7
-- > accepted

-- == LIMIT ALL
SELECT origin, event_time, available_at, delay FROM flights LIMIT ALL
-- > accepted

-- == LIMIT 1 in EXISTS
SELECT f.origin, f.event_time, f.available_at FROM flights f
WHERE EXISTS (SELECT * FROM events e WHERE e.person = f.origin AND e.available_at < f.available_at LIMIT 1)
-- > accepted

-- == LIMIT 1 of an aggregate
SELECT f.origin, f.event_time, f.available_at, (SELECT max(amount) FROM events e WHERE e.available_at < f.available_at LIMIT 1) AS n FROM flights f
-- > accepted

-- == LIMIT 1 in a scalar subquery, with ties
SELECT f.origin, f.event_time, f.available_at,
  (SELECT amount FROM events e WHERE e.person = f.origin AND e.available_at <= f.available_at ORDER BY at DESC LIMIT 1) AS n FROM flights f
-- > refused
-- > 2:112 found LIMIT of rows in an order that leaves ties, expected an order that tells all rows apart; add the columns of a unique key to the ORDER BY (declare one by unique_key), or write FETCH FIRST … ROWS WITH TIES (rule limit-order)

-- == LIMIT 1 in a scalar subquery by the value
SELECT f.origin, f.event_time, f.available_at,
  (SELECT amount FROM events e WHERE e.person = f.origin AND e.available_at <= f.available_at ORDER BY at DESC, amount LIMIT 1) AS n FROM flights f
-- > accepted

-- == LIMIT after GROUP BY
SELECT origin, max(event_time) AS event_time, max(available_at) AS available_at, count(*) AS n FROM flights GROUP BY origin ORDER BY origin LIMIT 2
-- > accepted

-- == LIMIT after GROUP BY, by the count
SELECT origin, max(event_time) AS event_time, max(available_at) AS available_at, count(*) AS n FROM flights GROUP BY origin ORDER BY count(*) DESC LIMIT 2
-- > refused
-- > 1:148 found LIMIT of rows in an order that leaves ties, expected an order that tells all rows apart; add the columns of a unique key to the ORDER BY (here those of GROUP BY), or write FETCH FIRST … ROWS WITH TIES (rule limit-order)

-- == LIMIT after UNION
SELECT origin, event_time, available_at FROM flights UNION SELECT person, event_time, available_at FROM events ORDER BY 2 LIMIT 3
-- > refused
-- > 1:123 found LIMIT of rows in an order that leaves ties, expected an order that tells all rows apart; add the columns of a unique key to the ORDER BY (here all that is output), or write FETCH FIRST … ROWS WITH TIES (rule limit-order)

-- == LIMIT after UNION, by all
SELECT origin, event_time, available_at FROM flights UNION SELECT person, event_time, available_at FROM events ORDER BY 2, 1, 3 LIMIT 3
-- > accepted

-- == ARRAY of an ordered subquery
-- inputs
SELECT f.origin, f.event_time, f.available_at,
  ARRAY(SELECT amount FROM events e WHERE e.person = f.origin AND e.available_at <= f.available_at ORDER BY amount) AS n FROM flights f
-- > accepted
-- > available_at: value flights.available_at
-- > event_time: value flights.event_time
-- > n: value events.amount
-- > n: join events.available_at events.person flights.available_at flights.origin
-- > n: order events.amount
-- > origin: value flights.origin
-- > uses events(amount, available_at, person)
-- > uses flights(available_at, event_time, origin)

-- == ARRAY of a subquery
SELECT f.origin, f.event_time, f.available_at,
  ARRAY(SELECT amount FROM events e WHERE e.person = f.origin AND e.available_at <= f.available_at) AS n FROM flights f
-- > refused
-- > 2:3 found ARRAY(SELECT …) of rows in no total order, expected an ORDER BY that is total for what it outputs; write ARRAY(SELECT x FROM … ORDER BY x), or order by the columns of a unique key (rule array-order)

-- == TABLESAMPLE
SELECT origin, event_time, available_at, delay FROM (SELECT * FROM flights TABLESAMPLE SYSTEM (10)) f
-- > refused
-- > 1:76 found TABLESAMPLE, which picks rows by where they lie, expected all rows, or a choice by their columns; write a condition on a hash of the key: WHERE hashtext(key) % 10 = 0 (rule sample)

-- == FOR UPDATE
SELECT origin, event_time, available_at, delay FROM flights
FOR UPDATE
-- > refused
-- > 2:1 found a lock of rows (FOR UPDATE or one of its kind), expected none; leave it out: a run reads a snapshot that nothing changes (rule lock)

-- == FOR SHARE
SELECT origin, event_time, available_at, delay FROM flights FOR SHARE SKIP LOCKED
-- > refused
-- > 1:61 found a lock of rows (FOR UPDATE or one of its kind), expected none; leave it out: a run reads a snapshot that nothing changes (rule lock)

-- == LIMIT 1 per key by LATERAL, with ties
SELECT c.code, c.event_time, greatest(c.available_at, e.available_at) AS available_at, e.amount
FROM carriers c, LATERAL (SELECT amount, available_at FROM events WHERE person = c.code ORDER BY at DESC LIMIT 1) e
-- > refused
-- > 2:106 found LIMIT of rows in an order that leaves ties, expected an order that tells all rows apart; add the columns of a unique key to the ORDER BY (declare one by unique_key), or write FETCH FIRST … ROWS WITH TIES (rule limit-order)

-- == row_number in one part and its use in another
WITH ranked AS (
  SELECT origin, event_time, available_at, delay, row_number() OVER (PARTITION BY origin, date_trunc('hour', event_time) ORDER BY event_time DESC, id DESC) AS rn
  FROM flights
)
SELECT origin, event_time, available_at, delay FROM ranked WHERE rn <= 2
-- > accepted

-- == an aggregate over the newest rows
-- grain 24h
SELECT destination, date_trunc('day', event_time) + interval '1 day' AS event_time, max(available_at) AS available_at, sum(delay) AS n
FROM (SELECT DISTINCT ON (origin, destination) * FROM flights ORDER BY origin, destination, event_time DESC, id) f
GROUP BY 1, 2
-- > refused
-- > 1:85 found an available_at that may be before that of the rows that take the place of others in f, expected one that is before that of no row that counts; write PARTITION BY or DISTINCT ON all columns that the rows are grouped, joined or filtered by afterwards, or pick what was known first: ORDER BY available_at; of rows that correct each other, let the source's unique_key pick (rule available-at)

-- == a key that WHERE makes of a rank
SELECT origin, event_time, max(available_at) OVER w AS available_at, row_number() OVER w AS n
FROM (SELECT *, row_number() OVER (PARTITION BY origin ORDER BY event_time, id) AS rn FROM flights) f
WHERE rn = 1 WINDOW w AS (ORDER BY origin)
-- > accepted

-- == a LEFT JOIN whose other side is not settled by an equality alone
SELECT f.carrier, max(f.event_time) AS event_time, max(greatest(f.available_at, c.available_at)) AS available_at,
  array_agg(c.code) AS n
FROM flights f LEFT JOIN carriers c ON c.code = f.carrier AND c.rating > f.delay
GROUP BY f.carrier
-- > refused
-- > 2:3 found array_agg of rows in no order, expected an order that is total for what it takes; write array_agg(x ORDER BY x), or order by the columns of a unique key; an ORDER BY of a subquery is not kept (rule aggregate-order)

-- == picked rows in groups of what picks them
-- grain 24h
SELECT destination, d + interval '1 day' AS event_time, max(available_at) AS available_at, sum(delay) AS n
FROM (SELECT DISTINCT ON (origin, destination, date_trunc('day', event_time)) *, date_trunc('day', event_time) AS d
  FROM flights ORDER BY origin, destination, date_trunc('day', event_time), event_time DESC, id) f
GROUP BY destination, d
-- > accepted

-- == rows picked by rank that move to another group
-- grain 1h
SELECT origin, date_trunc('hour', event_time) + interval '1 hour' AS event_time, max(available_at) AS available_at, count(*) AS n
FROM (SELECT *, row_number() OVER (PARTITION BY carrier ORDER BY event_time DESC, id) AS rn FROM flights) x WHERE rn = 1
GROUP BY origin, date_trunc('hour', event_time)
-- > refused
-- > 1:82 found an available_at that may be before that of the rows that take the place of others in x, expected one that is before that of no row that counts; write PARTITION BY or DISTINCT ON all columns that the rows are grouped, joined or filtered by afterwards, or pick what was known first: ORDER BY available_at; of rows that correct each other, let the source's unique_key pick (rule available-at)

-- == rows picked by rank as they became known
-- grain 1h
SELECT origin, date_trunc('hour', event_time) + interval '1 hour' AS event_time, max(available_at) AS available_at, count(*) AS n
FROM (SELECT *, row_number() OVER (PARTITION BY carrier ORDER BY available_at, id) AS rn FROM flights) x WHERE rn = 1
GROUP BY origin, date_trunc('hour', event_time)
-- > accepted

-- == picked by rank, in groups of what picks them
WITH latest AS (SELECT *, row_number() OVER (PARTITION BY origin, carrier ORDER BY event_time DESC, id DESC) AS rn FROM flights)
SELECT origin, max(event_time) AS event_time, max(available_at) AS available_at, count(*) AS n FROM latest WHERE rn = 1 GROUP BY origin
-- > accepted

-- == picked by rank, filtered, in groups
WITH latest AS (SELECT *, row_number() OVER (PARTITION BY origin, carrier ORDER BY event_time DESC, id DESC) AS rn FROM flights)
SELECT origin, max(event_time) AS event_time, max(available_at) AS available_at, count(*) AS n FROM latest WHERE rn = 1 AND delay > 0 GROUP BY origin
-- > refused
-- > 2:47 found an available_at that may be before that of the rows that take the place of others in latest, expected one that is before that of no row that counts; write PARTITION BY or DISTINCT ON all columns that the rows are grouped, joined or filtered by afterwards, or pick what was known first: ORDER BY available_at; of rows that correct each other, let the source's unique_key pick (rule available-at)

-- == picked by rank and filtered
WITH latest AS (SELECT *, row_number() OVER (PARTITION BY origin, carrier ORDER BY event_time DESC, id DESC) AS rn FROM flights)
SELECT origin, event_time, available_at, delay FROM latest WHERE rn = 1 AND delay > 0
-- > accepted

-- == the latest ten in groups
-- grain 1h
SELECT origin, date_trunc('hour', event_time) + interval '1 hour' AS event_time, max(available_at) AS available_at, count(*) AS n
FROM (SELECT * FROM flights ORDER BY event_time DESC, id LIMIT 10) x GROUP BY origin, date_trunc('hour', event_time)
-- > refused
-- > 1:82 found an available_at that may be before that of the rows that take the place of others in x, expected one that is before that of no row that counts; write PARTITION BY or DISTINCT ON all columns that the rows are grouped, joined or filtered by afterwards, or pick what was known first: ORDER BY available_at; of rows that correct each other, let the source's unique_key pick (rule available-at)

-- == a window over picked rows
SELECT id, event_time, max(available_at) OVER w AS available_at, sum(delay) OVER w AS s
FROM (SELECT DISTINCT ON (carrier) * FROM flights ORDER BY carrier, event_time DESC, id) x WINDOW w AS (PARTITION BY origin)
-- > refused
-- > 1:24 found an available_at that may be before that of the rows that take the place of others in x, expected one that is before that of no row that counts; write PARTITION BY or DISTINCT ON all columns that the rows are grouped, joined or filtered by afterwards, or pick what was known first: ORDER BY available_at; of rows that correct each other, let the source's unique_key pick (rule available-at)

-- == a window over rows picked by what it parts
SELECT id, event_time, max(available_at) OVER w AS available_at, sum(delay) OVER w AS s
FROM (SELECT DISTINCT ON (origin, carrier) * FROM flights ORDER BY origin, carrier, event_time DESC, id) x WINDOW w AS (PARTITION BY origin)
-- > accepted

-- == a LEFT JOIN to the latest of each
SELECT f.id, f.event_time, greatest(f.available_at, w.available_at) AS available_at, w.temp
FROM flights f LEFT JOIN (SELECT DISTINCT ON (station) station, temp, available_at FROM weather ORDER BY station, event_time DESC) w ON w.station = f.origin
-- > accepted

-- == a LEFT JOIN to the latest of each, if it was before
SELECT f.id, f.event_time, greatest(f.available_at, w.available_at) AS available_at, w.temp
FROM flights f LEFT JOIN (SELECT DISTINCT ON (station) station, temp, event_time, available_at FROM weather ORDER BY station, event_time DESC) w
  ON w.station = f.origin AND w.event_time <= f.event_time
-- > refused
-- > 1:28 found an available_at that may be before that of the rows that take the place of others in w, expected one that is before that of no row that counts; write PARTITION BY or DISTINCT ON all columns that the rows are grouped, joined or filtered by afterwards, or pick what was known first: ORDER BY available_at; of rows that correct each other, let the source's unique_key pick (rule available-at)

-- == a JOIN to the latest of each, if it was before
SELECT f.id, f.event_time, greatest(f.available_at, w.available_at) AS available_at, w.temp
FROM flights f JOIN (SELECT DISTINCT ON (station) station, temp, event_time, available_at FROM weather ORDER BY station, event_time DESC) w
  ON w.station = f.origin AND w.event_time <= f.event_time
-- > accepted

-- == a subquery that looks for the latest, if it was known
SELECT f.id, f.event_time, f.available_at, (SELECT w.temp FROM (SELECT DISTINCT ON (station) * FROM weather ORDER BY station, event_time DESC) w
  WHERE w.station = f.origin AND w.available_at <= f.available_at) AS t
FROM flights f
-- > refused
-- > 1:28 found an available_at that may be before that of the rows that a subquery looks at, expected one that is before that of no row that counts; write greatest(available_at, (SELECT max(available_at) FROM … of the same rows)), or let the subquery read only rows with available_at <= that of the row around it (rule available-at)

-- == NOT EXISTS of rows that NOT EXISTS leaves out
SELECT f.id, f.event_time, f.available_at FROM flights f
WHERE NOT EXISTS (SELECT 1 FROM carriers c WHERE c.code = f.carrier AND NOT EXISTS (SELECT 1 FROM weather w WHERE w.station = c.label))
-- > refused
-- > 1:28 found an available_at that may be before that of the rows that a subquery looks at, expected one that is before that of no row that counts; write greatest(available_at, (SELECT max(available_at) FROM … of the same rows)), or let the subquery read only rows with available_at <= that of the row around it (rule available-at)

-- == NOT EXISTS of what is the latest
SELECT f.id, f.event_time, f.available_at FROM flights f
WHERE NOT EXISTS (SELECT 1 FROM (SELECT DISTINCT ON (carrier) * FROM flights ORDER BY carrier, event_time DESC, id) x WHERE x.id = f.id)
-- > refused
-- > 1:28 found an available_at that may be before that of the rows that a subquery looks at, expected one that is before that of no row that counts; write greatest(available_at, (SELECT max(available_at) FROM … of the same rows)), or let the subquery read only rows with available_at <= that of the row around it (rule available-at)

-- == EXISTS of what is the latest, known by then
SELECT f.id, f.event_time, f.available_at FROM flights f
WHERE EXISTS (SELECT 1 FROM (SELECT DISTINCT ON (carrier) * FROM flights ORDER BY carrier, event_time DESC, id) x
  WHERE x.id = f.id AND x.available_at <= f.available_at)
-- > accepted

-- == EXCEPT of what is the latest
SELECT id, event_time, available_at FROM flights
EXCEPT SELECT id, event_time, available_at FROM (SELECT DISTINCT ON (carrier) * FROM flights ORDER BY carrier, event_time DESC, id) x
-- > refused
-- > 1:24 found an available_at that may be before that of the rows of another part of the UNION, expected one that is before that of no row that counts; write in each part an available_at that is not before that of its own rows (rule available-at)

-- == all but the first
SELECT id, event_time, available_at, delay FROM flights ORDER BY event_time DESC, id OFFSET 1
-- > refused
-- > 1:24 found an available_at that may be before that of the rows that OFFSET leaves out, expected one that is before that of no row that counts; write it without OFFSET: number the rows by row_number(), with max(available_at) OVER the same window, and keep those that are meant (rule available-at)

-- == all but the first, numbered
SELECT id, event_time, known AS available_at, delay
FROM (SELECT *, row_number() OVER w AS rn, max(available_at) OVER w AS known FROM flights WINDOW w AS (ORDER BY event_time DESC, id)) x WHERE rn > 1
-- > accepted

-- == the latest of each that is in no list
SELECT DISTINCT ON (f.carrier) f.carrier, f.event_time, f.available_at FROM flights f
WHERE NOT EXISTS (SELECT 1 FROM carriers c WHERE c.code = f.carrier) ORDER BY f.carrier, f.event_time DESC, f.id
-- > accepted

-- == an anti join of what was known by then, in groups
SELECT f.origin, max(f.event_time) AS event_time, max(f.available_at) AS available_at, count(*) AS n
FROM flights f LEFT JOIN carriers c ON c.code = f.carrier AND c.available_at <= f.available_at WHERE c.code IS NULL GROUP BY f.origin
-- > accepted

-- == an anti join with its time, in groups
SELECT f.origin, max(f.event_time) AS event_time, greatest(max(f.available_at), max(c.available_at)) AS available_at, count(*) AS n
FROM flights f LEFT JOIN carriers c ON c.code = f.carrier WHERE c.code IS NULL GROUP BY f.origin
-- > refused
-- > 1:51 found an available_at that may be before that of the rows that keep others out by c, expected one that is before that of no row that counts; write it as it is, and let only rows with available_at <= that of the row that they keep out do so (rule available-at)

-- == a LEFT JOIN to rows that NOT EXISTS leaves out
SELECT f.id, f.event_time, greatest(f.available_at, c.available_at) AS available_at, c.rating
FROM flights f LEFT JOIN (SELECT * FROM carriers c WHERE NOT EXISTS (SELECT 1 FROM weather w WHERE w.station = c.label)) c ON c.code = f.carrier
-- > refused
-- > 1:28 found an available_at that may be before that of the rows that keep others out by c, expected one that is before that of no row that counts; write it as it is, and let only rows with available_at <= that of the row that they keep out do so (rule available-at)

-- == a LEFT JOIN to rows that NOT EXISTS of what was known by then leaves out
SELECT f.id, f.event_time, greatest(f.available_at, c.available_at) AS available_at, c.rating
FROM flights f LEFT JOIN (SELECT * FROM carriers c WHERE NOT EXISTS (SELECT 1 FROM weather w WHERE w.station = c.label AND w.available_at <= c.available_at)) c
  ON c.code = f.carrier
-- > accepted
