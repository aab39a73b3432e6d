-- == rows as they are
-- inputs
SELECT origin, event_time, available_at, delay AS n FROM flights
-- > accepted
-- > available_at: value flights.available_at
-- > event_time: value flights.event_time
-- > n: value flights.delay
-- > origin: value flights.origin
-- > uses flights(available_at, delay, event_time, origin)

-- == an hourly mean
-- grain 1h
-- inputs
SELECT origin,
       date_trunc('hour', event_time) + interval '1 hour' AS event_time,
       max(available_at) AS available_at,
       count(*) AS departures,
       avg(delay)::float8 AS mean_delay,
       avg((delay > 15)::int)::float8 AS late_share
FROM flights
GROUP BY origin, date_trunc('hour', event_time)
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.event_time flights.origin
-- > departures: group flights.event_time flights.origin
-- > event_time: value flights.event_time
-- > event_time: group flights.event_time flights.origin
-- > late_share: value flights.delay
-- > late_share: group flights.event_time flights.origin
-- > mean_delay: value flights.delay
-- > mean_delay: group flights.event_time flights.origin
-- > origin: value flights.origin
-- > origin: group flights.event_time flights.origin
-- > uses flights(available_at, delay, event_time, origin)

-- == a filter and a CASE
-- inputs
SELECT origin, event_time, available_at, CASE WHEN delay > 10 THEN price ELSE 0 END AS n
FROM flights WHERE carrier IS NOT NULL AND (destination = 'a' OR destination LIKE 'c%')
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: filter flights.carrier flights.destination
-- > event_time: value flights.event_time
-- > event_time: filter flights.carrier flights.destination
-- > n: value flights.delay flights.price
-- > n: filter flights.carrier flights.destination
-- > origin: value flights.origin
-- > origin: filter flights.carrier flights.destination
-- > uses flights(available_at, carrier, delay, destination, event_time, origin, price)

-- == parts of WITH
-- grain 24h
-- inputs
WITH late AS (
  SELECT * FROM flights WHERE delay > 3
), daily AS (
  SELECT origin, date_trunc('day', event_time) AS day, max(available_at) AS known, count(*) AS n, sum(price) AS spent
  FROM late GROUP BY 1, 2
)
SELECT origin, day + interval '24 hours' AS event_time, known AS available_at, n, spent FROM daily
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: filter flights.delay
-- > available_at: group flights.event_time flights.origin
-- > event_time: value flights.event_time
-- > event_time: filter flights.delay
-- > event_time: group flights.event_time flights.origin
-- > n: filter flights.delay
-- > n: group flights.event_time flights.origin
-- > origin: value flights.origin
-- > origin: filter flights.delay
-- > origin: group flights.event_time flights.origin
-- > spent: value flights.price
-- > spent: filter flights.delay
-- > spent: group flights.event_time flights.origin
-- > uses flights(available_at, delay, event_time, origin, price)

-- == a part of WITH that nobody reads
-- inputs
WITH unused AS (SELECT destination, count(*) AS c FROM flights GROUP BY 1)
SELECT origin, event_time, available_at, delay FROM flights
-- > accepted
-- > available_at: value flights.available_at
-- > delay: value flights.delay
-- > event_time: value flights.event_time
-- > origin: value flights.origin
-- > uses flights(available_at, delay, event_time, origin)

-- == a join of two sources
-- inputs
SELECT f.origin, f.event_time, greatest(f.available_at, c.available_at) AS available_at, c.rating, f.delay * 2 AS d
FROM flights f JOIN carriers c ON c.code = f.carrier
WHERE c.rating > 1
-- > accepted
-- > available_at: value carriers.available_at flights.available_at
-- > available_at: filter carriers.rating
-- > available_at: join carriers.code flights.carrier
-- > d: value flights.delay
-- > d: filter carriers.rating
-- > d: join carriers.code flights.carrier
-- > event_time: value flights.event_time
-- > event_time: filter carriers.rating
-- > event_time: join carriers.code flights.carrier
-- > origin: value flights.origin
-- > origin: filter carriers.rating
-- > origin: join carriers.code flights.carrier
-- > rating: value carriers.rating
-- > rating: filter carriers.rating
-- > rating: join carriers.code flights.carrier
-- > uses carriers(available_at, code, rating)
-- > uses flights(available_at, carrier, delay, event_time, origin)

-- == a join written with commas
-- inputs
SELECT f.origin, f.event_time, greatest(f.available_at, c.available_at) AS available_at, c.label
FROM flights f, carriers c
WHERE c.code = f.carrier AND f.delay > 0
-- > accepted
-- > available_at: value carriers.available_at flights.available_at
-- > available_at: filter flights.delay
-- > available_at: join carriers.code flights.carrier
-- > event_time: value flights.event_time
-- > event_time: filter flights.delay
-- > event_time: join carriers.code flights.carrier
-- > label: value carriers.label
-- > label: filter flights.delay
-- > label: join carriers.code flights.carrier
-- > origin: value flights.origin
-- > origin: filter flights.delay
-- > origin: join carriers.code flights.carrier
-- > uses carriers(available_at, code, label)
-- > uses flights(available_at, carrier, delay, event_time, origin)

-- == NATURAL and USING
-- inputs
SELECT origin, f.event_time, greatest(f.available_at, w.available_at) AS available_at, w.temp
FROM flights f JOIN (SELECT station AS origin, at AS date, available_at, temp FROM weather) w USING (origin, date)
-- > accepted
-- > available_at: value flights.available_at weather.available_at
-- > available_at: join flights.date flights.origin weather.at weather.station
-- > event_time: value flights.event_time
-- > event_time: join flights.date flights.origin weather.at weather.station
-- > origin: value flights.origin
-- > origin: join flights.date flights.origin weather.at weather.station
-- > temp: value weather.temp
-- > temp: join flights.date flights.origin weather.at weather.station
-- > uses flights(available_at, date, event_time, origin)
-- > uses weather(at, available_at, station, temp)

-- == NATURAL JOIN
SELECT origin, f.event_time, greatest(f.available_at, w.known) AS available_at, w.temp
FROM flights f NATURAL JOIN (SELECT station AS origin, at AS date, available_at AS known, temp FROM weather) w
-- > accepted

-- == FULL JOIN of two days
-- grain 24h
SELECT origin, day + interval '1 day' AS event_time, greatest(a.known, b.known) AS available_at, a.n, b.n AS m
FROM (SELECT origin, date_trunc('day', event_time) AS day, max(available_at) AS known, count(*) AS n FROM flights GROUP BY 1, 2) a
FULL JOIN (SELECT station AS origin, date_trunc('day', event_time) AS day, max(available_at) AS known, count(*) AS n FROM weather GROUP BY 1, 2) b
USING (origin, day)
-- > accepted

-- == LEFT JOIN with the other's time where there is one
-- inputs
SELECT f.origin, f.event_time, greatest(f.available_at, c.available_at) AS available_at, coalesce(c.rating, 0) AS rating
FROM flights f LEFT JOIN carriers c ON c.code = f.carrier AND c.rating > 0
-- > accepted
-- > available_at: value carriers.available_at flights.available_at
-- > available_at: join carriers.code carriers.rating flights.carrier
-- > event_time: value flights.event_time
-- > event_time: join carriers.code carriers.rating flights.carrier
-- > origin: value flights.origin
-- > origin: join carriers.code carriers.rating flights.carrier
-- > rating: value carriers.rating
-- > rating: join carriers.code carriers.rating flights.carrier
-- > uses carriers(available_at, code, rating)
-- > uses flights(available_at, carrier, event_time, origin)

-- == coalesce around the time of a LEFT JOIN
SELECT f.origin, f.event_time, greatest(f.available_at, coalesce(c.available_at, f.available_at)) AS available_at, c.rating
FROM flights f LEFT JOIN carriers c ON c.code = f.carrier
-- > accepted

-- == an anti join
-- inputs
SELECT f.origin, f.event_time, f.available_at, f.delay
FROM flights f LEFT JOIN carriers c ON c.code = f.carrier
WHERE c.code IS NULL
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: filter carriers.code
-- > available_at: join carriers.code flights.carrier
-- > delay: value flights.delay
-- > delay: filter carriers.code
-- > delay: join carriers.code flights.carrier
-- > event_time: value flights.event_time
-- > event_time: filter carriers.code
-- > event_time: join carriers.code flights.carrier
-- > origin: value flights.origin
-- > origin: filter carriers.code
-- > origin: join carriers.code flights.carrier
-- > uses carriers(code)
-- > uses flights(available_at, carrier, delay, event_time, origin)

-- == NOT EXISTS
-- inputs
SELECT f.origin, f.event_time, f.available_at, f.delay FROM flights f
WHERE NOT EXISTS (SELECT FROM carriers c WHERE c.code = f.carrier)
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: join carriers.code flights.carrier
-- > delay: value flights.delay
-- > delay: join carriers.code flights.carrier
-- > event_time: value flights.event_time
-- > event_time: join carriers.code flights.carrier
-- > origin: value flights.origin
-- > origin: join carriers.code flights.carrier
-- > uses carriers(code)
-- > uses flights(available_at, carrier, delay, event_time, origin)

-- == EXISTS at the time of the row
-- inputs
SELECT f.origin, f.event_time, f.available_at, f.delay FROM flights f
WHERE EXISTS (SELECT 1 FROM carriers c WHERE c.code = f.carrier AND c.available_at <= f.available_at)
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > delay: value flights.delay
-- > delay: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > event_time: value flights.event_time
-- > event_time: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > origin: value flights.origin
-- > origin: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > uses carriers(available_at, code)
-- > uses flights(available_at, carrier, delay, event_time, origin)

-- == IN a subquery
SELECT f.origin, f.event_time, f.available_at, f.delay FROM flights f
WHERE f.carrier IN (SELECT code FROM carriers WHERE rating > 2 AND available_at <= f.available_at)
-- > accepted

-- == a correlated scalar subquery
-- inputs
SELECT f.origin, f.event_time, f.available_at,
  (SELECT count(*) FROM events e WHERE e.person = f.origin AND e.available_at <= f.available_at) AS seen_before
FROM flights f
-- > accepted
-- > available_at: value flights.available_at
-- > event_time: value flights.event_time
-- > origin: value flights.origin
-- > seen_before: join events.available_at events.person flights.available_at flights.origin
-- > uses events(available_at, person)
-- > uses flights(available_at, event_time, origin)

-- == the newest row of another source, by LATERAL
-- inputs
SELECT f.origin, f.event_time, greatest(f.available_at, w.available_at) AS available_at, w.wind
FROM flights f LEFT JOIN LATERAL (
  SELECT wind, available_at FROM weather
  WHERE station = f.origin AND event_time <= f.event_time
  ORDER BY event_time DESC LIMIT 1
) w ON true
-- > accepted
-- > available_at: value flights.available_at weather.available_at
-- > available_at: join flights.event_time flights.origin weather.event_time weather.station
-- > available_at: order weather.event_time
-- > event_time: value flights.event_time
-- > event_time: join flights.event_time flights.origin weather.event_time weather.station
-- > event_time: order weather.event_time
-- > origin: value flights.origin
-- > origin: join flights.event_time flights.origin weather.event_time weather.station
-- > origin: order weather.event_time
-- > wind: value weather.wind
-- > wind: join flights.event_time flights.origin weather.event_time weather.station
-- > wind: order weather.event_time
-- > uses flights(available_at, event_time, origin)
-- > uses weather(available_at, event_time, station, wind)

-- == a lateral aggregate of what was known
SELECT f.origin, f.event_time, f.available_at, w.n, w.strongest
FROM flights f CROSS JOIN LATERAL (
  SELECT count(*) AS n, max(wind) AS strongest FROM weather
  WHERE station = f.origin AND available_at <= f.available_at AND event_time > f.event_time - interval '1 day'
) w
-- > accepted

-- == UNION ALL of two sources
-- inputs
SELECT origin, event_time, available_at, delay AS n FROM flights
UNION ALL
SELECT station, event_time, available_at, wind FROM weather
-- > accepted
-- > available_at: value flights.available_at weather.available_at
-- > event_time: value flights.event_time weather.event_time
-- > n: value flights.delay weather.wind
-- > origin: value flights.origin weather.station
-- > uses flights(available_at, delay, event_time, origin)
-- > uses weather(available_at, event_time, station, wind)

-- == UNION
SELECT origin, event_time, available_at FROM flights
UNION
SELECT station, event_time, available_at FROM weather WHERE wind > 2
-- > accepted

-- == INTERSECT and EXCEPT
SELECT origin, event_time, available_at FROM flights
INTERSECT SELECT station, event_time, available_at FROM weather
EXCEPT SELECT person, event_time, available_at FROM events
-- > accepted

-- == a recursive part of WITH
-- inputs
WITH RECURSIVE hops AS (
  SELECT origin, destination, event_time, available_at, 1 AS n FROM flights WHERE delay > 6
  UNION
  SELECT h.origin, f.destination, greatest(h.event_time, f.event_time), greatest(h.available_at, f.available_at), h.n + 1
  FROM hops h JOIN flights f ON f.origin = h.destination AND f.delay > 6
  WHERE h.n < 3
)
SELECT origin, event_time, available_at, max(n) AS n FROM hops GROUP BY 1, 2, 3
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: filter flights.delay
-- > available_at: join flights.delay flights.destination flights.origin
-- > available_at: group flights.available_at flights.destination flights.event_time flights.origin
-- > event_time: value flights.event_time
-- > event_time: filter flights.delay
-- > event_time: join flights.delay flights.destination flights.origin
-- > event_time: group flights.available_at flights.destination flights.event_time flights.origin
-- > n: filter flights.delay
-- > n: join flights.delay flights.destination flights.origin
-- > n: group flights.available_at flights.destination flights.event_time flights.origin
-- > origin: value flights.origin
-- > origin: filter flights.delay
-- > origin: join flights.delay flights.destination flights.origin
-- > origin: group flights.available_at flights.destination flights.event_time flights.origin
-- > uses flights(available_at, delay, destination, event_time, origin)

-- == numbers from a recursive part of WITH
WITH RECURSIVE steps(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM steps WHERE i < 3)
SELECT f.origin, f.event_time + s.i * interval '1 hour' AS event_time, f.available_at, s.i
FROM flights f CROSS JOIN steps s
-- > accepted

-- == generate_series
-- inputs
SELECT f.origin, f.event_time + g.i * interval '1 hour' AS event_time, f.available_at, g.i
FROM flights f, generate_series(0, 2) AS g(i)
-- > accepted
-- > available_at: value flights.available_at
-- > event_time: value flights.event_time
-- > origin: value flights.origin
-- > uses flights(available_at, event_time, origin)

-- == a calendar of days
-- lookback 24h
SELECT c.code AS origin, d.day AS event_time, greatest(c.available_at, d.day) AS available_at, c.rating
FROM carriers c, generate_series(date_trunc('day', {{interval.start}}), {{interval.end}}, interval '1 day') AS d(day)
WHERE c.event_time <= d.day AND d.day < {{interval.end}}
-- > accepted

-- == VALUES
-- inputs
SELECT f.origin, f.event_time, f.available_at, w.weight * f.delay AS n
FROM flights f JOIN (VALUES ('a', 1), ('b', 2)) AS w(code, weight) ON w.code = f.carrier
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: join flights.carrier
-- > event_time: value flights.event_time
-- > event_time: join flights.carrier
-- > n: value flights.delay
-- > n: join flights.carrier
-- > origin: value flights.origin
-- > origin: join flights.carrier
-- > uses flights(available_at, carrier, delay, event_time, origin)

-- == FILTER
-- grain 1h
-- inputs
SELECT origin, date_trunc('hour', event_time) + interval '1 hour' AS event_time, max(available_at) AS available_at,
  count(*) FILTER (WHERE delay > 3) AS late, sum(price) FILTER (WHERE carrier = 'a') AS paid
FROM flights GROUP BY 1, 2
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.event_time flights.origin
-- > event_time: value flights.event_time
-- > event_time: group flights.event_time flights.origin
-- > late: filter flights.delay
-- > late: group flights.event_time flights.origin
-- > origin: value flights.origin
-- > origin: group flights.event_time flights.origin
-- > paid: value flights.price
-- > paid: filter flights.carrier
-- > paid: group flights.event_time flights.origin
-- > uses flights(available_at, carrier, delay, event_time, origin, price)

-- == HAVING
-- grain 1h
-- inputs
SELECT origin, date_trunc('hour', event_time) + interval '1 hour' AS event_time, max(available_at) AS available_at, count(*) AS n
FROM flights GROUP BY 1, 2 HAVING count(*) > 1 AND max(delay) < 9
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: filter flights.delay
-- > available_at: group flights.event_time flights.origin
-- > event_time: value flights.event_time
-- > event_time: filter flights.delay
-- > event_time: group flights.event_time flights.origin
-- > n: filter flights.delay
-- > n: group flights.event_time flights.origin
-- > origin: value flights.origin
-- > origin: filter flights.delay
-- > origin: group flights.event_time flights.origin
-- > uses flights(available_at, delay, event_time, origin)

-- == GROUPING SETS
-- grain 24h
SELECT coalesce(origin, 'all') AS origin, coalesce(carrier, 'all') AS carrier,
  date_trunc('day', event_time) + interval '1 day' AS event_time, max(available_at) AS available_at, count(*) AS n
FROM flights GROUP BY GROUPING SETS ((origin, date_trunc('day', event_time)), (carrier, date_trunc('day', event_time)))
-- > accepted

-- == ROLLUP and GROUPING
-- grain 24h
-- inputs
SELECT coalesce(origin, 'all') AS origin, date_trunc('day', event_time) + interval '1 day' AS event_time, max(available_at) AS available_at,
  GROUPING(origin) AS level, sum(delay) AS n
FROM flights GROUP BY date_trunc('day', event_time), ROLLUP (origin)
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.event_time flights.origin
-- > event_time: value flights.event_time
-- > event_time: group flights.event_time flights.origin
-- > level: value flights.origin
-- > level: group flights.event_time flights.origin
-- > n: value flights.delay
-- > n: group flights.event_time flights.origin
-- > origin: value flights.origin
-- > origin: group flights.event_time flights.origin
-- > uses flights(available_at, delay, event_time, origin)

-- == a self join
SELECT a.origin, b.event_time, greatest(a.available_at, b.available_at) AS available_at, b.delay - a.delay AS change
FROM flights a JOIN flights b ON b.origin = a.origin AND b.event_time > a.event_time AND b.event_time < a.event_time + interval '2 hours'
-- > accepted

-- == row comparison and IS DISTINCT FROM
SELECT origin, event_time, available_at, (delay, id) < (3, 100) AS low, origin IS DISTINCT FROM destination AS away FROM flights
-- > accepted

-- == casts and text
-- inputs
SELECT upper(origin) AS origin, event_time, available_at, delay::text || '-' || carrier AS label,
  length(trim(both ' ' from destination)) AS n, substring(payload from '"a": (\d+)') AS a, split_part(origin, ' ', 1) AS first,
  to_char(event_time, 'YYYY-MM-DD') AS day, regexp_replace(origin, '[^a-z]', '', 'g') AS cleaned, md5(origin) AS hash
FROM flights
-- > accepted
-- > a: value flights.payload
-- > available_at: value flights.available_at
-- > cleaned: value flights.origin
-- > day: value flights.event_time
-- > event_time: value flights.event_time
-- > first: value flights.origin
-- > hash: value flights.origin
-- > label: value flights.carrier flights.delay
-- > n: value flights.destination
-- > origin: value flights.origin
-- > uses flights(available_at, carrier, delay, destination, event_time, origin, payload)

-- == times of day and week
SELECT origin, event_time, available_at, extract(hour FROM event_time)::int AS hour, extract(dow FROM event_time) IN (0, 6) AS weekend,
  extract(epoch FROM available_at - event_time)::float8 AS lag, date_part('doy', event_time) AS doy,
  event_time AT TIME ZONE 'Europe/Berlin' AS local, age(available_at, event_time) AS waited
FROM flights
-- > accepted

-- == numbers
SELECT origin, event_time, available_at, round(price, 1) AS r, abs(delay) AS d, delay % 7 AS m, power(cost, 2) AS p, ln(1 + abs(cost)) AS l,
  width_bucket(delay, 0, 10, 5) AS b, nullif(delay, 0) AS z, coalesce(delay, 0) / 2 AS h, greatest(delay, 1) AS g
FROM flights
-- > accepted

-- == the statement ends in a semicolon and a comment
SELECT origin, event_time, available_at, delay AS n FROM flights; -- the end
-- > accepted

-- == TABLE
TABLE weather
-- > accepted

-- == a whole row
-- inputs
SELECT f.origin, f.event_time, f.available_at, to_jsonb(f) ->> 'delay' AS n FROM flights f
-- > accepted
-- > available_at: value flights.available_at
-- > event_time: value flights.event_time
-- > n: value flights.available_at flights.carrier flights.cost flights.date flights.delay flights.destination flights.event_time flights.id flights.origin flights.payload flights.price
-- > origin: value flights.origin
-- > uses flights(available_at, carrier, cost, date, delay, destination, event_time, id, origin, payload, price)

-- == a subquery that outputs one row
SELECT f.origin, f.event_time, greatest(f.available_at, t.known) AS available_at, f.delay - t.mean AS n
FROM flights f, (SELECT avg(delay) AS mean, max(available_at) AS known FROM flights) t
-- > accepted
