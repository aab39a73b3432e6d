-- == row_number by a unique key
-- inputs
SELECT origin, event_time, max(available_at) OVER w AS available_at, row_number() OVER w AS n
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time, id)
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.origin
-- > available_at: order flights.event_time flights.id
-- > event_time: value flights.event_time
-- > n: group flights.origin
-- > n: order flights.event_time flights.id
-- > origin: value flights.origin
-- > uses flights(available_at, event_time, id, origin)

-- == row_number by what leaves ties
SELECT origin, event_time, max(available_at) OVER w AS available_at,
  row_number() OVER w AS n
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time)
-- > refused
-- > 2:3 found row_number over an order that leaves ties, expected an order that tells all rows of a partition apart; add the columns of a unique key to the ORDER BY of the window (flights: id), or write rank() (rule window-order)

-- == row_number over nothing
SELECT origin, event_time, max(available_at) OVER () AS available_at, row_number() OVER () AS n FROM flights
-- > refused
-- > 1:71 found row_number over rows in no order, expected an order that tells all rows of a partition apart; add the columns of a unique key to the ORDER BY of the window (flights: id), or write rank() (rule window-order)

-- == the newest row by row_number
-- inputs
SELECT origin, event_time, available_at, delay FROM (
  SELECT *, row_number() OVER (PARTITION BY origin ORDER BY event_time DESC, id DESC) AS rn FROM flights
) f WHERE rn = 1
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.origin
-- > available_at: order flights.event_time flights.id
-- > delay: value flights.delay
-- > delay: group flights.origin
-- > delay: order flights.event_time flights.id
-- > event_time: value flights.event_time
-- > event_time: group flights.origin
-- > event_time: order flights.event_time flights.id
-- > origin: value flights.origin
-- > origin: group flights.origin
-- > origin: order flights.event_time flights.id
-- > uses flights(available_at, delay, event_time, id, origin)

-- == the newest row by row_number, without a key
SELECT person, event_time, available_at, amount FROM (
  SELECT *, row_number() OVER (PARTITION BY person ORDER BY event_time DESC) AS rn FROM events
) e WHERE rn = 1
-- > refused
-- > 2:13 found row_number over an order that leaves ties, expected an order that tells all rows of a partition apart; add the columns of a unique key to the ORDER BY of the window (declare one by unique_key), or write rank() (rule window-order)

-- == the newest row by row_number, by all that is used
SELECT person, event_time, available_at, amount FROM (
  SELECT *, row_number() OVER (PARTITION BY person ORDER BY at DESC, amount) AS rn FROM events
) e WHERE rn = 1
-- > accepted

-- == a second newest row
SELECT origin, event_time, available_at, delay FROM (
  SELECT *, rank() OVER (PARTITION BY origin ORDER BY event_time DESC) AS r FROM flights
) f WHERE r = 2
-- > refused
-- > 1:28 found an available_at that may be before that of the rows that a window function looks at, expected one that is before that of no row that counts; write max(available_at) OVER the same window, without its ORDER BY where it looks ahead (rule available-at)

-- == lag in a total order
-- inputs
SELECT origin, event_time, max(available_at) OVER w AS available_at, delay - lag(delay) OVER w AS change
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time, id)
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.origin
-- > available_at: order flights.event_time flights.id
-- > change: value flights.delay
-- > change: group flights.origin
-- > change: order flights.event_time flights.id
-- > event_time: value flights.event_time
-- > origin: value flights.origin
-- > uses flights(available_at, delay, event_time, id, origin)

-- == lag with the row's own time only
SELECT origin, event_time,
  available_at, lag(delay) OVER (PARTITION BY origin ORDER BY event_time, id) AS before FROM flights
-- > refused
-- > 2:3 found an available_at that may be before that of the rows that a window function looks at, expected one that is before that of no row that counts; write max(available_at) OVER the same window, without its ORDER BY where it looks ahead (rule available-at)

-- == lag in an order that leaves ties
SELECT origin, event_time, max(available_at) OVER w AS available_at, lag(delay) OVER w AS before
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time)
-- > refused
-- > 1:70 found lag over an order that leaves ties, expected an order that tells all rows of a partition apart; add the columns of a unique key to the ORDER BY of the window (flights: id) (rule window-order)

-- == lead looks forward
SELECT origin, event_time, max(available_at) OVER (PARTITION BY origin) AS available_at,
  lead(delay) OVER (PARTITION BY origin ORDER BY event_time, id) AS after FROM flights
-- > accepted

-- == lead with what is known up to the row only
SELECT origin, event_time,
  max(available_at) OVER (PARTITION BY origin ORDER BY event_time, id) AS available_at,
  lead(delay) OVER (PARTITION BY origin ORDER BY event_time, id) AS after FROM flights
-- > refused
-- > 2:3 found an available_at that may be before that of the rows that a window function looks at, expected one that is before that of no row that counts; write max(available_at) OVER the same window, without its ORDER BY where it looks ahead (rule available-at)

-- == rank and dense_rank may tie
SELECT origin, event_time, max(available_at) OVER w AS available_at, rank() OVER w AS r, dense_rank() OVER w AS d
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time)
-- > accepted

-- == percent_rank and cume_dist may tie
SELECT origin, event_time, max(available_at) OVER (PARTITION BY origin) AS available_at, percent_rank() OVER w AS r, cume_dist() OVER w AS d
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY delay)
-- > accepted

-- == ntile
SELECT origin, event_time, max(available_at) OVER (PARTITION BY origin) AS available_at,
  ntile(4) OVER (PARTITION BY origin ORDER BY delay) AS q FROM flights
-- > refused
-- > 2:3 found ntile over an order that leaves ties, expected an order that tells all rows of a partition apart; add the columns of a unique key to the ORDER BY of the window (flights: id) (rule window-order)

-- == ntile by a key
SELECT origin, event_time, max(available_at) OVER (PARTITION BY origin) AS available_at,
  ntile(4) OVER (PARTITION BY origin ORDER BY delay, id) AS q FROM flights
-- > accepted

-- == a running count
-- inputs
SELECT origin, event_time, max(available_at) OVER w AS available_at, count(*) OVER w AS n, sum(delay) OVER w AS s
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time)
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.origin
-- > available_at: order flights.event_time
-- > event_time: value flights.event_time
-- > n: group flights.origin
-- > n: order flights.event_time
-- > origin: value flights.origin
-- > s: value flights.delay
-- > s: group flights.origin
-- > s: order flights.event_time
-- > uses flights(available_at, delay, event_time, origin)

-- == a running sum over ROWS with ties
SELECT origin, event_time, max(available_at) OVER (PARTITION BY origin ORDER BY event_time) AS available_at,
  sum(delay) OVER (PARTITION BY origin ORDER BY event_time ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) AS s FROM flights
-- > refused
-- > 2:3 found sum over a frame of ROWS whose order leaves ties, expected an order that tells all rows of a partition apart; add the columns of a unique key to the ORDER BY of the window (flights: id), or write RANGE in place of ROWS (rule window-order)

-- == a running sum over ROWS by a key
SELECT origin, event_time, max(available_at) OVER (PARTITION BY origin ORDER BY event_time, id) AS available_at,
  sum(delay) OVER (PARTITION BY origin ORDER BY event_time, id ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) AS s FROM flights
-- > accepted

-- == a running sum over RANGE
SELECT origin, event_time, max(available_at) OVER (PARTITION BY origin ORDER BY event_time) AS available_at,
  sum(delay) OVER (PARTITION BY origin ORDER BY event_time RANGE BETWEEN interval '1 hour' PRECEDING AND CURRENT ROW) AS s FROM flights
-- > accepted

-- == GROUPS
SELECT origin, event_time, max(available_at) OVER (PARTITION BY origin ORDER BY event_time) AS available_at,
  sum(delay) OVER (PARTITION BY origin ORDER BY event_time GROUPS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s FROM flights
-- > accepted

-- == a running sum of floats
SELECT origin, event_time, max(available_at) OVER w AS available_at,
  sum(cost) OVER w AS s
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time)
-- > refused
-- > 2:3 found sum of floating-point numbers, whose result depends on the order of rows, expected an exact sum, or a total order; write sum(cost::numeric) OVER …, or add the columns of a unique key to the ORDER BY of the window (rule float-order)

-- == a running sum of floats by a key
SELECT origin, event_time, max(available_at) OVER w AS available_at, sum(cost) OVER w AS s
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time, id)
-- > accepted

-- == first_value with ties between different values
SELECT origin, event_time, max(available_at) OVER w AS available_at, first_value(delay) OVER w AS f
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time)
-- > refused
-- > 1:70 found first_value over an order that leaves ties, expected an order that tells all rows of a partition apart; add the columns of a unique key to the ORDER BY of the window (flights: id) (rule window-order)

-- == first_value of what orders
SELECT origin, event_time, max(available_at) OVER w AS available_at, first_value(event_time) OVER w AS f, last_value(delay) OVER w AS l
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time, delay)
-- > accepted

-- == first_value by a key, as a filter on the first
SELECT origin, event_time, max(available_at) OVER (PARTITION BY origin) AS available_at,
  first_value(delay) OVER (PARTITION BY origin ORDER BY id) AS f,
  nth_value(delay, 2) OVER (PARTITION BY origin ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS s FROM flights
-- > accepted

-- == a share of the whole
SELECT origin, event_time, max(available_at) OVER (PARTITION BY origin) AS available_at, delay::numeric / nullif(sum(delay) OVER (PARTITION BY origin), 0) AS share
FROM flights
-- > accepted

-- == array_agg over a window
SELECT origin, event_time, max(available_at) OVER w AS available_at, array_agg(delay) OVER w AS n
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time)
-- > refused
-- > 1:70 found array_agg over an order that leaves ties, expected an order that tells all rows of a partition apart; add the columns of a unique key to the ORDER BY of the window (flights: id) (rule aggregate-order)

-- == windows over groups
-- grain 24h
SELECT origin, day + interval '1 day' AS event_time, max(known) OVER w AS available_at, sum(n) OVER w AS total, row_number() OVER w AS i
FROM (SELECT origin, date_trunc('day', event_time) AS day, max(available_at) AS known, count(*) AS n FROM flights GROUP BY 1, 2) d
WINDOW w AS (PARTITION BY origin ORDER BY day)
-- > accepted

-- == windows and groups in one
-- grain 24h
SELECT origin, date_trunc('day', event_time) + interval '1 day' AS event_time, max(max(available_at)) OVER w AS available_at,
  lag(count(*)) OVER w AS before
FROM flights GROUP BY origin, date_trunc('day', event_time)
WINDOW w AS (PARTITION BY origin ORDER BY date_trunc('day', event_time))
-- > accepted

-- == gaps and islands
WITH marked AS (
  SELECT origin, event_time, id, max(available_at) OVER w AS known,
    CASE WHEN event_time - lag(event_time) OVER w < interval '1 hour' THEN 0 ELSE 1 END AS starts
  FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time, id)
)
SELECT origin, event_time, max(known) OVER w AS available_at, sum(starts) OVER w AS island
FROM marked WINDOW w AS (PARTITION BY origin ORDER BY event_time, id)
-- > accepted

-- == a unique key made by WHERE
SELECT station, event_time, max(available_at) OVER w AS available_at, row_number() OVER w AS n
FROM weather WHERE station = 'a' WINDOW w AS (ORDER BY at)
-- > accepted

-- == the product of two keys
SELECT f.origin, f.event_time, max(greatest(f.available_at, w.available_at)) OVER v AS available_at, row_number() OVER v AS n
FROM flights f JOIN weather w ON w.station = f.origin AND w.wind > 7 WINDOW v AS (ORDER BY f.id, w.at)
-- > accepted

-- == a join to a key adds no rows
SELECT f.origin, f.event_time, max(greatest(f.available_at, c.available_at)) OVER v AS available_at, row_number() OVER v AS n
FROM flights f LEFT JOIN carriers c ON c.code = f.carrier WINDOW v AS (ORDER BY f.id)
-- > accepted

-- == a join that adds rows
SELECT f.origin, f.event_time, max(greatest(f.available_at, w.available_at)) OVER v AS available_at,
  row_number() OVER v AS n
FROM flights f JOIN weather w ON w.station = f.origin WINDOW v AS (ORDER BY f.id)
-- > refused
-- > 2:3 found row_number over an order that leaves ties, expected an order that tells all rows of a partition apart; add the columns of a unique key to the ORDER BY of the window (f: id; w: station, at), or write rank() (rule window-order)

-- == the key of a UNION ALL of marked parts
SELECT origin, event_time, max(available_at) OVER v AS available_at, row_number() OVER v AS n FROM (
  SELECT 1 AS part, id, origin, event_time, available_at FROM flights WHERE delay > 3
  UNION ALL
  SELECT 2, id, destination, event_time, available_at FROM flights WHERE delay > 3) u
WINDOW v AS (ORDER BY part, id)
-- > accepted

-- == a window ordered by an interval
SELECT person, event_time, max(available_at) OVER (PARTITION BY person) AS available_at,
  row_number() OVER (PARTITION BY person ORDER BY justify_days(at - timestamptz '2020-01-01 00:00Z')) AS n FROM events
-- > refused
-- > 2:3 found row_number over an order that leaves ties, expected an order that tells all rows of a partition apart; add the columns of a unique key to the ORDER BY of the window (declare one by unique_key), or write rank() (rule window-order)

-- == lag with the time of the row it looks at
SELECT origin, event_time, greatest(available_at, lag(available_at) OVER w) AS available_at, delay - lag(delay) OVER w AS change
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time, id)
-- > accepted

-- == lag by two with the time of the row before
SELECT origin, event_time, greatest(available_at, lag(available_at) OVER w) AS available_at, lag(delay, 2) OVER w AS n
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time, id)
-- > refused
-- > 1:28 found an available_at that may be before that of the rows that a window function looks at, expected one that is before that of no row that counts; write max(available_at) OVER the same window, without its ORDER BY where it looks ahead (rule available-at)

-- == the first of a day with its time
SELECT origin, event_time, greatest(available_at, first_value(available_at) OVER w) AS available_at, first_value(delay) OVER w AS n
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time, id)
-- > accepted
