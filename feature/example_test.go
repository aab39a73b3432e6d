package feature

import "time"

// flights is a repository's definitions that the tests of this package change.
func flights() *Definitions {
	return &Definitions{
		Entities: []Entity{{
			Name:     "route",
			JoinKeys: []Column{{Name: "origin", Type: TypeString}, {Name: "carrier", Type: TypeInt64}},
			Docs:     Docs{Description: "Where from and who flies", Owner: "ops", Tags: []string{"a"}},
		}},
		Sources: []Source{{
			Name: "flights",
			Columns: []Column{
				{Name: "date", Type: TypeTimestamp}, {Name: "landed", Type: TypeTimestamp}, {Name: "origin", Type: TypeString},
				{Name: "carrier", Type: TypeInt64}, {Name: "delay", Type: TypeFloat64, Description: "minutes"},
				{Name: "cancelled", Type: TypeBool},
			},
			EventTime:         "date",
			ArrivalExpression: "greatest(date, date + delay * interval '1 minute')",
		}},
		Views: []View{{
			Name:       "route_delays",
			Entity:     "route",
			Features:   []Column{{Name: "departures", Type: TypeInt64}, {Name: "mean_delay", Type: TypeFloat64}},
			Attributes: []Column{{Name: "region", Type: TypeString}},
			TTL:        48 * time.Hour,
			Grain:      time.Hour,
			Lookback:   2 * time.Hour,
			SQL: &SQLTransform{
				Sources: []string{"flights"},
				Query: "SELECT origin, carrier, count(*) AS departures\nFROM flights -- all of them\n" +
					"WHERE event_time >= {{interval.start}} AND origin <> 'X'",
			},
		}},
		Services: []Service{{
			Name: "delay_model", Views: []ServiceView{{View: "route_delays", Features: []string{"mean_delay", "departures"}}},
			ServesAsGrant: true,
		}},
		Roles: []Role{{
			Name: "scientist",
			Grants: []Grant{
				{Actions: []string{"read_offline", "list"}, Resources: []ResourcePattern{{"view", "route_*"}, {"service", "*"}}},
				{Deny: true, Actions: []string{"read_online"}, Resources: []ResourcePattern{{"source", "*"}}},
			},
		}},
	}
}

// fingerprints resolves the definitions of flights() against each other.
func fingerprints(d *Definitions) map[Kind]Digest {
	v := viewVersion(d)
	pin, problems := d.Services[0].Views[0].ResolvePin(v)
	if len(problems) > 0 {
		panic(problems[0].Message)
	}
	return map[Kind]Digest{
		KindEntity:  d.Entities[0].Fingerprint(),
		KindSource:  d.Sources[0].Fingerprint(),
		KindView:    v.Fingerprint,
		KindService: d.Services[0].Fingerprint([]ServicePin{pin}),
		KindRole:    d.Roles[0].Fingerprint(),
	}
}
