#!/usr/bin/env bash
# Tells the story of what is missing, examples/revenue, with bin/headwater: what is NULL shifts between training and production, and is seen at the run, at the dataset and in
# what was served. Every command is shown as it is typed, run, and held to what the story claims.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/story.sh
. scripts/story.sh
example=examples/revenue

begin_story

say 'What months brought 800 shops, made up: a year of it, and the model that is trained on it.'
step 0 "headwater apply $example/definitions"
step 0 "export NOW=\$(date +%s); awk -v now=\$NOW -v from=1 -v to=12 -f $example/data.awk > $demo/year.csv; head -3 $demo/year.csv"
step 0 "headwater ingest months $demo/year.csv -o json | tee $demo/load.json | grep -c '\"id\"'"
step 0 "headwater materialize shop_months --wait | grep -E '^(run|wrote|online) '"
expect 1 '^wrote  *9600 inserted'
say 'This is what the team agrees to be normal.'
step 0 "headwater baseline set normal run:shop_months@1/1 --reason 'looked at by the revenue team'"
expect 1 '^normal@1  view:shop_months@1  run:shop_months@1/1 '
step 0 "awk -v now=\$NOW -v from=4 -v to=12 -v spine=1 -f $example/data.awk > $demo/spine.csv"
step 0 "headwater dataset build --service revenue_forecast --name training --spine $demo/spine.csv --out $demo/training.csv | grep -E '^(id|rows) '"
step 0 "headwater model register forecast --service revenue_forecast --dataset training@1 --owner revenue-team"

say 'The weather service looks for its rain of half a year, and the year is sent again without it. Nobody makes a feature of rain, but the view drops rows without it: the run is published, and warns.'
step 0 "awk -v now=\$NOW -v from=1 -v to=12 -v dry_from=4 -v dry_to=9 -f $example/data.awk > $demo/dry.csv; headwater ingest months $demo/dry.csv --replaces 1 > $demo/load.txt"
step 0 "headwater materialize shop_months --wait > $demo/run.txt; headwater runs show shop_months@1/2"
expect 1 '^  filtered  *4800 '
expect 1 '^  rows_kept  .*warned.* 0 in the worst of 12 buckets, 0 rows made of 800; 6 buckets are outside of the bounds'
expect 1 '^  rain_completeness  .*warned.* 0 in the worst of 12 buckets, of 800 rows'
say 'No distribution has moved: half a year is gone, and drift of what is left says that all is well.'
step 0 "headwater drift baseline:normal run:shop_months@1/2"
expect 2 '^(revenue|visitors)  *OK  *0\.00[0-9]*'

say 'A dataset that is built of it has no values for half of its rows. What is missing is a value: it has drifted.'
step 0 "headwater dataset build --service revenue_forecast --name late --spine $demo/spine.csv --out $demo/late.csv | grep -E '^(id|rows) '"
step 5 "headwater drift dataset:training@1 dataset:late@1"
expect 2 '^shop_months__(revenue|visitors)  *FAIL '
expect 1 '^next_revenue  *OK '

say 'Where a warning is not enough, the view says from where on it fails. Nothing is published then.'
step 0 "mkdir $demo/strict && sed 's/rows_kept: {bucket: 720h}/&, error: {min: 0.5}/' $example/definitions/revenue.yaml > $demo/strict/revenue.yaml && headwater apply $demo/strict"
step 1 "headwater materialize shop_months --full --wait"
expect 1 '^headwater: run shop_months@1/3 failed: .*rows_kept of output: expected rows made, divided by rows accepted in each 720h at least 0.5, found 0 in the worst of 12 buckets'

say 'The rain is found again, and the year is whole.'
step 0 "headwater ingest months $demo/year.csv --replaces 2 > $demo/load.txt; headwater materialize shop_months --wait > $demo/run.txt; headwater runs show shop_months@1/4"
expect 1 '^  rows_kept  .*passed.* 1 in the worst of 12 buckets'
expect 1 '^  filtered  *0 |used \+ 0 filtered'

say 'In production every third sensor at the door breaks. The rows come, and the view takes them. The run is held to what is normal, and says so.'
step 0 "awk -v now=\$NOW -v from=13 -v to=13 -v sensors=0 -f $example/data.awk > $demo/month.csv; headwater ingest months $demo/month.csv > $demo/load.txt"
step 0 "headwater materialize shop_months --wait > $demo/run.txt; headwater runs show shop_months@1/5"
expect 1 '^  visitors  *FAIL '
expect 1 '^  revenue  *OK '
step 0 "for from in 0 200 400 600; do awk -v from=\$from 'BEGIN { for (i = 1; i <= 200; i++) print \"{\\\"shop\\\": \" from + i \"}\" }' | headwater get --service revenue_forecast --request-file - > $demo/read.txt; done; wc -l < $demo/read.txt"

say 'What was served is held to what the model was trained on, and to the history. The stores agree; the world has changed.'
step 5 "headwater skew forecast"
expect 1 '^  shop_months__visitors  *FAIL  .* -33.[0-9] %  *800  *0  *0  *0  *0  *0 '
expect 1 '^  shop_months__revenue  *OK  .*  800  *0  *0  *0  *0  *0 '
expect 1 '^trained on  *dataset:ds_'

end_story
