-- What columns are made of, shape by shape: each has its inputs in its verdict, and is analysed alike by every version of Postgres.

-- == all columns by a star
-- inputs
SELECT * FROM (SELECT origin, event_time, available_at, delay, price FROM flights) x
-- > accepted
-- > available_at: value flights.available_at
-- > delay: value flights.delay
-- > event_time: value flights.event_time
-- > origin: value flights.origin
-- > price: value flights.price
-- > uses flights(available_at, delay, event_time, origin, price)

-- == a star over a join, with one column taken away
-- inputs
SELECT f.*, c.label FROM (SELECT origin, event_time, available_at, carrier FROM flights) f JOIN carriers c ON c.code = f.carrier AND c.available_at <= f.available_at
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > carrier: value flights.carrier
-- > carrier: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > event_time: value flights.event_time
-- > event_time: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > label: value carriers.label
-- > label: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > origin: value flights.origin
-- > origin: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > uses carriers(available_at, code, label)
-- > uses flights(available_at, carrier, event_time, origin)

-- == a whole row
-- inputs
SELECT f.origin, f.event_time, f.available_at, to_jsonb(f) ->> 'delay' AS n FROM flights f
-- > accepted
-- > available_at: value flights.available_at
-- > event_time: value flights.event_time
-- > n: value flights.available_at flights.carrier flights.cost flights.date flights.delay flights.destination flights.event_time flights.id flights.origin flights.payload flights.price
-- > origin: value flights.origin
-- > uses flights(available_at, carrier, cost, date, delay, destination, event_time, id, origin, payload, price)

-- == parts of WITH that read each other
-- inputs
WITH a AS (SELECT origin, event_time, available_at, delay FROM flights WHERE delay > 0),
b AS (SELECT origin, event_time, available_at, delay * 2 AS n FROM a),
c AS (SELECT a.origin, a.event_time, a.available_at, b.n + a.delay AS n FROM a JOIN b USING (origin, event_time, available_at))
SELECT * FROM b
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: filter flights.delay
-- > event_time: value flights.event_time
-- > event_time: filter flights.delay
-- > n: value flights.delay
-- > n: filter flights.delay
-- > origin: value flights.origin
-- > origin: filter flights.delay
-- > uses flights(available_at, delay, event_time, origin)

-- == a recursive part of WITH
-- inputs
WITH RECURSIVE steps AS (
  SELECT origin, event_time, available_at, delay AS n, 1 AS step FROM flights
  UNION ALL
  SELECT origin, event_time, available_at, n + 1, step + 1 FROM steps WHERE step < 3
)
SELECT origin, event_time, available_at, n, step::bigint AS step FROM steps
-- > accepted
-- > available_at: value flights.available_at
-- > event_time: value flights.event_time
-- > n: value flights.delay
-- > origin: value flights.origin
-- > uses flights(available_at, delay, event_time, origin)

-- == a subquery in FROM
-- inputs
SELECT s.origin, s.event_time, s.available_at, s.n FROM (SELECT origin, event_time, available_at, delay + 1 AS n FROM flights WHERE carrier = 'a') s
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: filter flights.carrier
-- > event_time: value flights.event_time
-- > event_time: filter flights.carrier
-- > n: value flights.delay
-- > n: filter flights.carrier
-- > origin: value flights.origin
-- > origin: filter flights.carrier
-- > uses flights(available_at, carrier, delay, event_time, origin)

-- == a scalar subquery
-- inputs
SELECT f.origin, f.event_time, f.available_at, (SELECT max(c.rating) FROM carriers c WHERE c.code = f.carrier AND c.available_at <= f.available_at) AS best FROM flights f
-- > accepted
-- > available_at: value flights.available_at
-- > best: value carriers.rating
-- > best: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > event_time: value flights.event_time
-- > origin: value flights.origin
-- > uses carriers(available_at, code, rating)
-- > uses flights(available_at, carrier, event_time, origin)

-- == EXISTS
-- inputs
SELECT origin, event_time, available_at, delay FROM flights f WHERE EXISTS (SELECT FROM carriers c WHERE c.code = f.carrier AND c.rating > 2 AND c.available_at <= f.available_at)
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: filter carriers.rating
-- > available_at: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > delay: value flights.delay
-- > delay: filter carriers.rating
-- > delay: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > event_time: value flights.event_time
-- > event_time: filter carriers.rating
-- > event_time: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > origin: value flights.origin
-- > origin: filter carriers.rating
-- > origin: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > uses carriers(available_at, code, rating)
-- > uses flights(available_at, carrier, delay, event_time, origin)

-- == NOT EXISTS
-- inputs
SELECT origin, event_time, available_at, delay FROM flights f WHERE NOT EXISTS (SELECT FROM carriers c WHERE c.code = f.carrier AND c.available_at <= f.available_at)
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
-- inputs
SELECT origin, event_time, available_at, delay FROM flights f WHERE carrier IN (SELECT code FROM carriers c WHERE label <> '' AND c.available_at <= f.available_at)
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: filter carriers.label
-- > available_at: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > delay: value flights.delay
-- > delay: filter carriers.label
-- > delay: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > event_time: value flights.event_time
-- > event_time: filter carriers.label
-- > event_time: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > origin: value flights.origin
-- > origin: filter carriers.label
-- > origin: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > uses carriers(available_at, code, label)
-- > uses flights(available_at, carrier, delay, event_time, origin)

-- == = ANY of a subquery, and of an array
-- inputs
SELECT origin, event_time, available_at, delay FROM flights f WHERE carrier = ANY (SELECT code FROM carriers c WHERE c.available_at <= f.available_at) AND delay = ANY (ARRAY[1, 2, 3])
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: filter flights.delay
-- > available_at: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > delay: value flights.delay
-- > delay: filter flights.delay
-- > delay: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > event_time: value flights.event_time
-- > event_time: filter flights.delay
-- > event_time: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > origin: value flights.origin
-- > origin: filter flights.delay
-- > origin: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > uses carriers(available_at, code)
-- > uses flights(available_at, carrier, delay, event_time, origin)

-- == a comparison with all of a subquery
-- inputs
SELECT origin, event_time, available_at, delay FROM flights f WHERE delay >= ALL (SELECT rating FROM carriers c WHERE c.available_at <= f.available_at)
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: join carriers.available_at carriers.rating flights.available_at flights.delay
-- > delay: value flights.delay
-- > delay: join carriers.available_at carriers.rating flights.available_at flights.delay
-- > event_time: value flights.event_time
-- > event_time: join carriers.available_at carriers.rating flights.available_at flights.delay
-- > origin: value flights.origin
-- > origin: join carriers.available_at carriers.rating flights.available_at flights.delay
-- > uses carriers(available_at, rating)
-- > uses flights(available_at, delay, event_time, origin)

-- == LATERAL
-- inputs
SELECT f.origin, f.event_time, f.available_at, l.best
FROM flights f CROSS JOIN LATERAL (SELECT max(c.rating) AS best FROM carriers c WHERE c.code = f.carrier AND c.available_at <= f.available_at) l
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > best: value carriers.rating
-- > best: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > event_time: value flights.event_time
-- > event_time: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > origin: value flights.origin
-- > origin: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > uses carriers(available_at, code, rating)
-- > uses flights(available_at, carrier, event_time, origin)

-- == a left join by LATERAL
-- inputs
SELECT f.origin, f.event_time, f.available_at, l.n
FROM flights f LEFT JOIN LATERAL (SELECT count(*) AS n FROM carriers c WHERE c.code = f.carrier AND c.rating > f.delay AND c.available_at <= f.available_at) l ON true
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: join carriers.available_at carriers.code carriers.rating flights.available_at flights.carrier flights.delay
-- > event_time: value flights.event_time
-- > event_time: join carriers.available_at carriers.code carriers.rating flights.available_at flights.carrier flights.delay
-- > n: join carriers.available_at carriers.code carriers.rating flights.available_at flights.carrier flights.delay
-- > origin: value flights.origin
-- > origin: join carriers.available_at carriers.code carriers.rating flights.available_at flights.carrier flights.delay
-- > uses carriers(available_at, code, rating)
-- > uses flights(available_at, carrier, delay, event_time, origin)

-- == JOIN USING
-- inputs
SELECT origin, f.event_time, greatest(f.available_at, c.available_at) AS available_at, f.delay, c.rating
FROM (SELECT origin, event_time, available_at, delay, carrier AS code FROM flights) f JOIN carriers c USING (code)
-- > accepted
-- > available_at: value carriers.available_at flights.available_at
-- > available_at: join carriers.code flights.carrier
-- > delay: value flights.delay
-- > delay: join carriers.code flights.carrier
-- > event_time: value flights.event_time
-- > event_time: join carriers.code flights.carrier
-- > origin: value flights.origin
-- > origin: join carriers.code flights.carrier
-- > rating: value carriers.rating
-- > rating: join carriers.code flights.carrier
-- > uses carriers(available_at, code, rating)
-- > uses flights(available_at, carrier, delay, event_time, origin)

-- == a natural join
-- inputs
SELECT f.origin, f.event_time, greatest(f.available_at, c.known) AS available_at, c.rating
FROM (SELECT origin, event_time, available_at, carrier AS code FROM flights) f NATURAL JOIN (SELECT code, rating, available_at AS known FROM carriers) c
-- > accepted
-- > available_at: value carriers.available_at flights.available_at
-- > available_at: join carriers.code flights.carrier
-- > event_time: value flights.event_time
-- > event_time: join carriers.code flights.carrier
-- > origin: value flights.origin
-- > origin: join carriers.code flights.carrier
-- > rating: value carriers.rating
-- > rating: join carriers.code flights.carrier
-- > uses carriers(available_at, code, rating)
-- > uses flights(available_at, carrier, event_time, origin)

-- == a left join
-- inputs
SELECT f.origin, f.event_time, f.available_at, coalesce(c.rating, 0) AS rating FROM flights f LEFT JOIN carriers c ON c.code = f.carrier AND c.available_at <= f.available_at
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > event_time: value flights.event_time
-- > event_time: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > origin: value flights.origin
-- > origin: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > rating: value carriers.rating
-- > rating: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > uses carriers(available_at, code, rating)
-- > uses flights(available_at, carrier, event_time, origin)

-- == a right join
-- inputs
SELECT f.origin, f.event_time, f.available_at, c.rating FROM carriers c RIGHT JOIN flights f ON c.code = f.carrier AND c.available_at <= f.available_at
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > event_time: value flights.event_time
-- > event_time: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > origin: value flights.origin
-- > origin: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > rating: value carriers.rating
-- > rating: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > uses carriers(available_at, code, rating)
-- > uses flights(available_at, carrier, event_time, origin)

-- == a full join with a merged column
-- inputs
SELECT coalesce(f.origin, w.station) AS origin, coalesce(f.event_time, w.event_time) AS event_time,
  greatest(f.available_at, w.available_at) AS available_at, f.delay, w.wind
FROM flights f FULL JOIN weather w ON w.station = f.origin AND w.event_time = f.event_time
-- > accepted
-- > available_at: value flights.available_at weather.available_at
-- > available_at: join flights.event_time flights.origin weather.event_time weather.station
-- > delay: value flights.delay
-- > delay: join flights.event_time flights.origin weather.event_time weather.station
-- > event_time: value flights.event_time weather.event_time
-- > event_time: join flights.event_time flights.origin weather.event_time weather.station
-- > origin: value flights.origin weather.station
-- > origin: join flights.event_time flights.origin weather.event_time weather.station
-- > wind: value weather.wind
-- > wind: join flights.event_time flights.origin weather.event_time weather.station
-- > uses flights(available_at, delay, event_time, origin)
-- > uses weather(available_at, event_time, station, wind)

-- == a full join with USING
-- inputs
SELECT origin, event_time, greatest(f.available_at, w.available_at) AS available_at, f.delay, w.wind
FROM flights f FULL JOIN (SELECT station AS origin, event_time, available_at, wind FROM weather) w USING (origin, event_time)
-- > accepted
-- > available_at: value flights.available_at weather.available_at
-- > available_at: join flights.event_time flights.origin weather.event_time weather.station
-- > delay: value flights.delay
-- > delay: join flights.event_time flights.origin weather.event_time weather.station
-- > event_time: value flights.event_time weather.event_time
-- > event_time: join flights.event_time flights.origin weather.event_time weather.station
-- > origin: value flights.origin weather.station
-- > origin: join flights.event_time flights.origin weather.event_time weather.station
-- > wind: value weather.wind
-- > wind: join flights.event_time flights.origin weather.event_time weather.station
-- > uses flights(available_at, delay, event_time, origin)
-- > uses weather(available_at, event_time, station, wind)

-- == three relations
-- inputs
SELECT f.origin, f.event_time, greatest(f.available_at, c.available_at, w.available_at) AS available_at, f.delay + w.wind AS n, c.label
FROM flights f JOIN carriers c ON c.code = f.carrier JOIN weather w ON w.station = f.origin AND w.event_time = f.event_time
-- > accepted
-- > available_at: value carriers.available_at flights.available_at weather.available_at
-- > available_at: join carriers.code flights.carrier flights.event_time flights.origin weather.event_time weather.station
-- > event_time: value flights.event_time
-- > event_time: join carriers.code flights.carrier flights.event_time flights.origin weather.event_time weather.station
-- > label: value carriers.label
-- > label: join carriers.code flights.carrier flights.event_time flights.origin weather.event_time weather.station
-- > n: value flights.delay weather.wind
-- > n: join carriers.code flights.carrier flights.event_time flights.origin weather.event_time weather.station
-- > origin: value flights.origin
-- > origin: join carriers.code flights.carrier flights.event_time flights.origin weather.event_time weather.station
-- > uses carriers(available_at, code, label)
-- > uses flights(available_at, carrier, delay, event_time, origin)
-- > uses weather(available_at, event_time, station, wind)

-- == a relation joined with itself
-- inputs
SELECT a.origin, a.event_time, greatest(a.available_at, b.available_at) AS available_at, a.delay - b.delay AS n
FROM flights a JOIN flights b ON b.id = a.id
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: join flights.id
-- > event_time: value flights.event_time
-- > event_time: join flights.id
-- > n: value flights.delay
-- > n: join flights.id
-- > origin: value flights.origin
-- > origin: join flights.id
-- > uses flights(available_at, delay, event_time, id, origin)

-- == a window
-- inputs
SELECT origin, event_time, max(available_at) OVER w AS available_at, sum(delay) OVER w AS n FROM flights
WINDOW w AS (PARTITION BY carrier ORDER BY event_time, id)
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.carrier
-- > available_at: order flights.event_time flights.id
-- > event_time: value flights.event_time
-- > n: value flights.delay
-- > n: group flights.carrier
-- > n: order flights.event_time flights.id
-- > origin: value flights.origin
-- > uses flights(available_at, carrier, delay, event_time, id, origin)

-- == a named window, and one that begins with it
-- inputs
SELECT origin, event_time, max(available_at) OVER w AS available_at, lag(delay) OVER w AS before, count(*) FILTER (WHERE delay > 3) OVER (w ROWS 3 PRECEDING) AS n
FROM flights WINDOW w AS (PARTITION BY origin ORDER BY event_time, id)
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.origin
-- > available_at: order flights.event_time flights.id
-- > before: value flights.delay
-- > before: group flights.origin
-- > before: order flights.event_time flights.id
-- > event_time: value flights.event_time
-- > n: filter flights.delay
-- > n: group flights.origin
-- > n: order flights.event_time flights.id
-- > origin: value flights.origin
-- > uses flights(available_at, delay, event_time, id, origin)

-- == the newest by row_number
-- inputs
SELECT origin, event_time, available_at, delay
FROM (SELECT *, row_number() OVER (PARTITION BY origin, event_time ORDER BY available_at, id) AS place FROM flights) x WHERE place = 1
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.event_time flights.origin
-- > available_at: order flights.available_at flights.id
-- > delay: value flights.delay
-- > delay: group flights.event_time flights.origin
-- > delay: order flights.available_at flights.id
-- > event_time: value flights.event_time
-- > event_time: group flights.event_time flights.origin
-- > event_time: order flights.available_at flights.id
-- > origin: value flights.origin
-- > origin: group flights.event_time flights.origin
-- > origin: order flights.available_at flights.id
-- > uses flights(available_at, delay, event_time, id, origin)

-- == UNION ALL
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
-- inputs
SELECT origin, event_time, available_at, delay AS n FROM flights
UNION
SELECT station, event_time, available_at, wind FROM weather
-- > accepted
-- > available_at: value flights.available_at weather.available_at
-- > available_at: group flights.available_at flights.delay flights.event_time flights.origin weather.available_at weather.event_time weather.station weather.wind
-- > event_time: value flights.event_time weather.event_time
-- > event_time: group flights.available_at flights.delay flights.event_time flights.origin weather.available_at weather.event_time weather.station weather.wind
-- > n: value flights.delay weather.wind
-- > n: group flights.available_at flights.delay flights.event_time flights.origin weather.available_at weather.event_time weather.station weather.wind
-- > origin: value flights.origin weather.station
-- > origin: group flights.available_at flights.delay flights.event_time flights.origin weather.available_at weather.event_time weather.station weather.wind
-- > uses flights(available_at, delay, event_time, origin)
-- > uses weather(available_at, event_time, station, wind)

-- == INTERSECT
-- inputs
SELECT origin, event_time, available_at FROM flights
INTERSECT
SELECT station, event_time, available_at FROM weather
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: filter flights.available_at flights.event_time flights.origin weather.available_at weather.event_time weather.station
-- > available_at: group flights.available_at flights.event_time flights.origin
-- > event_time: value flights.event_time
-- > event_time: filter flights.available_at flights.event_time flights.origin weather.available_at weather.event_time weather.station
-- > event_time: group flights.available_at flights.event_time flights.origin
-- > origin: value flights.origin
-- > origin: filter flights.available_at flights.event_time flights.origin weather.available_at weather.event_time weather.station
-- > origin: group flights.available_at flights.event_time flights.origin
-- > uses flights(available_at, event_time, origin)
-- > uses weather(available_at, event_time, station)

-- == EXCEPT
-- inputs
SELECT origin, event_time, available_at FROM flights
EXCEPT
SELECT station, event_time, available_at FROM weather
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: filter flights.available_at flights.event_time flights.origin weather.available_at weather.event_time weather.station
-- > available_at: group flights.available_at flights.event_time flights.origin
-- > event_time: value flights.event_time
-- > event_time: filter flights.available_at flights.event_time flights.origin weather.available_at weather.event_time weather.station
-- > event_time: group flights.available_at flights.event_time flights.origin
-- > origin: value flights.origin
-- > origin: filter flights.available_at flights.event_time flights.origin weather.available_at weather.event_time weather.station
-- > origin: group flights.available_at flights.event_time flights.origin
-- > uses flights(available_at, event_time, origin)
-- > uses weather(available_at, event_time, station)

-- == GROUP BY with FILTER and DISTINCT
-- inputs
-- grain 1h
SELECT origin, date_trunc('hour', event_time) + interval '1 hour' AS event_time, max(available_at) AS available_at,
  count(DISTINCT carrier) AS carriers, sum(delay) FILTER (WHERE price > 5) AS n
FROM flights GROUP BY 1, 2
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.event_time flights.origin
-- > carriers: value flights.carrier
-- > carriers: group flights.event_time flights.origin
-- > event_time: value flights.event_time
-- > event_time: group flights.event_time flights.origin
-- > n: value flights.delay
-- > n: filter flights.price
-- > n: group flights.event_time flights.origin
-- > origin: value flights.origin
-- > origin: group flights.event_time flights.origin
-- > uses flights(available_at, carrier, delay, event_time, origin, price)

-- == HAVING
-- inputs
-- grain 1h
SELECT origin, date_trunc('hour', event_time) + interval '1 hour' AS event_time, max(available_at) AS available_at, min(delay) AS n
FROM flights GROUP BY 1, 2 HAVING count(cost) > 1
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: filter flights.cost
-- > available_at: group flights.event_time flights.origin
-- > event_time: value flights.event_time
-- > event_time: filter flights.cost
-- > event_time: group flights.event_time flights.origin
-- > n: value flights.delay
-- > n: filter flights.cost
-- > n: group flights.event_time flights.origin
-- > origin: value flights.origin
-- > origin: filter flights.cost
-- > origin: group flights.event_time flights.origin
-- > uses flights(available_at, cost, delay, event_time, origin)

-- == grouping sets
-- inputs
-- grain 1h
SELECT coalesce(origin, '') AS origin, date_trunc('hour', event_time) + interval '1 hour' AS event_time, max(available_at) AS available_at, count(*) AS n
FROM flights GROUP BY date_trunc('hour', event_time), GROUPING SETS ((origin), ())
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.event_time flights.origin
-- > event_time: value flights.event_time
-- > event_time: group flights.event_time flights.origin
-- > n: group flights.event_time flights.origin
-- > origin: value flights.origin
-- > origin: group flights.event_time flights.origin
-- > uses flights(available_at, event_time, origin)

-- == an ordered aggregate
-- inputs
-- grain 1h
SELECT origin, date_trunc('hour', event_time) + interval '1 hour' AS event_time, max(available_at) AS available_at,
  (array_agg(delay ORDER BY event_time, id))[1] AS first, string_agg(carrier, ',' ORDER BY carrier, id) AS carriers
FROM flights GROUP BY 1, 2
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.event_time flights.origin
-- > carriers: value flights.carrier
-- > carriers: group flights.event_time flights.origin
-- > carriers: order flights.id
-- > event_time: value flights.event_time
-- > event_time: group flights.event_time flights.origin
-- > first: value flights.delay
-- > first: group flights.event_time flights.origin
-- > first: order flights.event_time flights.id
-- > origin: value flights.origin
-- > origin: group flights.event_time flights.origin
-- > uses flights(available_at, carrier, delay, event_time, id, origin)

-- == an ordered-set aggregate
-- inputs
-- grain 1h
SELECT origin, date_trunc('hour', event_time) + interval '1 hour' AS event_time, max(available_at) AS available_at,
  percentile_disc(0.5) WITHIN GROUP (ORDER BY delay) AS median
FROM flights GROUP BY 1, 2
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.event_time flights.origin
-- > event_time: value flights.event_time
-- > event_time: group flights.event_time flights.origin
-- > median: value flights.delay
-- > median: group flights.event_time flights.origin
-- > origin: value flights.origin
-- > origin: group flights.event_time flights.origin
-- > uses flights(available_at, delay, event_time, origin)

-- == DISTINCT
-- inputs
SELECT DISTINCT origin, event_time, available_at, delay FROM flights
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.available_at flights.delay flights.event_time flights.origin
-- > delay: value flights.delay
-- > delay: group flights.available_at flights.delay flights.event_time flights.origin
-- > event_time: value flights.event_time
-- > event_time: group flights.available_at flights.delay flights.event_time flights.origin
-- > origin: value flights.origin
-- > origin: group flights.available_at flights.delay flights.event_time flights.origin
-- > uses flights(available_at, delay, event_time, origin)

-- == DISTINCT ON
-- inputs
SELECT DISTINCT ON (origin, event_time) origin, event_time, available_at, delay FROM flights ORDER BY origin, event_time, available_at DESC, id
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.event_time flights.origin
-- > available_at: order flights.available_at flights.event_time flights.id flights.origin
-- > delay: value flights.delay
-- > delay: group flights.event_time flights.origin
-- > delay: order flights.available_at flights.event_time flights.id flights.origin
-- > event_time: value flights.event_time
-- > event_time: group flights.event_time flights.origin
-- > event_time: order flights.available_at flights.event_time flights.id flights.origin
-- > origin: value flights.origin
-- > origin: group flights.event_time flights.origin
-- > origin: order flights.available_at flights.event_time flights.id flights.origin
-- > uses flights(available_at, delay, event_time, id, origin)

-- == ORDER BY and LIMIT
-- inputs
SELECT origin, event_time, available_at, delay FROM flights ORDER BY cost, id LIMIT 5
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: order flights.cost flights.id
-- > delay: value flights.delay
-- > delay: order flights.cost flights.id
-- > event_time: value flights.event_time
-- > event_time: order flights.cost flights.id
-- > origin: value flights.origin
-- > origin: order flights.cost flights.id
-- > uses flights(available_at, cost, delay, event_time, id, origin)

-- == VALUES
-- inputs
SELECT f.origin, f.event_time, f.available_at, v.weight * f.delay AS n FROM flights f JOIN (VALUES ('a', 1), ('b', 2)) AS v (carrier, weight) ON v.carrier = f.carrier
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

-- == VALUES of columns
-- inputs
SELECT f.origin, f.event_time, f.available_at, v.n FROM flights f CROSS JOIN LATERAL (VALUES (f.delay), (f.id)) AS v (n)
-- > accepted
-- > available_at: value flights.available_at
-- > event_time: value flights.event_time
-- > n: value flights.delay flights.id
-- > origin: value flights.origin
-- > uses flights(available_at, delay, event_time, id, origin)

-- == generate_series
-- inputs
SELECT f.origin, f.event_time, f.available_at, g.n FROM flights f CROSS JOIN LATERAL generate_series(0, f.delay) AS g (n)
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: filter flights.delay
-- > event_time: value flights.event_time
-- > event_time: filter flights.delay
-- > n: value flights.delay
-- > n: filter flights.delay
-- > origin: value flights.origin
-- > origin: filter flights.delay
-- > uses flights(available_at, delay, event_time, origin)

-- == unnest of several arrays
-- inputs
SELECT f.origin, f.event_time, f.available_at, u.a, u.b FROM flights f CROSS JOIN LATERAL unnest(ARRAY[f.delay, f.id], ARRAY[f.carrier]) AS u (a, b)
-- > accepted
-- > a: value flights.carrier flights.delay flights.id
-- > a: filter flights.carrier flights.delay flights.id
-- > available_at: value flights.available_at
-- > available_at: filter flights.carrier flights.delay flights.id
-- > b: value flights.carrier flights.delay flights.id
-- > b: filter flights.carrier flights.delay flights.id
-- > event_time: value flights.event_time
-- > event_time: filter flights.carrier flights.delay flights.id
-- > origin: value flights.origin
-- > origin: filter flights.carrier flights.delay flights.id
-- > uses flights(available_at, carrier, delay, event_time, id, origin)

-- == casts, CASE, COALESCE, NULLIF and GREATEST
-- inputs
SELECT origin, event_time, available_at, delay::text || ' min' AS text, CASE carrier WHEN 'a' THEN delay WHEN destination THEN id END AS n,
  coalesce(cost, 0) AS cost, nullif(delay, id) AS not_id, greatest(delay, id) AS most
FROM flights
-- > accepted
-- > available_at: value flights.available_at
-- > cost: value flights.cost
-- > event_time: value flights.event_time
-- > most: value flights.delay flights.id
-- > n: value flights.carrier flights.delay flights.destination flights.id
-- > not_id: value flights.delay flights.id
-- > origin: value flights.origin
-- > text: value flights.delay
-- > uses flights(available_at, carrier, cost, delay, destination, event_time, id, origin)

-- == a row constructor
-- inputs
SELECT origin, event_time, available_at, (delay, id) < (1, 2) AS less, ROW(carrier, origin) IS NOT NULL AS there FROM flights
-- > accepted
-- > available_at: value flights.available_at
-- > event_time: value flights.event_time
-- > less: value flights.delay flights.id
-- > origin: value flights.origin
-- > there: value flights.carrier flights.origin
-- > uses flights(available_at, carrier, delay, event_time, id, origin)

-- == an array and an element of one
-- inputs
SELECT origin, event_time, available_at, (ARRAY[delay, id])[1] AS n FROM flights
-- > accepted
-- > available_at: value flights.available_at
-- > event_time: value flights.event_time
-- > n: value flights.delay flights.id
-- > origin: value flights.origin
-- > uses flights(available_at, delay, event_time, id, origin)

-- == an array of a subquery
-- inputs
SELECT f.origin, f.event_time, f.available_at, array_length(ARRAY(SELECT c.rating FROM carriers c WHERE c.code = f.carrier AND c.available_at <= f.available_at ORDER BY c.rating, c.code), 1)::bigint AS n FROM flights f
-- > accepted
-- > available_at: value flights.available_at
-- > event_time: value flights.event_time
-- > n: value carriers.rating
-- > n: join carriers.available_at carriers.code flights.available_at flights.carrier
-- > n: order carriers.code carriers.rating
-- > origin: value flights.origin
-- > uses carriers(available_at, code, rating)
-- > uses flights(available_at, carrier, event_time, origin)

-- == jsonb
-- inputs
SELECT origin, event_time, available_at, payload::jsonb -> 'tags' ->> 0 AS tag, (payload::jsonb #>> '{a}')::numeric AS a,
  jsonb_build_object('n', delay, 'c', carrier) ->> 'n' AS n
FROM flights
-- > accepted
-- > a: value flights.payload
-- > available_at: value flights.available_at
-- > event_time: value flights.event_time
-- > n: value flights.carrier flights.delay
-- > origin: value flights.origin
-- > tag: value flights.payload
-- > uses flights(available_at, carrier, delay, event_time, origin, payload)

-- == jsonb as rows
-- inputs
SELECT f.origin, f.event_time, f.available_at, r.a, r.name
FROM flights f CROSS JOIN LATERAL jsonb_to_record(f.payload::jsonb) AS r (a numeric, name text)
-- > accepted
-- > a: value flights.payload
-- > a: filter flights.payload
-- > available_at: value flights.available_at
-- > available_at: filter flights.payload
-- > event_time: value flights.event_time
-- > event_time: filter flights.payload
-- > name: value flights.payload
-- > name: filter flights.payload
-- > origin: value flights.origin
-- > origin: filter flights.payload
-- > uses flights(available_at, event_time, origin, payload)

-- == keys of jsonb
-- inputs
SELECT f.origin, f.event_time, f.available_at, e.key, e.value #>> '{}' AS value
FROM flights f CROSS JOIN LATERAL jsonb_each(f.payload::jsonb) AS e (key, value)
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: filter flights.payload
-- > event_time: value flights.event_time
-- > event_time: filter flights.payload
-- > key: value flights.payload
-- > key: filter flights.payload
-- > origin: value flights.origin
-- > origin: filter flights.payload
-- > value: value flights.payload
-- > value: filter flights.payload
-- > uses flights(available_at, event_time, origin, payload)

-- == XMLTABLE
-- inputs
SELECT f.origin, f.event_time, f.available_at, x.n
FROM flights f CROSS JOIN LATERAL XMLTABLE('/a' PASSING xmlparse(DOCUMENT '<a>1</a>') COLUMNS n integer PATH '.') AS x
-- > accepted
-- > available_at: value flights.available_at
-- > event_time: value flights.event_time
-- > origin: value flights.origin
-- > uses flights(available_at, event_time, origin)

-- == IS DISTINCT FROM, BETWEEN and LIKE
-- inputs
SELECT origin, event_time, available_at, delay IS DISTINCT FROM id AS other, delay BETWEEN 1 AND id AS between_them, carrier LIKE destination || '%' AS alike FROM flights
-- > accepted
-- > alike: value flights.carrier flights.destination
-- > available_at: value flights.available_at
-- > between_them: value flights.delay flights.id
-- > event_time: value flights.event_time
-- > origin: value flights.origin
-- > other: value flights.delay flights.id
-- > uses flights(available_at, carrier, delay, destination, event_time, id, origin)

-- == a constant, and a column of none
-- inputs
SELECT origin, event_time, available_at, 1 AS one, NULL::bigint AS none FROM flights
-- > accepted
-- > available_at: value flights.available_at
-- > event_time: value flights.event_time
-- > origin: value flights.origin
-- > uses flights(available_at, event_time, origin)

-- == AT TIME ZONE and parts of a time
-- inputs
SELECT origin, event_time, available_at, extract(hour FROM date AT TIME ZONE 'Europe/Berlin')::bigint AS hour, date_trunc('day', date) AS day FROM flights
-- > accepted
-- > available_at: value flights.available_at
-- > day: value flights.date
-- > event_time: value flights.event_time
-- > hour: value flights.date
-- > origin: value flights.origin
-- > uses flights(available_at, date, event_time, origin)

-- == a bool of two conditions
-- inputs
SELECT origin, event_time, available_at, (delay > 1 AND NOT carrier = 'a') OR cost IS NULL AS odd FROM flights
-- > accepted
-- > available_at: value flights.available_at
-- > event_time: value flights.event_time
-- > odd: value flights.carrier flights.cost flights.delay
-- > origin: value flights.origin
-- > uses flights(available_at, carrier, cost, delay, event_time, origin)

-- == a correlated subquery two levels deep
-- inputs
SELECT f.origin, f.event_time, f.available_at,
  (SELECT max(c.rating) FROM carriers c WHERE c.rating < (SELECT count(*) FROM weather w WHERE w.station = f.origin AND w.wind > c.rating)) AS n
FROM flights f
-- > refused
-- > 1:32 found an available_at that may be before that of the rows that a subquery looks at, expected one that is before that of no row that counts; write greatest(available_at, (SELECT max(available_at) FROM … of the same rows)), or let the subquery read only rows with available_at <= that of the row around it (rule available-at)
