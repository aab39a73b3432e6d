#!/usr/bin/env bash
# Tells the story of examples/credit with bin/headwater: a customer of low risk is flagged, and what flagged them is a file of a credit bureau. Every command is
# shown as it is typed, run, and held to what the story claims.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/story.sh
. scripts/story.sh
example=examples/credit

begin_story

say 'What applicants earn and what a bureau says of them; a service that logs its reads, and a scorecard that reads it. All data is made up.'
step 0 "headwater apply $example/definitions"
expect 6 '^(├|└)─ [a-z]+:[a-z0-9_]+@1$'
step 0 "headwater ingest payroll $example/data/payroll.csv"
step 0 "headwater ingest bureau $example/data/bureau-2026-02.csv"
step 0 "headwater materialize earnings record --wait | grep -E '^(run|wrote|online) '"
expect 2 '^wrote  *120 inserted, 0 withdrawn, 0 unchanged$'
step 0 'headwater model register credit_risk --service applicant_risk --owner credit-team'

# The scorecard, which is the same all the time: reads all applicants, and prints what it predicts of each, under ids that begin with $1.
scorecard() {
	headwater get --service applicant_risk --request-file "$example/data/applicants.ndjson" -o csv >"$demo/read.csv"
	awk -F, -v name="$1" -v time="$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ)" '
		NR == 1 { print "id,time,applicant_id,score"; next }
		{ sub("applicant_id=", "", $1); value[$2] = $3 }
		$2 == "record__utilisation" {
			z = -2.5 + 1.3 * value["record__late_payments"] + 1.2 * value["record__utilisation"] - value["earnings__income"] / 40000
			printf "%s-%s,%s,%s,%.6f\n", name, $1, time, $1, 1 / (1 + exp(-z))
		}' "$demo/read.csv"
}

say 'In February the scorecard predicts who will not pay, from what is served. Its predictions are logged; what became of them is known later, and some of it is here already.'
step 0 "headwater outcomes report $example/data/outcomes-february.csv --model credit_risk"
expect 1 '^parked until their predictions come  *120$'
step 0 "scorecard february > $demo/february.csv && sed -n 8p $demo/february.csv"
expect 1 '^february-A007,.*,A007,0\.01'
step 0 "headwater predictions log $demo/february.csv --model credit_risk"
expect 1 '^logged  *120$'
expect 1 '^outcomes that waited for them  *120$'
since=$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ)

say 'In March the bureau delivers a file a region. The scorecard is as it was.'
step 0 "headwater ingest bureau $example/data/bureau-2026-03-north.csv $example/data/bureau-2026-03-south.csv $example/data/bureau-2026-03-west.csv -o csv"
north=$(awk -F, '$5 == "bureau-2026-03-north.csv" { print $1 }' "$demo/out")
step 0 "headwater materialize record --wait | grep -E '^(run|wrote|online) '"
step 0 "scorecard march > $demo/march.csv && sed -n 8p $demo/march.csv"
expect 1 '^march-A007,.*,A007,(1\.0|0\.99)'
step 0 "headwater predictions log $demo/march.csv --model credit_risk"
step 0 "headwater outcomes report $example/data/outcomes-march.csv --model credit_risk"

say 'A007 never paid late, earns well, and is refused. The trace of the read goes back to the file.'
read_id=$(headwater reads list --service applicant_risk --entity applicant_id=A007 --limit 1 -o csv | awk -F, 'NR == 2 { print $1 }')
step 0 "headwater trace $read_id --row 7 | grep -E 'late_payments|file name|A007'"
expect 1 '^  file name  *bureau-2026-03-north\.csv'

say 'How good was it, by what it was made of?'
step 0 "headwater performance credit_risk --by load --since $since"
expect 1 "^  load:$north  *bureau-2026-03-north\.csv  *40 "
step 0 "headwater performance credit_risk --by column --column record__late_payments --since $since"

say 'What does the loss come from? Not from the model: one file stands out beside the others at the same time, and a check of the run had said so.'
step 5 "headwater attribute credit_risk --since $since"
expect 1 '^verdict  *UPSTREAM_SUSPECT$'
expect 1 "^load  *$north bureau-2026-03-north\.csv$"
expect 1 '^run  *record@1/2$'
expect 1 "^  load:$north  *record@1/2  *late_payments_are_few of source:bureau warned$"
expect 1 "^  headwater impact bureau --load $north --repair$"
expect 1 "^  headwater loads retract $north --reason REASON$"

say 'The bureau sends the file again, with late payments in their column. Nothing is trained anew.'
step 0 "headwater ingest bureau $example/data/bureau-2026-03-north-corrected.csv --replaces $north"
step 0 "headwater materialize record --wait | grep -E '^(run|wrote|online) '"
expect 1 '^wrote  *40 inserted, 40 withdrawn'
mended=$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ)
step 0 "scorecard mended > $demo/mended.csv && sed -n 8p $demo/mended.csv"
expect 1 '^mended-A007,.*,A007,0\.01'
step 0 "headwater predictions log $demo/mended.csv --model credit_risk"
step 0 "sed 's/^march-/mended-/' $example/data/outcomes-march.csv | headwater outcomes report - --format csv --model credit_risk"
expect 1 '^recorded  *120$'
step 0 "headwater attribute credit_risk --since $mended"
expect 1 '^verdict  *NO_DECAY$'

end_story
