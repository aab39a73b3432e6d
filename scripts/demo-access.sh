#!/usr/bin/env bash
# Tells the story of one policy in both stores, examples/regional-access, with bin/headwater: the same people see the same rows and the
# same values in a dataset and online. Every command is shown as it is typed, run, and held to what the story claims.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/story.sh
. scripts/story.sh
example=examples/regional-access
everyone='--entity customer_id=101 --entity customer_id=102 --entity customer_id=103 --entity customer_id=104 --entity customer_id=105 --entity customer_id=106'

begin_story

say 'Payments of customers, who may read them, and what each of them sees: rows by region, addresses by tag, amounts by feature.'
step 0 "headwater apply $example/definitions"
expect 13 '^(├|└)─ [a-z]+:[a-z0-9_]+@1$'
step 0 "headwater ingest transactions $example/data/transactions.csv"
step 0 "headwater materialize last_payment --wait | grep -E '^(run|wrote|online) '"
expect 1 '^wrote  *9 inserted, 0 withdrawn, 0 unchanged$'

say 'The address of a customer is an e-mail address wherever it goes: its tags come along with its value.'
step 0 'headwater describe view mailbox'
expect 2 '^  provider  (email|pii)  *source:transactions.email$'

say 'A token each: all of them may read, and differ in what they are.'
for who in global_admin eu_analyst us_analyst data_scientist; do
	step 0 "export TOKEN_$who=\$(headwater token create --principal $who --role reader --role $who)"
done
step 0 "export TOKEN_nobody=\$(headwater token create --principal nobody --role reader)"

# Prints the values of $1, what `get -o csv` says, as lines of customer, feature and value.
online_values() { awk -F, 'NR > 1 { sub("customer_id=", "", $1); print $1, $2, $3 }' "$1"; }

# Prints those of $1, a dataset in CSV.
dataset_values() {
	awk -F, 'NR == 1 { for (i = 3; i <= NF; i++) name[i] = $i; next } { for (i = 3; i <= NF; i++) print $1, name[i], $i }' "$1"
}

# Reads as $1, online and as a dataset, and expects the same values in both.
both() {
	local who=$1
	step 0 "headwater get --token \"\$TOKEN_$who\" --service customer_profile $everyone -o csv | tee $demo/online.csv"
	step 0 "headwater dataset build --token \"\$TOKEN_$who\" --service customer_profile --name $who --spine $example/data/spine.csv --allow-partial --out $demo/$who.csv > $demo/$who.txt && cat $demo/$who.csv"
	if ! diff <(online_values "$demo/online.csv") <(dataset_values "$demo/$who.csv") >"$demo/difference"; then
		fail 'the same values online and in the dataset' "$(cat "$demo/difference")"
	fi
}

say 'Who is not held to regions sees all six customers.'
both global_admin
expect 6 '^10[1-6],.*@'

say 'An analyst for Europe sees those whose latest payment was made there: the others look as if they had never paid. What is decided on is the latest payment, and never an older one in its place: customer 104 paid in the UK last.'
both eu_analyst
expect 4 '^10[1234],.*@'
expect 2 '^10[56],2026-03-03T00:00:00Z,,,$'
say 'And one for the United States: 104 is no longer theirs.'
both us_analyst
expect 1 '^105,.*@'
expect 5 '^10[12346],2026-03-03T00:00:00Z,,,$'
say 'Whoever is of no region sees nobody.'
both nobody
expect 6 '^10[1-6],2026-03-03T00:00:00Z,,,$'

say 'A data scientist sees all customers, and no raw personal data: addresses are hashed, what is computed of them too, and amounts are rounded.'
both data_scientist
expect 0 '@'
expect 6 '^10[1-6],2026-03-03T00:00:00Z,[0-9a-f]{32},[0-9]*0\.00,[0-9a-f]{32}$'
say 'The manifest of the dataset keeps what it was built under.'
step 0 "grep -A4 '^policies' $demo/data_scientist.txt"
expect 2 '  hash by key customers'
expect 1 '  round to 10'

say 'Nobody gets by the id of a dataset what they do not see themselves. Who sees all of it gets the same bytes.'
id=$(awk '$1 == "id" { print $2 }' "$demo/global_admin.txt")
step 3 "headwater dataset fetch --token \"\$TOKEN_eu_analyst\" $id --out $demo/refused.csv"
expect 1 'policy rows_of_the_region@1 hides some of last_payment@1 from you'
id=$(awk '$1 == "id" { print $2 }' "$demo/eu_analyst.txt")
step 0 "headwater dataset fetch --token \"\$TOKEN_global_admin\" $id --out $demo/again.csv > $demo/again.txt && cmp $demo/eu_analyst.csv $demo/again.csv && echo the same bytes"
expect 1 '^the same bytes$'

say 'Every one of these reads is in the audit log by itself, with the policies that were asked.'
step 0 'headwater audit list --principal eu_analyst'
expect 1 '  read_online  .*under policies rows_of_the_region@1'
expect 1 '  denied  .*hides some of last_payment@1'

end_story
