# Makes up what months brought 800 shops, or with -v spine=1 what a model of them is trained for. All values are synthetic, and the same each time but for the days:
# the last month, number 13, ended a day before -v now=SECONDS, and each before it 30 days earlier.
#   -v from=N -v to=N                    which months
#   -v dry_from=N -v dry_to=N            months of which the weather service sent nothing
#   -v sensors=0                         every third shop's sensor at the door is broken
function next_number() { state = (state * 16807) % 2147483647; return state }

# The day of a second since 1970, as dates are written (H. Hinnant, days_from_civil).
function timestamp(s, days, era, doe, yoe, doy, mp, d, m, y, rest) {
	days = int(s / 86400); rest = s - days * 86400
	days += 719468; era = int(days / 146097); doe = days - era * 146097
	yoe = int((doe - int(doe / 1460) + int(doe / 36524) - int(doe / 146096)) / 365)
	y = yoe + era * 400; doy = doe - (365 * yoe + int(yoe / 4) - int(yoe / 100)); mp = int((5 * doy + 2) / 153)
	d = doy - int((153 * mp + 2) / 5) + 1; m = mp < 10 ? mp + 3 : mp - 9
	return sprintf("%04d-%02d-%02dT%02d:%02d:%02dZ", m <= 2 ? y + 1 : y, m, d, int(rest / 3600), int(rest % 3600 / 60), rest % 60)
}

BEGIN {
	print spine ? "shop,timestamp,next_revenue" : "shop,at,revenue,visitors,rain"
	for (month = from; month <= to; month++)
		for (shop = 1; shop <= 800; shop++) {
			state = (shop * 7919 + month * 104729) % 2147483646 + 1
			for (i = 0; i < 5; i++) next_number()
			revenue = 1000 + next_number() % 4000
			visitors = next_number() % 900
			rain = next_number() % 120
			at = now - 86400 - (13 - month) * 30 * 86400
			if (spine) {
				printf "%d,%s,%d\n", shop, timestamp(at + 10 * 86400), 1000 + next_number() % 4000
				continue
			}
			if (sensors == "0" && shop % 3 == 0) visitors = ""
			if (month >= dry_from && month <= dry_to && dry_to > 0) rain = ""
			printf "%d,%s,%d,%s,%s\n", shop, timestamp(at), revenue, visitors, rain
		}
}
