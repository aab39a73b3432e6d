#!/usr/bin/env bash
# Tells Headwater's story on real flights with bin/headwater: every command is shown as it is typed, run, and held to what
# the story claims. The servers are private ones on free ports, their data in a temporary folder; both are gone at the end,
# also when a step fails or the story is interrupted.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/story.sh
. scripts/story.sh
flights=examples/flights
service='--service delay_model_v1'

begin_story

say 'Definitions are YAML files: entities, a source, two views, a service that a model reads, and roles.'
step 0 "headwater validate $flights/definitions"
say 'Tests stand beside them: rows that arrive, and what comes of them. Each runs on servers of its own.'
step 0 "headwater test $flights"
expect 1 '^6 tests, all hold '
say 'What would they change? The exit status of a plan with changes is 6, for scripts.'
step 6 "headwater plan $flights/definitions"
expect 9 '^(├|└)─ [a-z]+:[a-z0-9_]+@1$'
step 0 "headwater apply $flights/definitions"
expect 9 '^(├|└)─ [a-z]+:[a-z0-9_]+@1$'

say 'A month of real flights, in four files. Each becomes a load, kept with its name, size and SHA-256.'
step 0 "headwater ingest flights $flights/data/flights-2001-01-week[1-4].parquet"
expect 4 '^ *[1-4]  flights '

say 'Both views, computed over all of it: written to their history in Postgres, published, and loaded into Redis.'
step 0 "headwater materialize airport_delays route_delays --wait | grep -E '^(run|wrote|digest|online|ended) '"
expect 1 '^wrote  *72839 inserted, 0 withdrawn, 0 unchanged$'
expect 1 '^wrote  *98665 inserted, 0 withdrawn, 0 unchanged$'
digests=$(grep '^digest' "$demo/out")
step 0 'headwater runs list'
expect 2 '  published  incremental  508239 .* loaded '
say 'The record of a run accounts for every row: where it came from, and where it went.'
step 0 'headwater runs show airport_delays@1/1'
expect 4 '^ .*  flights-2001-01-week[1-4]\.parquet '
expect 1 '^  read  *508239  508239 accepted \+ 0 quarantined \+ 0 duplicate \+ 0 dropped \+ 0 too late$'

say 'What a model would read now, with its status, its event time and the run that wrote it.'
step 0 "headwater get $service --entity origin=ORD,destination=LAX --entity origin=ATL,destination=LGA --entity origin=SFO,destination=SEA"
expect 15 '  PRESENT  2001-0[12]-[0-9T:]*Z  (airport|route)_delays@1/1$'

say 'A training set: 20,000 flights, each with the features as they were known at the moment it left.'
step 0 "headwater dataset build $service --spine $flights/data/spine.parquet --out $demo/train.parquet"
expect 1 '^rows  *20000$'
dataset=$(awk '$1 == "id" { print $2 }' "$demo/out")
say 'It can be computed again from what is kept, and comes out the same.'
step 0 "headwater dataset verify $dataset"
expect 2 ' yes$'

say 'Where does a feature come from? Through the run that wrote it, down to the files.'
step 0 'headwater lineage show feature:airport_delays.mean_delay --up'
expect 4 'read load:[1-4]  flights-2001-01-week[1-4]\.parquet, sha256 '

say 'All of it again: the run finds that nothing changed, comes to the same digest, and writes no row.'
step 0 "headwater materialize airport_delays route_delays --full --wait | grep -E '^(run|wrote|digest|online|ended) '"
expect 2 '^wrote  *nothing changed: no row was written$'
if [ "$(grep '^digest' "$demo/out")" != "$digests" ]; then
	fail "the digests of the first runs: $digests" "$(grep '^digest' "$demo/out")"
fi

say 'The supplier sends a week again, with 16 delays corrected. The new file takes the place of the load of the old one.'
step 0 "headwater ingest flights $flights/data/flights-2001-01-week2-corrected.parquet --replaces 2"
step 0 'headwater loads list flights'
expect 1 '^ *2  flights  .* replaced by 5 '
say 'A run follows what came, and computes no more than that week. Only what changed is written; what it replaces stays, closed, for those who read as of before.'
step 0 "headwater materialize airport_delays route_delays --wait | grep -E '^(run|wrote|digest|online|ended) '"
expect 1 '^wrote  *16 inserted, 16 withdrawn, [0-9]* unchanged$'
expect 1 '^wrote  *13 inserted, 13 withdrawn, [0-9]* unchanged$'
step 0 'headwater lineage show feature:airport_delays.mean_delay --up'
expect 1 'read load:5  flights-2001-01-week2-corrected\.parquet, sha256 '

say 'The training set from before the correction is still what it was, to the byte.'
step 0 "headwater dataset verify $dataset"
expect 2 ' yes$'
step 0 "headwater dataset fetch $dataset --out $demo/again.parquet | grep -E '^(id|rows|content digest|arrow sha256) '"
step 0 "cmp $demo/train.parquet $demo/again.parquet && echo the same bytes"
expect 1 '^the same bytes$'

say 'A token for the model, whose role lets it read its service online, and nothing else.'
step 0 "export MODEL_TOKEN=\$(headwater token create --principal delay-model --role model)"
# shellcheck disable=SC2016 # The line is shown as it is typed; it is expanded when it is run.
step 0 'headwater get --token "$MODEL_TOKEN" --service delay_model_v1 --entity origin=ORD,destination=LAX'
expect 5 '  PRESENT  '
say 'Training data is not for it: the exit status of what is refused is 3, and the reason is told.'
# shellcheck disable=SC2016
step 3 'headwater dataset build --token "$MODEL_TOKEN" --service delay_model_v1 --spine examples/flights/data/spine.parquet --out '"$demo/refused.parquet"
expect 1 'delay-model may not read_offline service:delay_model_v1: no grant of read_offline .* in roles \[model\]'
if [ -e "$demo/refused.parquet" ]; then
	fail 'a refused build writes no file' "$demo/refused.parquet"
fi
say 'Both are in the audit log, with the reason of each decision.'
step 0 'headwater audit list --principal delay-model'
expect 1 '  read_online   service:delay_model_v1@1  allowed  .* role model allows read_online '
expect 1 '  read_offline  service:delay_model_v1    denied  .* no grant of read_offline '

end_story
