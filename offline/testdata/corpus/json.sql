-- == JSON operators
-- inputs
SELECT origin, event_time, available_at, (payload::jsonb ->> 'a')::numeric AS a, payload::jsonb #>> '{tags,0}' AS b, payload::jsonb ? 'name' AS c,
  jsonb_array_length(payload::jsonb -> 'tags') AS d, payload::jsonb @> '{"a": 1}' AS e, jsonb_typeof(payload::jsonb -> 'a') AS f
FROM flights
-- > accepted
-- > a: value flights.payload
-- > available_at: value flights.available_at
-- > b: value flights.payload
-- > c: value flights.payload
-- > d: value flights.payload
-- > e: value flights.payload
-- > event_time: value flights.event_time
-- > f: value flights.payload
-- > origin: value flights.origin
-- > uses flights(available_at, event_time, origin, payload)

-- == JSON paths
SELECT origin, event_time, available_at, jsonb_path_exists(payload::jsonb, '$.tags[*] ? (@ == "x")') AS a,
  jsonb_path_query_first(payload::jsonb, '$.tags[0]')::text AS b FROM flights
-- > accepted

-- == elements of JSON
-- inputs
SELECT f.origin, f.event_time, f.available_at, t.tag FROM flights f, jsonb_array_elements_text(f.payload::jsonb -> 'tags') AS t(tag)
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: filter flights.payload
-- > event_time: value flights.event_time
-- > event_time: filter flights.payload
-- > origin: value flights.origin
-- > origin: filter flights.payload
-- > tag: value flights.payload
-- > tag: filter flights.payload
-- > uses flights(available_at, event_time, origin, payload)

-- == elements of JSON with their numbers
SELECT f.origin, f.event_time, f.available_at, t.tag, t.i
FROM flights f CROSS JOIN LATERAL jsonb_array_elements_text(f.payload::jsonb -> 'tags') WITH ORDINALITY AS t(tag, i)
-- > accepted

-- == elements joined again by their numbers
SELECT f.origin, f.event_time, f.available_at, string_agg(upper(t.tag), '' ORDER BY t.i) AS n
FROM flights f CROSS JOIN LATERAL jsonb_array_elements_text(f.payload::jsonb -> 'tags') WITH ORDINALITY AS t(tag, i)
GROUP BY f.id, f.origin, f.event_time, f.available_at
-- > accepted

-- == elements joined again in no order
SELECT f.origin, f.event_time, f.available_at, string_agg(t.tag, '') AS n
FROM flights f, jsonb_array_elements_text(f.payload::jsonb -> 'tags') AS t(tag)
GROUP BY f.id, f.origin, f.event_time, f.available_at
-- > refused
-- > 1:48 found string_agg of rows in no order, expected an order that is total for what it takes; write string_agg(x, ',' ORDER BY x), or order by the columns of a unique key; an ORDER BY of a subquery is not kept (rule aggregate-order)

-- == keys and values of JSON
SELECT f.origin, f.event_time, f.available_at, e.key, e.value::text AS value FROM flights f, jsonb_each(f.payload::jsonb) AS e
-- > accepted

-- == JSON built
SELECT origin, event_time, available_at, jsonb_build_object('d', delay, 'o', origin)::text AS a, to_jsonb(delay)::text AS b,
  jsonb_set(payload::jsonb, '{a}', to_jsonb(delay))::text AS c, jsonb_strip_nulls(payload::jsonb)::text AS d FROM flights
-- > accepted

-- == arrays
-- inputs
SELECT origin, event_time, available_at, ARRAY[delay, id] AS a, (ARRAY[origin, carrier])[1] AS b, delay = ANY (ARRAY[1, 2, 3]) AS c,
  cardinality(string_to_array(origin, ' ')) AS d, array_to_string(ARRAY[origin, carrier], '-') AS e, ARRAY[1, 2] || delay AS f,
  array_position(ARRAY['a', 'b'], origin) AS g
FROM flights
-- > accepted
-- > a: value flights.delay flights.id
-- > available_at: value flights.available_at
-- > b: value flights.carrier flights.origin
-- > c: value flights.delay
-- > d: value flights.origin
-- > e: value flights.carrier flights.origin
-- > event_time: value flights.event_time
-- > f: value flights.delay
-- > g: value flights.origin
-- > origin: value flights.origin
-- > uses flights(available_at, carrier, delay, event_time, id, origin)

-- == unnest
-- inputs
SELECT origin, event_time, available_at, unnest(ARRAY[delay, id]) AS n FROM flights
-- > accepted
-- > available_at: value flights.available_at
-- > event_time: value flights.event_time
-- > n: value flights.delay flights.id
-- > origin: value flights.origin
-- > uses flights(available_at, delay, event_time, id, origin)

-- == unnest WITH ORDINALITY
SELECT f.origin, f.event_time, f.available_at, u.x, u.i FROM flights f, unnest(ARRAY[f.delay, f.id]) WITH ORDINALITY AS u(x, i) WHERE u.i < 2
-- > accepted

-- == unnest of several
SELECT f.origin, f.event_time, f.available_at, u.a, u.b FROM flights f, unnest(ARRAY[f.delay, f.id], ARRAY[f.origin]) AS u(a, b)
-- > accepted

-- == row_number over unnest
SELECT f.id, f.event_time, max(f.available_at) OVER (PARTITION BY f.id) AS available_at, row_number() OVER (PARTITION BY f.id) AS n, u.x
FROM flights f, unnest(ARRAY[f.delay, f.id]) AS u(x)
-- > refused
-- > 1:90 found row_number over rows in no order, expected an order that tells all rows of a partition apart; add the columns of a unique key to the ORDER BY of the window (f: id), or write rank() (rule window-order)

-- == words of a text
SELECT f.origin, f.event_time, f.available_at, w.word FROM flights f, regexp_split_to_table(f.payload, '\W+') AS w(word) WHERE w.word <> ''
-- > accepted

-- == regexp_matches
SELECT origin, event_time, available_at, (regexp_match(payload, '"a": (\d+)'))[1] AS n FROM flights
-- > accepted

-- == XMLTABLE
SELECT f.origin, f.event_time, f.available_at, x.n
FROM flights f, XMLTABLE('/r/d' PASSING xmlelement(name r, xmlelement(name d, f.delay)) COLUMNS n text PATH '.') AS x
-- > accepted

-- == several functions in ROWS FROM
SELECT f.origin, f.event_time, f.available_at, r.a, r.b FROM flights f, ROWS FROM (generate_series(1, 2), generate_series(5, 7)) AS r(a, b)
-- > accepted

-- == sums over elements
-- inputs
SELECT f.origin, f.event_time, f.available_at, (SELECT sum(x) FROM unnest(ARRAY[f.delay, f.id]) AS u(x)) AS n FROM flights f
-- > accepted
-- > available_at: value flights.available_at
-- > event_time: value flights.event_time
-- > n: value flights.delay flights.id
-- > n: filter flights.delay flights.id
-- > origin: value flights.origin
-- > uses flights(available_at, delay, event_time, id, origin)

-- == groups of JSON
SELECT min(origin) AS origin, max(event_time) AS event_time, max(available_at) AS available_at,
  payload::jsonb -> 'a' AS a, count(*) AS n FROM flights GROUP BY payload::jsonb -> 'a'
-- > refused
-- > 2:18 found GROUP BY of values of type jsonb, of which equal ones may be written in several ways, expected values that are the same when they are equal; write (…)::text in its place (rule equal-values)

-- == groups of the text of JSON
SELECT min(origin) AS origin, max(event_time) AS event_time, max(available_at) AS available_at,
  payload::jsonb ->> 'a' AS a, count(*) AS n FROM flights GROUP BY 4
-- > accepted

-- == distinct JSON
SELECT DISTINCT origin, event_time, available_at, payload::jsonb AS p FROM flights
-- > refused
-- > 1:58 found DISTINCT of values of type jsonb, of which equal ones may be written in several ways, expected values that are the same when they are equal; write (…)::text in its place (rule equal-values)

-- == a UNION of intervals
SELECT origin, event_time, available_at, available_at - event_time AS i FROM flights
UNION SELECT station, event_time, available_at, interval '1 hour' FROM weather
-- > refused
-- > 1:42 found UNION of values of type interval, of which equal ones may be written in several ways, expected values that are the same when they are equal; write (…)::text in its place (rule equal-values)
