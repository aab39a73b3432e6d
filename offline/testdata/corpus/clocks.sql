-- == the start of a group
-- grain 1h
SELECT origin, date_trunc('hour', event_time) AS event_time, max(available_at) AS available_at, count(*) AS n FROM flights GROUP BY 1, 2
-- > refused
-- > 1:16 found an event_time at the start of a group of 1 hour, expected its end: what is in the group is known by then only; add the group's length: date_trunc('hour', event_time) + interval '1 hour' (rule event-time)

-- == less than the group's length
-- grain 1h
SELECT origin, date_trunc('hour', event_time) + interval '30 minutes' AS event_time, max(available_at) AS available_at, count(*) AS n FROM flights GROUP BY 1, 2
-- > refused
-- > 1:47 found an event_time 30 minutes after the start of a group of 1 hour, expected the group's end; write + interval '1 hour' (rule event-time)

-- == more than the group's length
-- grain 1h
SELECT origin, date_trunc('hour', event_time) + interval '65 minutes' AS event_time, max(available_at) AS available_at, count(*) AS n FROM flights GROUP BY 1, 2
-- > accepted

-- == date_bin
-- grain 15m
SELECT origin, date_bin('15 minutes', event_time, timestamptz '2000-01-01 00:00Z') + interval '15 minutes' AS event_time,
  max(available_at) AS available_at, count(*) AS n FROM flights GROUP BY 1, 2
-- > accepted

-- == date_bin without its stride
-- grain 15m
SELECT origin, date_bin('15 minutes', event_time, timestamptz '2000-01-01 00:00Z') AS event_time,
  max(available_at) AS available_at, count(*) AS n FROM flights GROUP BY 1, 2
-- > refused
-- > 1:16 found an event_time at the start of a group of 15 minutes, expected its end: what is in the group is known by then only; add the group's length: date_bin('15 minutes', event_time, timestamptz '2000-01-01 00:00Z') + interval '15 minutes' (rule event-time)

-- == groups of another length than the grain
-- grain 24h
SELECT origin, date_trunc('hour', event_time) + interval '1 hour' AS event_time, max(available_at) AS available_at, count(*) AS n FROM flights GROUP BY 1, 2
-- > refused
-- > 1:47 found groups of 1 hour in a view with a grain of 24h, expected the grain of its groups; declare grain: 1h (rule event-time)

-- == groups longer than the grain
-- grain 1h
SELECT origin, date_trunc('day', event_time) + interval '1 day' AS event_time, max(available_at) AS available_at, count(*) AS n FROM flights GROUP BY 1, 2
-- > refused
-- > 1:46 found groups of 1 day in a view with a grain of 1h, expected the grain of its groups, or a look-back that reaches their start; declare grain: 24h, or lookback: 23h (rule event-time)

-- == groups longer than the grain, with a look-back
-- grain 1h
-- lookback 23h
SELECT origin, date_trunc('day', event_time) + interval '1 day' AS event_time, max(available_at) AS available_at, count(*) AS n FROM flights GROUP BY 1, 2
-- > accepted

-- == groups without a grain
SELECT origin, date_trunc('hour', event_time) + interval '1 hour' AS event_time, max(available_at) AS available_at, count(*) AS n FROM flights GROUP BY 1, 2
-- > refused
-- > 1:47 found groups of 1 hour in a view without a grain, expected the grain of its groups; declare grain: 1h (rule event-time)

-- == days of another time zone
-- grain 24h
SELECT origin, (date_trunc('day', event_time AT TIME ZONE 'Europe/Berlin') + interval '1 day') AT TIME ZONE 'Europe/Berlin' AS event_time,
  max(available_at) AS available_at, count(*) AS n FROM flights GROUP BY 1, 2
-- > accepted

-- == months
-- grain 24h
-- lookback 744h
SELECT origin, date_trunc('month', event_time) + interval '1 month' AS event_time, max(available_at) AS available_at, count(*) AS n FROM flights GROUP BY 1, 2
-- > accepted

-- == the start of a group through names
-- grain 1h
WITH h AS (SELECT origin, date_trunc('hour', event_time) AS hour, max(available_at) AS known, count(*) AS n FROM flights GROUP BY 1, 2)
SELECT origin, h.hour AS event_time, known AS available_at, n FROM h
-- > refused
-- > 2:16 found an event_time at the start of a group of 1 hour, expected its end: what is in the group is known by then only; add the group's length: date_trunc('hour', event_time) + interval '1 hour' (rule event-time)

-- == the earliest of a group
SELECT origin, min(event_time) AS event_time, max(available_at) AS available_at, count(*) AS n FROM flights GROUP BY 1
-- > refused
-- > 1:16 found an event_time that is the earliest of a group, expected one that is not before any row of it; write max(event_time), or the end of the group (rule event-time)

-- == the latest of a group
SELECT origin, max(event_time) AS event_time, max(available_at) AS available_at, count(*) AS n FROM flights GROUP BY 1
-- > accepted

-- == the least of two
SELECT f.origin, least(f.event_time, w.event_time) AS event_time, greatest(f.available_at, w.available_at) AS available_at, w.wind
FROM flights f JOIN weather w ON w.station = f.origin
-- > refused
-- > 1:18 found an event_time that is the least of several, expected one that is before none of them; write greatest in place of least (rule event-time)

-- == before its row
SELECT origin, event_time - interval '1 hour' AS event_time, available_at, delay FROM flights
-- > refused
-- > 1:27 found an event_time before that of its row, expected one that is not; leave the subtraction out; what is read before it is for lookback (rule event-time)

-- == after its row
SELECT origin, event_time + interval '1 hour' AS event_time, available_at + interval '5 minutes' AS available_at, delay FROM flights
-- > accepted

-- == the time of one side of a join
SELECT f.origin, f.event_time, f.available_at, w.wind FROM flights f JOIN weather w ON w.station = f.origin
-- > refused
-- > 1:32 found an available_at that may be before that of w, expected one that is before that of no row that counts; write greatest(f.available_at, w.available_at) AS available_at (rule available-at)

-- == the event time as available_at
SELECT origin, event_time,
  event_time AS available_at, delay FROM flights
-- > refused
-- > 2:3 found an available_at that may be before that of flights, expected one that is before that of no row that counts; write available_at as it is, or what is later (rule available-at)

-- == available_at of one row of a group
-- grain 1h
SELECT origin, date_trunc('hour', event_time) + interval '1 hour' AS event_time, min(available_at) AS available_at, count(*) AS n
FROM flights GROUP BY 1, 2
-- > refused
-- > 1:82 found an available_at that may be before that of flights, expected one that is before that of no row that counts; write max(available_at) AS available_at (rule available-at)

-- == max with a FILTER
-- grain 1h
SELECT origin, date_trunc('hour', event_time) + interval '1 hour' AS event_time,
  max(available_at) FILTER (WHERE delay > 3) AS available_at, count(*) AS n FROM flights GROUP BY 1, 2
-- > refused
-- > 2:3 found an available_at that may be before that of flights, expected one that is before that of no row that counts; write max(available_at) AS available_at (rule available-at)

-- == the end of the group, or later
-- grain 1h
SELECT origin, date_trunc('hour', event_time) + interval '1 hour' AS event_time,
  greatest(max(available_at), date_trunc('hour', event_time) + interval '1 hour') AS available_at, count(*) AS n
FROM flights GROUP BY origin, date_trunc('hour', event_time)
-- > accepted

-- == rounded up to the hour
SELECT origin, event_time, date_trunc('hour', available_at) + interval '1 hour' AS available_at, delay FROM flights
-- > accepted

-- == rounded down to the hour
SELECT origin, event_time, date_trunc('hour', available_at) AS available_at, delay FROM flights
-- > refused
-- > 1:28 found an available_at that may be before that of flights, expected one that is before that of no row that counts; write available_at as it is, or what is later (rule available-at)

-- == earlier than known
SELECT origin, event_time, available_at - interval '1 minute' AS available_at, delay FROM flights
-- > refused
-- > 1:41 found an available_at that may be before that of flights, expected one that is before that of no row that counts; write available_at as it is, or what is later (rule available-at)

-- == greater by CASE
SELECT f.origin, f.event_time, CASE WHEN f.available_at > c.available_at THEN f.available_at ELSE c.available_at END AS available_at, c.rating
FROM flights f JOIN carriers c ON c.code = f.carrier
-- > accepted

-- == the lesser by CASE
SELECT f.origin, f.event_time, CASE WHEN f.available_at < c.available_at THEN f.available_at ELSE c.available_at END AS available_at, c.rating
FROM flights f JOIN carriers c ON c.code = f.carrier
-- > refused
-- > 1:32 found an available_at that may be before that of c and of f, expected one that is before that of no row that counts; write greatest(f.available_at, c.available_at) AS available_at (rule available-at)

-- == only what was known by the row's time
SELECT f.origin, f.event_time, f.available_at, c.rating FROM flights f JOIN carriers c ON c.code = f.carrier AND c.available_at <= f.available_at
-- > accepted

-- == one side of a UNION
SELECT origin, event_time, available_at, delay FROM flights
UNION ALL SELECT station, event_time, event_time, wind FROM weather
-- > refused
-- > 1:28 found an available_at that may be before that of the rows of another part of the UNION, expected one that is before that of no row that counts; write in each part an available_at that is not before that of its own rows (rule available-at)

-- == EXISTS of what may be known later
SELECT f.origin, f.event_time, f.available_at, f.delay FROM flights f WHERE EXISTS (SELECT FROM carriers c WHERE c.code = f.carrier)
-- > refused
-- > 1:32 found an available_at that may be before that of the rows that a subquery looks at, expected one that is before that of no row that counts; write greatest(available_at, (SELECT max(available_at) FROM … of the same rows)), or let the subquery read only rows with available_at <= that of the row around it (rule available-at)

-- == a subquery of what may be known later
SELECT f.origin, f.event_time, f.available_at, (SELECT count(*) FROM events e WHERE e.person = f.origin) AS n FROM flights f
-- > refused
-- > 1:32 found an available_at that may be before that of the rows that a subquery looks at, expected one that is before that of no row that counts; write greatest(available_at, (SELECT max(available_at) FROM … of the same rows)), or let the subquery read only rows with available_at <= that of the row around it (rule available-at)

-- == a subquery with its own time
SELECT f.origin, f.event_time,
  greatest(f.available_at, (SELECT max(e.available_at) FROM events e WHERE e.person = f.origin)) AS available_at,
  (SELECT count(*) FROM events e WHERE e.person = f.origin) AS n FROM flights f
-- > accepted

-- == NOT EXISTS below a count
-- grain 1h
SELECT origin, date_trunc('hour', event_time) + interval '1 hour' AS event_time, max(available_at) AS available_at, count(*) AS n FROM flights f
WHERE NOT EXISTS (SELECT FROM carriers c WHERE c.code = f.carrier) GROUP BY 1, 2
-- > refused
-- > 1:82 found an available_at that may be before that of the rows that a subquery looks at, expected one that is before that of no row that counts; write greatest(max(available_at), (SELECT max(available_at) FROM … of the same rows)), or let the subquery read only rows with available_at <= that of the row around it (rule available-at)

-- == constants
SELECT 'all' AS origin, timestamptz '2020-01-01 00:00Z' AS event_time, timestamptz '2020-01-01 00:00Z' AS available_at, 1 AS n
-- > accepted

-- == a time that is always too early
SELECT origin, event_time, timestamptz '2020-01-01 00:00Z' AS available_at, delay FROM flights
-- > refused
-- > 1:40 found an available_at that may be before that of flights, expected one that is before that of no row that counts; write available_at as it is, or what is later (rule available-at)

-- == a rolling sum over a frame of days
SELECT origin, event_time, max(available_at) OVER w AS available_at, sum(delay) OVER w AS s, first_value(delay) OVER w AS f
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time, id ROWS BETWEEN 6 PRECEDING AND CURRENT ROW)
-- > accepted

-- == a rolling sum over a frame before the row
SELECT origin, event_time, greatest(available_at, max(available_at) OVER w) AS available_at, sum(delay) OVER w AS s
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time RANGE BETWEEN interval '7 days' PRECEDING AND interval '1 microsecond' PRECEDING)
-- > accepted

-- == a frame before the row, without the row's own time
SELECT origin, event_time, max(available_at) OVER w AS available_at, sum(delay) OVER w AS s
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time RANGE BETWEEN interval '7 days' PRECEDING AND interval '1 microsecond' PRECEDING)
-- > refused
-- > 1:28 found an available_at that may be before that of flights, expected one that is before that of no row that counts; write available_at as it is, or what is later (rule available-at)

-- == the time of a shorter frame
SELECT origin, event_time, max(available_at) OVER (PARTITION BY origin ORDER BY event_time RANGE BETWEEN interval '6 days' PRECEDING AND CURRENT ROW) AS available_at,
  sum(delay) OVER (PARTITION BY origin ORDER BY event_time RANGE BETWEEN interval '7 days' PRECEDING AND CURRENT ROW) AS s
FROM flights
-- > refused
-- > 1:28 found an available_at that may be before that of the rows that a window function looks at, expected one that is before that of no row that counts; write max(available_at) OVER the same window, without its ORDER BY where it looks ahead (rule available-at)

-- == lag beside the time of a frame
SELECT origin, event_time, max(available_at) OVER w AS available_at, lag(delay, 9) OVER w AS d
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time, id ROWS BETWEEN 6 PRECEDING AND CURRENT ROW)
-- > refused
-- > 1:28 found an available_at that may be before that of the rows that a window function looks at, expected one that is before that of no row that counts; write max(available_at) OVER the same window, without its ORDER BY where it looks ahead (rule available-at)

-- == days, then a rolling mean of them
-- grain 24h
-- lookback 168h
WITH d AS (SELECT origin, date_trunc('day', event_time) AS day, count(*) AS n, max(available_at) AS known FROM flights GROUP BY 1, 2)
SELECT origin, day + interval '1 day' AS event_time, max(known) OVER w AS available_at, avg(n) OVER w AS n7
FROM d WINDOW w AS (PARTITION BY origin ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW)
-- > accepted

-- == lag with a default
SELECT origin, event_time, greatest(available_at, lag(available_at) OVER w) AS available_at, lag(delay, 1, 0) OVER w AS d
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time, id)
-- > accepted

-- == lag by more than its time
SELECT origin, event_time, greatest(available_at, lag(available_at) OVER w) AS available_at, lag(delay, 2, 0) OVER w AS d
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time, id)
-- > refused
-- > 1:28 found an available_at that may be before that of the rows that a window function looks at, expected one that is before that of no row that counts; write max(available_at) OVER the same window, without its ORDER BY where it looks ahead (rule available-at)

-- == the newest that was true and known by the row's time
SELECT f.id, f.event_time, f.available_at, w.temp
FROM flights f LEFT JOIN LATERAL (
  SELECT temp FROM weather w WHERE w.station = f.origin AND w.event_time <= f.event_time AND w.available_at <= f.available_at
  ORDER BY w.event_time DESC LIMIT 1) w ON true
-- > accepted

-- == a time that is NULL for some rows of a group
SELECT origin, max(event_time) AS event_time, max(CASE WHEN delay > 3 THEN available_at END) AS available_at, count(*) AS n FROM flights GROUP BY origin
-- > refused
-- > 1:47 found an available_at that may be before that of flights, expected one that is before that of no row that counts; write max(available_at) AS available_at (rule available-at)

-- == a time that is NULL for some rows of a join
SELECT f.id, f.event_time, greatest(f.available_at, CASE WHEN w.wind > 5 THEN w.available_at ELSE NULL END) AS available_at, w.temp
FROM flights f LEFT JOIN weather w ON w.station = f.origin AND w.event_time = f.event_time
-- > refused
-- > 1:28 found an available_at that may be before that of w, expected one that is before that of no row that counts; write greatest(f.available_at, w.available_at) AS available_at (rule available-at)

-- == the time of one row of those that a subquery counts
SELECT f.id, f.event_time, greatest(f.available_at, (SELECT w.available_at FROM weather w WHERE w.station = f.origin ORDER BY w.event_time LIMIT 1)) AS available_at,
  (SELECT count(*) FROM weather w WHERE w.station = f.origin) AS n
FROM flights f
-- > refused
-- > 1:28 found an available_at that may be before that of the rows that a subquery looks at, expected one that is before that of no row that counts; write greatest(available_at, (SELECT max(available_at) FROM … of the same rows)), or let the subquery read only rows with available_at <= that of the row around it (rule available-at)

-- == the time of the last row beside the first
SELECT f.id, f.event_time, greatest(f.available_at, (SELECT w.available_at FROM weather w WHERE w.station = f.origin ORDER BY w.event_time DESC LIMIT 1)) AS available_at,
  (SELECT w.temp FROM weather w WHERE w.station = f.origin ORDER BY w.event_time LIMIT 1) AS t
FROM flights f
-- > refused
-- > 1:28 found an available_at that may be before that of the rows that a subquery looks at, expected one that is before that of no row that counts; write greatest(available_at, (SELECT max(available_at) FROM … of the same rows)), or let the subquery read only rows with available_at <= that of the row around it (rule available-at)

-- == the time of the row that a subquery picks
SELECT f.id, f.event_time, greatest(f.available_at, (SELECT w.available_at FROM weather w WHERE w.station = f.origin ORDER BY w.event_time LIMIT 1)) AS available_at,
  (SELECT w.temp FROM weather w WHERE w.station = f.origin ORDER BY w.event_time LIMIT 1) AS t
FROM flights f
-- > accepted

-- == the time of all rows of which a subquery picks one
SELECT f.id, f.event_time, greatest(f.available_at, (SELECT max(w.available_at) FROM weather w WHERE w.station = f.origin)) AS available_at,
  (SELECT w.temp FROM weather w WHERE w.station = f.origin ORDER BY w.event_time LIMIT 1) AS t
FROM flights f
-- > accepted

-- == the time of groups that HAVING leaves out
SELECT f.id, f.event_time, greatest(f.available_at, (SELECT max(w.available_at) FROM weather w WHERE w.station = f.origin HAVING count(*) > 3)) AS available_at,
  (SELECT count(*) FROM weather w WHERE w.station = f.origin) AS n
FROM flights f
-- > refused
-- > 1:28 found an available_at that may be before that of the rows that a subquery looks at, expected one that is before that of no row that counts; write greatest(available_at, (SELECT max(available_at) FROM … of the same rows)), or let the subquery read only rows with available_at <= that of the row around it (rule available-at)

-- == an outer join that leaves in what was known later
SELECT w.wind, w.event_time, greatest(f.available_at, '2000-01-01 00:00Z') AS available_at, w.temp
FROM weather w LEFT JOIN flights f ON w.station = f.origin AND w.available_at <= f.available_at
-- > refused
-- > 1:30 found an available_at that may be before that of w, expected one that is before that of no row that counts; write greatest(w.available_at, f.available_at) AS available_at (rule available-at)

-- == a FULL JOIN by the times
SELECT f.id, greatest(f.event_time, w.event_time) AS event_time, greatest(f.available_at, '2000-01-01 00:00Z') AS available_at, w.temp
FROM flights f FULL JOIN weather w ON w.available_at = f.available_at
-- > refused
-- > 1:66 found an available_at that may be before that of w, expected one that is before that of no row that counts; write greatest(f.available_at, w.available_at) AS available_at (rule available-at)

-- == times out of XML
SELECT f.id, f.event_time, f.available_at, t.x
FROM flights f, XMLTABLE('/a' PASSING xmlparse(document '<a/>') COLUMNS x timestamptz PATH 'b') t
-- > refused
-- > 2:17 found a column of type timestamp with time zone while it runs, where a row that holds 'now' is the time of the run, expected a form that is told; write to_timestamp(text, 'YYYY-MM-DD HH24:MI:SS') or to_date(text, 'YYYY-MM-DD'), or give the source a column of type timestamp (rule text-to-time)

-- == the start of a day by its date
-- grain 24h
SELECT origin, event_time::date::timestamptz AS event_time, max(available_at) AS available_at, count(*) AS n FROM flights GROUP BY origin, event_time::date
-- > refused
-- > 1:32 found an event_time at the start of a group of 1 day, expected its end: what is in the group is known by then only; add the group's length: it + interval '1 day' (rule event-time)

-- == the end of a day by its date
-- grain 24h
SELECT origin, event_time::date::timestamptz + interval '1 day' AS event_time, max(available_at) AS available_at, count(*) AS n
FROM flights GROUP BY origin, event_time::date
-- > accepted

-- == the end of a day by its date, with another grain
-- grain 1h
SELECT origin, event_time::date + interval '1 day' AS event_time, max(available_at) AS available_at, count(*) AS n
FROM flights GROUP BY origin, event_time::date
-- > refused
-- > 1:33 found groups of 1 day in a view with a grain of 1h, expected the grain of its groups, or a look-back that reaches their start; declare grain: 24h, or lookback: 23h (rule event-time)
