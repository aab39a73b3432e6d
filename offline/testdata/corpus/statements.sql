-- == DELETE
DELETE FROM flights RETURNING origin
-- > refused
-- > 1:1 found DELETE (syntax error at or near "DELETE"), expected one SELECT that only reads; keep the SELECT; what is to be kept is written by the run (rule statement)

-- == INSERT
INSERT INTO flights (origin) VALUES ('a')
-- > refused
-- > 1:1 found INSERT (syntax error at or near "INSERT"), expected one SELECT that only reads; keep the SELECT; what is to be kept is written by the run (rule statement)

-- == SELECT INTO
SELECT origin, event_time, available_at, delay
INTO kept FROM flights
-- > refused
-- > 2:1 found SELECT INTO, which makes a table, expected one SELECT that only reads; keep the SELECT; what is to be kept is written by the run (rule statement)

-- == a part of WITH that deletes
WITH gone AS (DELETE FROM flights RETURNING *) SELECT origin, event_time, available_at FROM gone
-- > refused
-- > 1:15 found a part of the WITH that changes rows, expected one SELECT that only reads; keep the SELECT; what is to be kept is written by the run (rule statement)

-- == COPY
COPY flights TO PROGRAM 'cat'
-- > refused
-- > 1:1 found COPY (syntax error at or near "COPY"), expected one SELECT that only reads; keep the SELECT; what is to be kept is written by the run (rule statement)

-- == two statements
SELECT 1; SELECT 2
-- > refused
-- > 1:9 found a second statement after the semicolon, expected one; keep one SELECT (WITH may name its parts)

-- == a column that is not there
SELECT origin, event_time, available_at,
  delays FROM flights
-- > refused
-- > 2:3 column "delays" does not exist. Perhaps you meant to reference the column "flights.delay".

-- == a relation that is not there
SELECT origin FROM
  flight
-- > refused
-- > 2:3 relation "flight" does not exist

-- == a function that is not there
SELECT origin, event_time, available_at, lowercase(origin) AS n FROM flights
-- > refused
-- > 1:42 function lowercase(text) does not exist. No function matches the given name and argument types. You might need to add explicit type casts.

-- == a parameter
SELECT origin, event_time, available_at, $1 AS n FROM flights
-- > refused
-- > 1:42 found the parameter $1, expected none; the run's interval is {{interval.start}} and {{interval.end}}

-- == characters of several bytes before the place
SELECT 'éöü' AS origin, event_time, available_at, random() AS n FROM flights
-- > refused
-- > 1:51 found a call of random(), expected only functions whose result depends on nothing but their arguments; make a number of the row's own columns, such as hashtext(key) (rule random)

-- == dblink
SELECT f.origin, f.event_time, f.available_at FROM flights f, dblink('host=x', 'SELECT 1') AS d(n int)
-- > refused
-- > 1:63 function dblink(unknown, unknown) does not exist. No function matches the given name and argument types. You might need to add explicit type casts.
