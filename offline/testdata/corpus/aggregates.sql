-- == array_agg in no order
SELECT origin, date AS event_time, max(available_at) AS available_at,
  array_agg(delay) AS n FROM flights GROUP BY 1, 2
-- > refused
-- > 2:3 found array_agg of rows in no order, expected an order that is total for what it takes; write array_agg(delay ORDER BY delay), or order by the columns of a unique key; an ORDER BY of a subquery is not kept (rule aggregate-order)

-- == array_agg by value
SELECT origin, date AS event_time, max(available_at) AS available_at, array_agg(delay ORDER BY delay) AS n FROM flights GROUP BY 1, 2
-- > accepted

-- == array_agg by a unique key
-- inputs
SELECT origin, date AS event_time, max(available_at) AS available_at, array_agg(delay ORDER BY id) AS n FROM flights GROUP BY 1, 2
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.date flights.origin
-- > event_time: value flights.date
-- > event_time: group flights.date flights.origin
-- > n: value flights.delay
-- > n: group flights.date flights.origin
-- > n: order flights.id
-- > origin: value flights.origin
-- > origin: group flights.date flights.origin
-- > uses flights(available_at, date, delay, id, origin)

-- == array_agg by what leaves ties
SELECT kind, at AS event_time, max(available_at) AS available_at,
  array_agg(amount ORDER BY person) AS n FROM events GROUP BY 1, 2
-- > refused
-- > 2:3 found array_agg in an order that leaves ties between different values, expected an order that is total for what it takes; add the columns of a unique key, or the value itself, to its ORDER BY (rule aggregate-order)

-- == array_agg by ties of the same value
SELECT kind, at AS event_time, max(available_at) AS available_at, array_agg(amount * 2 ORDER BY person, amount) AS n FROM events GROUP BY 1, 2
-- > accepted

-- == array_agg over an ordered subquery
SELECT origin, event_time, max(available_at) AS available_at, array_agg(delay) AS n
FROM (SELECT * FROM flights ORDER BY id) f GROUP BY 1, 2
-- > refused
-- > 1:63 found array_agg of rows in no order, expected an order that is total for what it takes; write array_agg(delay ORDER BY delay), or order by the columns of a unique key; an ORDER BY of a subquery is not kept (rule aggregate-order)

-- == string_agg in no order
SELECT origin, date AS event_time, max(available_at) AS available_at, string_agg(carrier, ',') AS n FROM flights GROUP BY 1, 2
-- > refused
-- > 1:71 found string_agg of rows in no order, expected an order that is total for what it takes; write string_agg(x, ',' ORDER BY x), or order by the columns of a unique key; an ORDER BY of a subquery is not kept (rule aggregate-order)

-- == string_agg by value
SELECT origin, date AS event_time, max(available_at) AS available_at, string_agg(carrier, ',' ORDER BY carrier DESC) AS n FROM flights GROUP BY 1, 2
-- > accepted

-- == string_agg DISTINCT
SELECT origin, date AS event_time, max(available_at) AS available_at, string_agg(DISTINCT carrier, ',') AS n FROM flights GROUP BY 1, 2
-- > accepted

-- == array_agg DISTINCT
SELECT origin, date AS event_time, max(available_at) AS available_at, array_agg(DISTINCT carrier) AS n FROM flights GROUP BY 1, 2
-- > accepted

-- == json_agg in no order
SELECT origin, date AS event_time, max(available_at) AS available_at, json_agg(delay)::text AS n FROM flights GROUP BY 1, 2
-- > refused
-- > 1:71 found json_agg of rows in no order, expected an order that is total for what it takes; write json_agg(delay ORDER BY delay), or order by the columns of a unique key; an ORDER BY of a subquery is not kept (rule aggregate-order)

-- == jsonb_agg of objects by the key
SELECT origin, date AS event_time, max(available_at) AS available_at,
  jsonb_agg(jsonb_build_object('id', id, 'delay', delay) ORDER BY id)::text AS n FROM flights GROUP BY 1, 2
-- > accepted

-- == jsonb_agg of whole rows in no order
SELECT origin, date AS event_time, max(available_at) AS available_at, jsonb_agg(f)::text AS n FROM flights f GROUP BY 1, 2
-- > refused
-- > 1:71 found jsonb_agg of rows in no order, expected an order that is total for what it takes; write jsonb_agg(f ORDER BY f), or order by the columns of a unique key; an ORDER BY of a subquery is not kept (rule aggregate-order)

-- == json_object_agg in no order
SELECT origin, date AS event_time, max(available_at) AS available_at, json_object_agg(id, delay)::text AS n FROM flights GROUP BY 1, 2
-- > refused
-- > 1:71 found json_object_agg of rows in no order, expected an order that is total for what it takes; write an ORDER BY inside of its parentheses, by the columns of a unique key; an ORDER BY of a subquery is not kept (rule aggregate-order)

-- == jsonb_object_agg by a unique key
SELECT origin, date AS event_time, max(available_at) AS available_at, jsonb_object_agg(id, delay)::text AS n FROM flights GROUP BY 1, 2
-- > accepted

-- == jsonb_object_agg whose keys may repeat
SELECT origin, date AS event_time, max(available_at) AS available_at,
  jsonb_object_agg(destination, delay)::text AS n FROM flights WHERE destination IS NOT NULL GROUP BY 1, 2
-- > refused
-- > 2:3 found jsonb_object_agg of keys that may repeat, of which the last stays, expected an order that is total for what it takes; write jsonb_object_agg(key, value ORDER BY …) by the columns of a unique key (rule aggregate-order)

-- == xmlagg in no order
SELECT origin, date AS event_time, max(available_at) AS available_at, xmlagg(xmlelement(name d, delay))::text AS n FROM flights GROUP BY 1, 2
-- > refused
-- > 1:71 found xmlagg of rows in no order, expected an order that is total for what it takes; write an ORDER BY inside of its parentheses, by the columns of a unique key; an ORDER BY of a subquery is not kept (rule aggregate-order)

-- == one row in each group
SELECT id, date AS event_time, available_at, array_agg(delay) AS n FROM flights GROUP BY id, date, available_at
-- > accepted

-- == sum of floats
SELECT origin, date AS event_time, max(available_at) AS available_at, sum(cost) AS n FROM flights GROUP BY 1, 2
-- > refused
-- > 1:71 found sum of floating-point numbers, whose result depends on the order of rows, expected an exact sum, or a total order; write sum(cost::numeric)::float8, or sum(cost ORDER BY cost) (rule float-order)

-- == avg of floats in a WITH
WITH m AS (
  SELECT origin, date, max(available_at) AS known,
    avg(cost) AS n
  FROM flights GROUP BY 1, 2)
SELECT origin, date AS event_time, known AS available_at, n FROM m
-- > refused
-- > 3:5 found avg of floating-point numbers, whose result depends on the order of rows, expected an exact sum, or a total order; write avg(cost::numeric)::float8, or avg(cost ORDER BY cost) (rule float-order)

-- == sum of floats, exactly
SELECT origin, date AS event_time, max(available_at) AS available_at, sum(cost::numeric)::float8 AS n FROM flights GROUP BY 1, 2
-- > accepted

-- == sum of floats by value
SELECT origin, date AS event_time, max(available_at) AS available_at, sum(cost ORDER BY cost) AS n, avg(cost ORDER BY id) AS m FROM flights GROUP BY 1, 2
-- > accepted

-- == sum of distinct floats
SELECT origin, date AS event_time, max(available_at) AS available_at, sum(DISTINCT cost) AS n FROM flights GROUP BY 1, 2
-- > accepted

-- == stddev and corr of floats
SELECT origin, date AS event_time, max(available_at) AS available_at, stddev(cost) AS s,
  corr(cost, delay) AS c, regr_slope(delay, id) AS r, regr_count(cost, delay) AS n FROM flights GROUP BY 1, 2
-- > refused
-- > 1:71 found stddev of floating-point numbers, whose result depends on the order of rows, expected an exact sum, or a total order; write stddev(cost::numeric)::float8, or stddev(cost ORDER BY cost) (rule float-order)
-- > 2:3 found corr of floating-point numbers, whose result depends on the order of rows, expected an exact sum, or a total order; write corr(x, y ORDER BY x, y) (rule float-order)
-- > 2:27 found regr_slope of floating-point numbers, whose result depends on the order of rows, expected an exact sum, or a total order; write regr_slope(x, y ORDER BY x, y) (rule float-order)

-- == stddev of integers
SELECT origin, date AS event_time, max(available_at) AS available_at, stddev(delay)::float8 AS s, variance(price)::float8 AS v FROM flights GROUP BY 1, 2
-- > accepted

-- == aggregates that no order changes
SELECT origin, date AS event_time, max(available_at) AS available_at, count(*) AS a, count(DISTINCT carrier) AS b, min(cost) AS c, max(carrier) AS d,
  bool_or(delay > 1) AS e, every(delay > 1) AS f, bit_and(delay) AS g, sum(price) AS h, avg(delay) AS i, min(price) AS j,
  range_agg(int8range(id, id + 2))::text AS k
FROM flights GROUP BY 1, 2
-- > accepted

-- == percentiles and mode
SELECT origin, date AS event_time, max(available_at) AS available_at, percentile_cont(0.5) WITHIN GROUP (ORDER BY cost) AS a,
  percentile_disc(0.9) WITHIN GROUP (ORDER BY delay) AS b, mode() WITHIN GROUP (ORDER BY carrier) AS c,
  percentile_cont(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY delay) AS d, rank(3) WITHIN GROUP (ORDER BY delay) AS e
FROM flights GROUP BY 1, 2
-- > accepted

-- == the last value by an aggregate
-- inputs
SELECT origin, date AS event_time, max(available_at) AS available_at, (array_agg(delay ORDER BY date DESC, id DESC))[1] AS n FROM flights GROUP BY 1, 2
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.date flights.origin
-- > event_time: value flights.date
-- > event_time: group flights.date flights.origin
-- > n: value flights.delay
-- > n: group flights.date flights.origin
-- > n: order flights.date flights.id
-- > origin: value flights.origin
-- > origin: group flights.date flights.origin
-- > uses flights(available_at, date, delay, id, origin)

-- == the last value by an aggregate, with ties
-- grain 24h
SELECT person, date_trunc('day', at) + interval '1 day' AS event_time, max(available_at) AS available_at,
  (array_agg(amount ORDER BY at DESC))[1] AS n FROM events GROUP BY 1, 2
-- > refused
-- > 2:4 found array_agg in an order that leaves ties between different values, expected an order that is total for what it takes; add the columns of a unique key, or the value itself, to its ORDER BY (rule aggregate-order)

-- == a sum of intervals
SELECT origin, date AS event_time, max(available_at) AS available_at, sum(available_at - date) AS n, avg(available_at - date) AS m FROM flights GROUP BY 1, 2
-- > accepted

-- == an aggregate of an aggregate
SELECT origin, max(event_time) AS event_time, max(known) AS available_at, sum(n) AS n, array_agg(n ORDER BY event_time) AS days
FROM (SELECT origin, date_trunc('day', event_time) + interval '1 day' AS event_time, max(available_at) AS known, count(*) AS n
  FROM flights GROUP BY 1, 2) d GROUP BY 1
-- > accepted

-- == floats of several places are all told
SELECT origin, date AS event_time, max(available_at) AS available_at,
  sum(cost) AS a,
  array_agg(carrier) AS b FROM flights GROUP BY 1, 2
-- > refused
-- > 2:3 found sum of floating-point numbers, whose result depends on the order of rows, expected an exact sum, or a total order; write sum(cost::numeric)::float8, or sum(cost ORDER BY cost) (rule float-order)
-- > 3:3 found array_agg of rows in no order, expected an order that is total for what it takes; write array_agg(carrier ORDER BY carrier), or order by the columns of a unique key; an ORDER BY of a subquery is not kept (rule aggregate-order)
