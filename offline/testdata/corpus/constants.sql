-- == now as a constant
SELECT origin, event_time, available_at, delay FROM flights
WHERE event_time < 'now'
-- > refused
-- > 2:20 found the constant 'now', which is another time in each run, expected none; write the time that is meant, or use {{interval.start}} and {{interval.end}} (rule constant)

-- == today as a date
SELECT origin, event_time, available_at, delay FROM flights WHERE event_time::date = DATE 'today'
-- > refused
-- > 1:91 found the constant 'today', which is another time in each run, expected none; write the time that is meant, or use {{interval.start}} and {{interval.end}} (rule constant)

-- == yesterday in an array
SELECT origin, event_time, available_at, delay FROM flights WHERE event_time::date = ANY ('{yesterday, 2024-01-01}'::date[])
-- > refused
-- > 1:91 found the constant '{yesterday, 2024-01-01}', which is another time in each run, expected none; write the time that is meant, or use {{interval.start}} and {{interval.end}} (rule constant)

-- == now in a range
SELECT origin, event_time, available_at, delay FROM flights WHERE event_time <@ '[2020-01-01 00:00Z, now)'::tstzrange
-- > refused
-- > 1:81 found the constant '[2020-01-01 00:00Z, now)', which is another time in each run, expected none; write the time that is meant, or use {{interval.start}} and {{interval.end}} (rule constant)

-- == now as a time of day
SELECT origin, event_time, available_at, delay FROM flights WHERE event_time::time < time 'now'
-- > refused
-- > 1:91 found the constant 'now', which is another time in each run, expected none; write the time that is meant, or use {{interval.start}} and {{interval.end}} (rule constant)

-- == now as a word
SELECT origin, event_time, available_at, delay FROM flights WHERE origin IN ('now', 'today')
-- > accepted

-- == a time without an offset
SELECT origin, event_time, available_at, delay FROM flights
WHERE event_time >= '2020-01-01'
-- > refused
-- > 2:21 found the constant '2020-01-01', which sessions of other settings read as another value, expected one that says all; write its offset: '2024-01-31 08:00+00' (rule constant)

-- == a time with an offset
SELECT origin, event_time, available_at, delay FROM flights WHERE event_time >= '2020-01-01 00:00+00' AND event_time < '2100-01-01T00:00:00Z'
-- > accepted

-- == a date
SELECT origin, event_time, available_at, delay FROM flights WHERE event_time >= date '2020-01-01' AND event_time::date <> '2020-02-03'
-- > accepted

-- == a date in an order that depends on the session
SELECT origin, event_time, available_at, delay FROM flights WHERE event_time::date > '01/02/2020'
-- > refused
-- > 1:86 found the constant '01/02/2020', which sessions of other settings read as another value, expected one that says all; write it as YEAR-MONTH-DAY: '2024-01-31' (rule constant)

-- == a date that only one order of the parts reads
SELECT origin, event_time, available_at, delay FROM flights WHERE event_time::date > '12/31/2020'
-- > refused
-- > 1:86 found the constant '12/31/2020', which sessions of other settings read as another value, expected one that says all; write it as YEAR-MONTH-DAY, and a time with its offset: '2024-01-31 08:00+00' (rule constant)

-- == a timestamp without a zone
SELECT origin, event_time, available_at, delay FROM flights WHERE event_time AT TIME ZONE 'UTC' > timestamp '2020-01-01 10:00'
-- > accepted

-- == infinity and epoch
SELECT origin, event_time, available_at, delay FROM flights WHERE event_time < 'infinity' AND event_time > 'epoch'
-- > accepted

-- == intervals
SELECT origin, event_time, available_at, interval '1 day 2 hours' AS a, interval 'P1DT2H' AS b, make_interval(days => 2) AS c FROM flights
-- > accepted

-- == an interval whose sign depends on the session
SELECT origin, event_time, available_at, interval '-1 2:03' AS n FROM flights
-- > refused
-- > 1:51 found the constant '-1 2:03', which sessions of other settings read as another value, expected one that says all; write a sign before each of its parts: '-1 day -2 hours' (rule constant)

-- == several constants
SELECT origin, event_time, available_at, 'today'::date AS a,
  '2020-01-01'::timestamptz AS b, '2020-01-01'::date AS c FROM flights
-- > refused
-- > 1:42 found the constant 'today', which is another time in each run, expected none; write the time that is meant, or use {{interval.start}} and {{interval.end}} (rule constant)
-- > 2:3 found the constant '2020-01-01', which sessions of other settings read as another value, expected one that says all; write its offset: '2024-01-31 08:00+00' (rule constant)

-- == text becomes a time while it runs
SELECT origin, event_time, available_at, payload::timestamptz AS n FROM flights
-- > refused
-- > 1:49 found a cast of text to timestamp with time zone while it runs, where a row that holds 'now' is the time of the run, expected a form that is told; write to_timestamp(text, 'YYYY-MM-DD HH24:MI:SS') or to_date(text, 'YYYY-MM-DD'), or give the source a column of type timestamp (rule text-to-time)

-- == text becomes a date while it runs
SELECT origin, event_time, available_at,
  (payload::jsonb ->> 'day')::date AS n FROM flights
-- > refused
-- > 2:29 found a cast of text to date while it runs, where a row that holds 'now' is the time of the run, expected a form that is told; write to_timestamp(text, 'YYYY-MM-DD HH24:MI:SS') or to_date(text, 'YYYY-MM-DD'), or give the source a column of type timestamp (rule text-to-time)

-- == text becomes a time in a form that is told
SELECT origin, event_time, available_at, to_timestamp('2020-01-0' || abs(delay) % 9 + 1, 'YYYY-MM-DD') AS n, to_date('2020', 'YYYY') AS d FROM flights
-- > accepted

-- == a constant that becomes a time while it runs
SELECT origin, event_time, available_at, 'now'::text::timestamptz AS n FROM flights
-- > refused
-- > 1:53 found a cast of text to timestamp with time zone while it runs, where a row that holds 'now' is the time of the run, expected a form that is told; write to_timestamp(text, 'YYYY-MM-DD HH24:MI:SS') or to_date(text, 'YYYY-MM-DD'), or give the source a column of type timestamp (rule text-to-time)

-- == a record of JSON with a time
SELECT f.origin, f.event_time, f.available_at, r.a FROM flights f, jsonb_to_record(f.payload::jsonb) AS r(a timestamptz)
-- > refused
-- > 1:68 found a column of type timestamp with time zone while it runs, where a row that holds 'now' is the time of the run, expected a form that is told; write to_timestamp(text, 'YYYY-MM-DD HH24:MI:SS') or to_date(text, 'YYYY-MM-DD'), or give the source a column of type timestamp (rule text-to-time)

-- == a record of JSON
-- inputs
SELECT f.origin, f.event_time, f.available_at, r.a FROM flights f, jsonb_to_record(f.payload::jsonb) AS r(a numeric, name text)
-- > accepted
-- > a: value flights.payload
-- > a: filter flights.payload
-- > available_at: value flights.available_at
-- > available_at: filter flights.payload
-- > event_time: value flights.event_time
-- > event_time: filter flights.payload
-- > origin: value flights.origin
-- > origin: filter flights.payload
-- > uses flights(available_at, event_time, origin, payload)

-- == make_date and make_timestamptz
SELECT origin, event_time, available_at, make_date(2020, 1, 1) AS a, make_timestamptz(2020, 1, 1, 0, 0, 0, 'UTC') AS b FROM flights
-- > accepted

-- == placeholders
-- inputs
SELECT origin, event_time, available_at, event_time - {{interval.start}} AS n FROM flights WHERE event_time < {{interval.end}} - interval '1 hour'
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: filter flights.event_time
-- > event_time: value flights.event_time
-- > event_time: filter flights.event_time
-- > n: value flights.event_time
-- > n: filter flights.event_time
-- > origin: value flights.origin
-- > origin: filter flights.event_time
-- > uses flights(available_at, event_time, origin)

-- == a place behind a placeholder
SELECT origin, event_time, available_at, {{interval.start}} - now() AS n FROM flights
-- > refused
-- > 1:63 found a call of now(), expected only functions whose result depends on nothing but their arguments; take the time from a row (event_time, available_at), and the bounds of the run from {{interval.start}} and {{interval.end}} (rule clock)

-- == text in the order of code points
SELECT origin, event_time, available_at, origin > 'b' AS a, origin BETWEEN 'a' AND 'c' AS b, greatest(origin, carrier) AS c FROM flights
-- > accepted

-- == text in another order
SELECT origin, event_time, available_at, origin COLLATE "en-x-icu" > 'b' AS n FROM flights
-- > refused
-- > 1:68 found texts compared by collation "en-x-icu", which another server or version may sort in another way, expected collation "C"; write COLLATE "C" behind the text (rule collation)

-- == text of JSON compared
SELECT origin, event_time, available_at, payload::jsonb ->> 'name' > 'b' AS n FROM flights
-- > refused
-- > 1:68 found texts compared by the database's own collation, which another server or version may sort in another way, expected collation "C"; write COLLATE "C" behind the text (rule collation)

-- == text of JSON compared by C
SELECT origin, event_time, available_at, (payload::jsonb ->> 'name') COLLATE "C" > 'b' AS a, payload::jsonb ->> 'name' = 'Ann' AS b,
  lower(payload::jsonb ->> 'name') AS c FROM flights
-- > accepted

-- == the greatest of texts of JSON
SELECT origin, event_time, max(available_at) AS available_at, max(payload::jsonb ->> 'name') AS n FROM flights GROUP BY 1, 2
-- > refused
-- > 1:63 found max of texts by the database's own collation, which another server or version may sort in another way, expected collation "C"; write COLLATE "C" behind the text (rule collation)

-- == letters by a named locale
SELECT origin, event_time, available_at, upper(origin COLLATE "de-x-icu") AS n FROM flights
-- > refused
-- > 1:42 found letters changed or compared by collation "de-x-icu", which another server or version may sort in another way, expected collation "C"; write COLLATE "C" behind the text (rule collation)

-- == ILIKE and regular expressions
SELECT origin, event_time, available_at, origin ILIKE 'A%' AS a, origin ~* '^a' AS b, origin ~ '\d' AS c, origin SIMILAR TO 'a|b' AS d FROM flights
-- > accepted
