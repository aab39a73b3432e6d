-- == random
SELECT origin, event_time, available_at, random() AS n FROM flights
-- > refused
-- > 1:42 found a call of random(), expected only functions whose result depends on nothing but their arguments; make a number of the row's own columns, such as hashtext(key) (rule random)

-- == gen_random_uuid
SELECT origin, event_time, available_at, gen_random_uuid()::text AS n FROM flights
-- > refused
-- > 1:42 found a call of gen_random_uuid(), expected only functions whose result depends on nothing but their arguments; make a number of the row's own columns, such as hashtext(key) (rule random)

-- == now
SELECT origin, event_time, available_at,
  extract(epoch FROM now() - event_time) AS n FROM flights
-- > refused
-- > 2:22 found a call of now(), expected only functions whose result depends on nothing but their arguments; take the time from a row (event_time, available_at), and the bounds of the run from {{interval.start}} and {{interval.end}} (rule clock)

-- == clock_timestamp and timeofday
SELECT origin, event_time, available_at, clock_timestamp() AS a, timeofday() AS b, statement_timestamp() AS c FROM flights
-- > refused
-- > 1:42 found a call of clock_timestamp(), expected only functions whose result depends on nothing but their arguments; take the time from a row (event_time, available_at), and the bounds of the run from {{interval.start}} and {{interval.end}} (rule clock)
-- > 1:66 found a call of timeofday(), expected only functions whose result depends on nothing but their arguments; take the time from a row (event_time, available_at), and the bounds of the run from {{interval.start}} and {{interval.end}} (rule clock)
-- > 1:84 found a call of statement_timestamp(), expected only functions whose result depends on nothing but their arguments; take the time from a row (event_time, available_at), and the bounds of the run from {{interval.start}} and {{interval.end}} (rule clock)

-- == the key words of the clock
SELECT origin, event_time, available_at, CURRENT_DATE AS a, CURRENT_TIMESTAMP AS b, LOCALTIME AS c FROM flights
-- > refused
-- > 1:42 found CURRENT_DATE, which reads the clock, expected only functions whose result depends on nothing but their arguments; take the time from a row (event_time, available_at), and the bounds of the run from {{interval.start}} and {{interval.end}} (rule clock)
-- > 1:61 found CURRENT_TIMESTAMP, which reads the clock, expected only functions whose result depends on nothing but their arguments; take the time from a row (event_time, available_at), and the bounds of the run from {{interval.start}} and {{interval.end}} (rule clock)
-- > 1:85 found LOCALTIME, which reads the clock, expected only functions whose result depends on nothing but their arguments; take the time from a row (event_time, available_at), and the bounds of the run from {{interval.start}} and {{interval.end}} (rule clock)

-- == age of one argument
SELECT origin, event_time, available_at, age(event_time) AS n FROM flights
-- > refused
-- > 1:42 found a call of age(timestamp with time zone), expected only functions whose result depends on nothing but their arguments; take the time from a row (event_time, available_at), and the bounds of the run from {{interval.start}} and {{interval.end}} (rule clock)

-- == age of two arguments
SELECT origin, event_time, available_at, age(available_at, event_time) AS n FROM flights
-- > accepted

-- == the key words of the session
SELECT origin, event_time, available_at, CURRENT_USER AS a, SESSION_USER AS b, current_schema AS c FROM flights
-- > refused
-- > 1:42 found CURRENT_USER, which depends on who runs it, expected only functions whose result depends on nothing but their arguments; write the value that is meant as a constant (rule session)
-- > 1:61 found SESSION_USER, which depends on who runs it, expected only functions whose result depends on nothing but their arguments; write the value that is meant as a constant (rule session)
-- > 1:80 found CURRENT_SCHEMA, which depends on who runs it, expected only functions whose result depends on nothing but their arguments; write the value that is meant as a constant (rule session)

-- == current_setting and version
SELECT origin, event_time, available_at, current_setting('TimeZone') AS a, version() AS b FROM flights
-- > refused
-- > 1:42 found a call of current_setting(text), expected only functions whose result depends on nothing but their arguments; write the value that is meant as a constant (rule session)
-- > 1:76 found a call of version(), expected only functions whose result depends on nothing but their arguments; write the value that is meant as a constant (rule session)

-- == a sequence
SELECT origin, event_time, available_at, nextval('headwater.definition_id_seq'::text::regclass) AS n FROM flights
-- > refused
-- > 1:42 found a call of nextval(regclass), expected only functions whose result depends on nothing but their arguments; number rows by row_number() over an order that is total (rule sequence)
-- > 1:85 found a call of regclass(text), expected only functions whose result depends on nothing but their arguments; declare what it reads as a source, and list it under sql.sources (rule catalog)
-- > 1:85 found a value of type regclass, which is read and written by looking into the catalog, expected none; use numbers or text (rule type)

-- == lastval
SELECT origin, event_time, available_at, lastval() AS n FROM flights
-- > refused
-- > 1:42 found a call of lastval(), expected only functions whose result depends on nothing but their arguments; number rows by row_number() over an order that is total (rule sequence)

-- == large objects
SELECT origin, event_time, available_at, lo_get(delay::oid) AS n FROM flights
-- > refused
-- > 1:42 found a call of lo_get(oid), expected only functions whose result depends on nothing but their arguments; load the object into a source, and list it under sql.sources (rule large-object)

-- == files
SELECT origin, event_time, available_at, pg_read_file(origin) AS n FROM flights
-- > refused
-- > 1:42 found a call of pg_read_file(text), expected only functions whose result depends on nothing but their arguments; load the file into a source, and list it under sql.sources (rule file)

-- == folders
SELECT f.origin, f.event_time, f.available_at, d.n FROM flights f, pg_ls_dir('.') AS d(n)
-- > refused
-- > 1:68 found a call of pg_ls_dir(text), expected only functions whose result depends on nothing but their arguments; load the file into a source, and list it under sql.sources (rule file)

-- == pg_sleep
SELECT origin, event_time, available_at, pg_sleep(1)::text AS n FROM flights
-- > refused
-- > 1:42 found a call of pg_sleep(double precision), expected only functions whose result depends on nothing but their arguments; leave it out, or declare what it reads as a source and list it under sql.sources (rule volatile)

-- == set_config
SELECT origin, event_time, available_at, set_config('TimeZone', 'UTC', true) AS n FROM flights
-- > refused
-- > 1:42 found a call of set_config(text,text,boolean), expected only functions whose result depends on nothing but their arguments; write the value that is meant as a constant (rule session)

-- == advisory locks and notifications
SELECT origin, event_time, available_at, pg_advisory_lock(delay)::text AS a, pg_notify('x', origin)::text AS b FROM flights
-- > refused
-- > 1:42 found a call of pg_advisory_lock(bigint), expected only functions whose result depends on nothing but their arguments; leave it out, or declare what it reads as a source and list it under sql.sources (rule volatile)
-- > 1:78 found a call of pg_notify(text,text), expected only functions whose result depends on nothing but their arguments; leave it out, or declare what it reads as a source and list it under sql.sources (rule volatile)

-- == tables by their names
SELECT origin, event_time, available_at, query_to_xml('SELECT 1', true, true, '')::text AS n FROM flights
-- > refused
-- > 1:42 found a call of query_to_xml(text,boolean,boolean,text), expected only functions whose result depends on nothing but their arguments; declare what it reads as a source, and list it under sql.sources (rule catalog)

-- == a catalog
SELECT f.origin, f.event_time, f.available_at, c.relname::text AS n FROM flights f, pg_class c
-- > refused
-- > 1:85 found a read of pg_catalog.pg_class, expected only the declared sources and views (flights); declare it as a source and list it under sql.sources (rule relation)

-- == information_schema
SELECT f.origin, f.event_time, f.available_at, (SELECT count(*) FROM information_schema.tables) AS n FROM flights f
-- > refused
-- > 1:89 found a read of information_schema.tables, expected only the declared sources and views (flights); declare it as a source and list it under sql.sources (rule relation)

-- == a table that is not declared
SELECT f.origin, f.event_time, f.available_at, t.id FROM flights f, headwater.token t
-- > refused
-- > 1:79 found a read of headwater.token, expected only the declared sources and views (flights); declare it as a source and list it under sql.sources (rule relation)

-- == a name of the catalog
SELECT origin, event_time, available_at, origin::regclass::text AS n FROM flights
-- > refused
-- > 1:48 found a call of regclass(text), expected only functions whose result depends on nothing but their arguments; declare what it reads as a source, and list it under sql.sources (rule catalog)
-- > 1:48 found a value of type regclass, which is read and written by looking into the catalog, expected none; use numbers or text (rule type)

-- == pg_typeof
SELECT origin, event_time, available_at, pg_typeof(delay)::text AS n FROM flights
-- > refused
-- > 1:42 found a call of pg_typeof("any"), expected only functions whose result depends on nothing but their arguments; declare what it reads as a source, and list it under sql.sources (rule catalog)
-- > 1:42 found a value of type regtype, which is read and written by looking into the catalog, expected none; use numbers or text (rule type)

-- == pg_size_pretty
SELECT origin, event_time, available_at, pg_size_pretty(delay) AS n FROM flights
-- > accepted

-- == settings that the session pins
SELECT origin, event_time, available_at, to_char(price, 'FM999D99') AS a, event_time::text AS b, date_trunc('day', event_time) AS c, price::money AS d,
  event_time::date AS e, cost::text AS f, concat(event_time, available_at - event_time) AS g, to_tsvector(payload)::text AS h, '\x01'::bytea::text AS i
FROM flights
-- > accepted

-- == a function of users
SELECT origin, event_time, available_at, public.twice(delay) AS n FROM flights
-- > refused
-- > 1:42 found a call of public.twice(bigint), which is not Postgres's own, expected only functions whose result depends on nothing but their arguments; list it under sql.functions with the reason why its result depends on nothing but its arguments (rule function)

-- == a function of users that is let in
-- function public.twice(bigint)
-- inputs
SELECT origin, event_time, available_at, public.twice(delay) AS n FROM flights
-- > accepted
-- > available_at: value flights.available_at
-- > event_time: value flights.event_time
-- > n: value flights.delay
-- > origin: value flights.origin
-- > uses flights(available_at, delay, event_time, origin)
-- > calls public.twice(bigint)

-- == a function of users that calls another
-- function public.outer_twice(bigint)
-- inputs
SELECT origin, event_time, available_at, public.outer_twice(delay) AS n FROM flights
-- > refused
-- > sql.functions[0].function found a call of public.twice(bigint), which is not Postgres's own, in the body of public.outer_twice(bigint), expected only functions whose result depends on nothing but their arguments; list it under sql.functions with the reason why its result depends on nothing but its arguments (rule function)

-- == a function of users that is volatile
-- function public.wobbly(bigint)
SELECT origin, event_time, available_at, public.wobbly(delay) AS n FROM flights
-- > refused
-- > sql.functions[0].function found function public.wobbly(bigint), which is declared VOLATILE, expected one whose result depends on nothing but its arguments; declare it IMMUTABLE or STABLE if it is (rule volatile)

-- == a function of users that says it is immutable and reads the clock
-- function public.liar(bigint)
SELECT origin, event_time, available_at, public.liar(delay) AS n FROM flights
-- > refused
-- > sql.functions[0].function found a call of now(), in the body of public.liar(bigint), expected only functions whose result depends on nothing but their arguments; take the time from a row (event_time, available_at), and the bounds of the run from {{interval.start}} and {{interval.end}} (rule clock)

-- == a function of users that reads a table
-- function public.reader(bigint)
SELECT origin, event_time, available_at, public.reader(delay) AS n FROM flights
-- > refused
-- > sql.functions[0].function found a read of headwater.token, in the body of public.reader(bigint), expected only the declared sources and views (flights); declare it as a source and list it under sql.sources (rule relation)

-- == a function of users in another language
-- function public.plain(bigint)
-- inputs
SELECT origin, event_time, available_at, public.plain(delay) AS n FROM flights
-- > accepted
-- > available_at: value flights.available_at
-- > event_time: value flights.event_time
-- > n: value flights.delay
-- > origin: value flights.origin
-- > uses flights(available_at, delay, event_time, origin)
-- > calls public.plain(bigint)

-- == an aggregate of users
-- function public.total(bigint)
SELECT origin, event_time, max(available_at) AS available_at, public.total(delay) AS n FROM flights GROUP BY 1, 2
-- > refused
-- > 1:63 found total of rows in no order, expected an order that is total for what it takes; write total(x ORDER BY x), or order by the columns of a unique key; an ORDER BY of a subquery is not kept (rule aggregate-order)

-- == an aggregate of users in a total order
-- function public.total(bigint)
-- inputs
SELECT origin, event_time, max(available_at) AS available_at, public.total(delay ORDER BY id) AS n FROM flights GROUP BY 1, 2
-- > accepted
-- > available_at: value flights.available_at
-- > available_at: group flights.event_time flights.origin
-- > event_time: value flights.event_time
-- > event_time: group flights.event_time flights.origin
-- > n: value flights.delay
-- > n: group flights.event_time flights.origin
-- > n: order flights.id
-- > origin: value flights.origin
-- > origin: group flights.event_time flights.origin
-- > uses flights(available_at, delay, event_time, id, origin)
-- > calls public.total(bigint)

-- == an operator of users
SELECT origin, event_time, available_at, OPERATOR(public.@#@) delay AS n FROM flights
-- > refused
-- > 1:42 found a call of public.twice(bigint), which is not Postgres's own, expected only functions whose result depends on nothing but their arguments; list it under sql.functions with the reason why its result depends on nothing but its arguments (rule function)

-- == an operator of users whose function is let in
-- function public.twice(bigint)
SELECT origin, event_time, available_at, OPERATOR(public.@#@) delay AS n FROM flights
-- > accepted

-- == a type of users
SELECT origin, event_time, available_at, (origin::public.mood)::text AS n FROM flights
-- > refused
-- > 1:49 found a value of type public.mood, which is not Postgres's own, expected none; use types of Postgres's own; one of an extension is let in by its input function under sql.functions (rule type)

-- == a function that is not there
-- function public.thrice(bigint)
SELECT origin, event_time, available_at, delay AS n FROM flights
-- > refused
-- > sql.functions[0].function found no function public.thrice(bigint), expected one of the database's; write it with its schema and the types of its arguments, such as public.haversine(double precision, double precision) (rule function)
