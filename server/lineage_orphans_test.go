package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/online"
)

// A hand in the database or in Redis leaves orphans, each of which is found, by who may read the lineage of everything.
func TestOrphansAreFound(t *testing.T) {
	p := newProduct(t)
	d := onDemand()
	d.Views = append(d.Views, feature.View{Name: "over", Entity: "airport", Features: []feature.Column{{Name: "delay", Type: feature.TypeFloat64}},
		SQL: &feature.SQLTransform{Views: []feature.ViewRef{{Name: "delays"}}, Query: `
			SELECT origin, event_time, available_at, delay FROM delays WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}`}})
	for i := range d.Services {
		d.Services[i].Log = "all"
	}
	d.Roles = []feature.Role{role("some", "read_lineage on view:*,source:*,service:*,dataset:*"), role("all", "read_lineage on catalog:*")}
	d.Consumers = []feature.Consumer{{Name: "board", Type: "dashboard", Reads: []feature.ConsumerRead{{Kind: feature.ReadsView, Name: "recent"}, {Kind: feature.ReadsService, Name: "small"}}}}
	p.apply(d)
	at := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(3)), flight("JFK", 8, at, feature.Float64(4))), 0)
	for _, v := range []string{"delays", "traffic", "recent", "over"} {
		p.materialize(v)
	}
	_, m, err := p.build(p.admin, "small", &headwaterv1.BuildDatasetHeader{}, spineOf(asked("ORD", 7, at.Add(time.Minute))).arrow(t))
	if err != nil {
		t.Fatal(err)
	}
	p.readModel(&headwaterv1.GetFeaturesRequest{Service: "small", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}})
	eventually(t, "the read to be logged", func() bool { return p.count(`SELECT count(*) FROM headwater.read_log_count`) > 0 })
	if all := p.checked(); all.GetRows() != 8 || all.GetOnline() != 8 || all.GetDatasets() != 1 || all.GetRuns() != 4 {
		t.Errorf("found %v", all)
	}
	id := p.count(`SELECT id FROM headwater.definition WHERE kind = 'view' AND name = 'recent'`)
	fingerprint := p.server.registry.Catalog().NewestView("recent").Fingerprint.String()
	dataset := "dataset:" + m.GetId()

	// Each is planted into what is whole, and taken back by what undoes it. Foreign keys hold nothing back that comes with a backup.
	for _, c := range []struct{ name, plant, undo, want string }{
		{"a row of no run", `UPDATE headwater_history.recent_v1 SET seq_from = 99 WHERE entity_key = 'ORD'`, `UPDATE headwater_history.recent_v1 SET seq_from = 1`,
			"view:recent@1: found 1 row of sequence 99, which is no run's, expected a published run recent@1/99"},
		{"a row that no run ended", `UPDATE headwater_history.recent_v1 SET seq_to = 98`, `UPDATE headwater_history.recent_v1 SET seq_to = 9223372036854775807`,
			"view:recent@1: found 2 rows that ended at sequence 98, which is no run's, expected a published run recent@1/98"},
		{"rows of a run that failed", `UPDATE headwater.run SET state = 'failed', position = NULL WHERE view_id = $1`,
			`UPDATE headwater.run SET state = 'published', position = (SELECT position FROM headwater.publish_log WHERE run_id = run.id) WHERE view_id = $1`,
			"run:recent@1/1: found a run that is failed, expected the one that position 3 of the publish log is of\n" +
				"view:recent@1: found 2 online values of sequence 1, which is no published run's, expected a published run recent@1/1\n" +
				"view:recent@1: found 2 rows of sequence 1, whose run is failed, expected a published run recent@1/1"},
		{"a run that is not in the log", `UPDATE headwater.publish_log SET seq = 7 WHERE view_id = $1`, `UPDATE headwater.publish_log SET seq = 1 WHERE view_id = $1`,
			"run:recent@1/1: found sequence 7 at position 3 of the publish log, expected sequence 1 at position 3\n" +
				"view:recent@1: found 2 online values of sequence 1, which is no published run's, expected a published run recent@1/1\n" +
				"view:recent@1: found 2 rows of sequence 1, whose run is published, expected a published run recent@1/1"},
		{"a run of another definition", `UPDATE headwater.run SET fingerprint = sha256('x') WHERE view_id = $1`, `UPDATE headwater.run r SET fingerprint = d.fingerprint FROM headwater.definition d WHERE d.id = r.view_id`,
			"run:recent@1/1: found fingerprint 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881, expected that of the definition, " + fingerprint},
		{"a run without inputs", `DELETE FROM headwater.run_input WHERE run_id = (SELECT id FROM headwater.run WHERE view_id = $1)`,
			`INSERT INTO headwater.run_input SELECT (SELECT id FROM headwater.run WHERE view_id = $1), i.source, i.source_version, i.source_fingerprint, i.load_number, i.rows_read FROM headwater.run_input i LIMIT 1`,
			"run:recent@1/1: found nothing of what it read of source flights, expected what it read of each source of the definition\n" +
				"run:recent@1/1: found rows read of load 1 of source flights, expected a load of a source that it read"},
		{"loads that were forgotten", "", `UPDATE headwater.run_input SET loads = 1`, "run:recent@1/1: found loads of source flights: 1, expected 0, as it counted them"},
		{"a source that is not there", `UPDATE headwater.run_input SET source_version = 5 WHERE run_id = (SELECT id FROM headwater.run WHERE view_id = $1)`, `UPDATE headwater.run_input SET source_version = 1`,
			"run:recent@1/1: found version 5 of source flights with fingerprint FP, expected a definition of that version"},
		{"a load that is not there", `UPDATE headwater.run_load SET load_id = 77 WHERE run_id = (SELECT id FROM headwater.run WHERE view_id = $1)`, `UPDATE headwater.run_load SET load_id = 1`,
			"run:recent@1/1: found loads of source flights: 0, expected 1, as it counted them\n" +
				"run:recent@1/1: found rows read of load 77, which is not there, expected a load of a source that it read"},
		{"a run behind nothing", `DELETE FROM headwater.run_span WHERE view_id = $1`, `INSERT INTO headwater.run_span SELECT id, view_id, seq, 9223372036854775807, 2 FROM headwater.run WHERE view_id = $1`,
			"run:recent@1/1: found no sequences at which it is behind its view, expected some"},
		{"a view without edges", `DELETE FROM headwater.definition_input WHERE definition_id = $1`, `SELECT headwater.note_definition($1, now())`,
			"view:recent@1: found no edge from source flights, expected one from each source of the definition"},
		{"a consumer without edges", `DELETE FROM headwater.consumer_input WHERE kind = 'view'`, `SELECT headwater.note_consumer('board', now())`,
			"consumer:board@1: found 1 edges from what it reads, expected 2, as its definition says"},
		{"a column made of none", `UPDATE headwater.column_edge SET from_column = 'gone' WHERE definition_id = $1 AND from_column = 'delay'`, `UPDATE headwater.column_edge SET from_column = 'delay' WHERE from_column = 'gone'`,
			"view:recent@1#delay: found made of source:flights#gone, expected columns that are there"},
		{"reads of a run that is gone", `UPDATE headwater.read_log_count SET run_seq = 55`, `UPDATE headwater.read_log_count SET run_seq = 1`,
			"run:delays@1/55: found logged reads of service small that had rows of it: 1, expected a published run"},
		{"reads of a view that is gone", `UPDATE headwater.read_log_count SET view = 'dropped'`, `UPDATE headwater.read_log_count SET view = 'delays'`,
			"run:dropped@1/1: found logged reads of service small that had rows of it: 1, expected a view version of that name"},
		{"reads of a service that is gone", `UPDATE headwater.read_log_count SET service_version = 9`, `UPDATE headwater.read_log_count SET service_version = 1`,
			"predictions:small@9: found logged reads that had rows of runs, of 1 days, expected a service version of that name"},
		{"predictions of no model", `CREATE TABLE headwater.prediction_planted PARTITION OF headwater.prediction FOR VALUES FROM ('2001-01-01') TO ('2001-01-02');
			INSERT INTO headwater.prediction (day, model, model_version, id, predicted_at, logged_at, principal, service, read_id, read_row, entity_hashes, score, digest)
			VALUES ('2001-01-01', 'gone', 1, 'p', '2001-01-01Z', '2001-01-01Z', '', '', '', 0, '{}', 0, sha256('')), ('2001-01-01', 'gone', 1, 'q', '2001-01-01Z', '2001-01-01Z', '', '', '', 0, '{}', 0, sha256(''))`,
			`DROP TABLE headwater.prediction_planted`, "model:gone: found predictions of it, expected a model of that name"},
		{"views read at no run", `UPDATE headwater.run_view_input SET seq = 8`, `UPDATE headwater.run_view_input SET seq = 1`,
			"run:over@1/1: found rows read as of sequence 8 of delays@1, expected a published run of it"},
		{"views not read", `UPDATE headwater.run_view_input SET view_id = $1`, `UPDATE headwater.run_view_input SET view_id = (SELECT view_id FROM headwater.dataset_view)`,
			"run:over@1/1: found nothing of what it read of view delays, expected what it read of each view of the definition"},
		{"a dataset of a view that is gone", `UPDATE headwater.dataset SET manifest = jsonb_set(manifest, '{views,0,version}', '4')`, `UPDATE headwater.dataset SET manifest = jsonb_set(manifest, '{views,0,version}', '1')`,
			dataset + ": found made of delays@4, expected a definition of that version"},
		{"a dataset of a run that is gone", `UPDATE headwater.dataset_view SET seq = 6`, `UPDATE headwater.dataset_view SET seq = 1`,
			dataset + ": found read as of sequence 1 of delays@1, expected sequence 6, as its lineage says\n" + dataset + ": found rows of sequence 6 of delays@1, expected a published run of it"},
		{"a dataset that leads nowhere", `DELETE FROM headwater.dataset_view`, `INSERT INTO headwater.dataset_view SELECT s.id, d.id, 1 FROM headwater.dataset s, headwater.definition d WHERE d.kind = 'view' AND d.name = 'delays'`,
			dataset + ": found read as of sequence 1 of delays@1, expected its lineage to say so"},
		{"a dataset of no service", `UPDATE headwater.dataset SET service_version = 9`, `UPDATE headwater.dataset SET service_version = 1`,
			dataset + ": found service small@9, expected a definition of that version"},
		{"a dataset of the future", `UPDATE headwater.dataset SET position = 90`, `UPDATE headwater.dataset SET position = 4`, dataset + ": found position 90, expected at most that of the last publication, 4"},
		{"a history of nothing", `CREATE TABLE headwater_history.lost_v3 (n int)`, `DROP TABLE headwater_history.lost_v3`,
			"table headwater_history.lost_v3: found a history of no definition, expected a view version of that name"},
		{"a view without a history", `ALTER TABLE headwater_history.recent_v1 RENAME TO recent_v9`, `ALTER TABLE headwater_history.recent_v9 RENAME TO recent_v1`,
			"table headwater_history.recent_v9: found a history of no definition, expected a view version of that name\n" +
				"view:recent@1: found no history, expected a table headwater_history.recent_v1"},
		{"what a run read that has no sequence", `WITH r AS (INSERT INTO headwater.run OVERRIDING SYSTEM VALUE
				SELECT (jsonb_populate_record(r, '{"id": 9000, "seq": null, "state": "queued", "position": null}')).* FROM headwater.run r WHERE view_id = $1 RETURNING id)
			INSERT INTO headwater.run_load SELECT id, 77, 1 FROM r`, `WITH l AS (DELETE FROM headwater.run_load WHERE run_id = 9000) DELETE FROM headwater.run WHERE id = 9000`,
			"run id 9000: found rows read of load 77, which is not there, expected a load of a source that it read"},
		{"what is of runs that are gone", `INSERT INTO headwater.run_span VALUES (5000, 4000, 1, 2, 0)`, `DELETE FROM headwater.run_span WHERE run_id = 5000`,
			"run id 5000: found sequences at which it is behind its view, expected a run of that id"},
		{"what is of definitions that are gone", `INSERT INTO headwater.column_edge VALUES (4000, NULL, 'a', 1, 'flights', NULL, 'delay', now())`, `DELETE FROM headwater.column_edge WHERE definition_id = 4000`,
			"definition id 4000: found what its columns are made of, expected a definition of that id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.plant != "" {
				p.force(c.plant, id)
			}
			orphans, _, err := p.checkLineage(p.admin)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(orphans)
			found := strings.Join(orphans, "\n")
			if i := strings.Index(found, "with fingerprint "); i >= 0 {
				found = found[:i+len("with fingerprint ")] + "FP" + found[i+len("with fingerprint ")+64:]
			}
			if found != c.want {
				t.Errorf("found\n%s\nexpected\n%s", found, c.want)
			}
			p.force(c.undo, id)
		})
	}
	p.checked()

	// Online: a value of a run that there is none of, one that nobody can read, and one of no view.
	ctx := context.Background()
	key := "hw:airport:ORD"
	field := fmt.Sprint(id)
	row := p.server.redis.HGet(ctx, key, field).Val()
	h, err := online.DecodeHeader(row)
	if err != nil {
		t.Fatal(err)
	}
	h.Seq, h.RunSeq = 44, 44
	layout := online.NewLayout(p.server.registry.Catalog().NewestView("recent").Stored())
	other, err := layout.Append(nil, h, []feature.Value{feature.Float64(3)})
	if err != nil {
		t.Fatal(err)
	}
	h.RunSeq = 1
	later, err := layout.Append(nil, h, []feature.Value{feature.Float64(3)})
	if err != nil {
		t.Fatal(err)
	}
	p.server.redis.HSet(ctx, key, "9999", row)
	for _, c := range []struct{ value, want string }{
		{string(other), "view:recent@1: found 1 online value of sequence 44, which is no published run's, expected a published run recent@1/44"},
		{string(later), "view:recent@1: found 1 online value loaded as of sequence 44, which is no published run's, expected a published run recent@1/44"},
		{"x", "view:recent@1: found 1 online value that cannot be read: "},
	} {
		p.server.redis.HSet(ctx, key, field, c.value)
		orphans, _, err := p.checkLineage(p.admin)
		if err != nil || len(orphans) != 2 || orphans[0] != `entity airport: found 1 online value of field "9999", which is no view version's, expected the id of a view version of the entity` &&
			orphans[1] != `entity airport: found 1 online value of field "9999", which is no view version's, expected the id of a view version of the entity` || !strings.HasPrefix(orphans[0], c.want) && !strings.HasPrefix(orphans[1], c.want) {
			t.Errorf("found %q, %v, expected %s", orphans, err, c.want)
		}
	}
	// More ways than are told of are counted.
	var fields []any
	for n := range 1002 {
		fields = append(fields, fmt.Sprintf("none%04d", n), row)
	}
	p.server.redis.HSet(ctx, key, fields...)
	orphans, all, err := p.checkLineage(p.admin)
	if want := "entity airport: found 4 online values that do not resolve, in other ways than the 1000 before this, expected none"; err != nil || int64(len(orphans)) != all.GetOrphans() ||
		len(orphans) != 1001 || orphans[1000] != want {
		t.Errorf("found %d orphans, the last of them %q, and %v, expected %q", len(orphans), orphans[len(orphans)-1], err, want)
	}
	for n := range 1002 {
		p.server.redis.HDel(ctx, key, fmt.Sprintf("none%04d", n))
	}
	// Of other views alone there is nothing to find.
	if orphans, all, err := p.checkLineage(p.admin, "delays", "over@1"); err != nil || len(orphans) > 0 || all.GetTotal() != 3 || all.GetDatasets() != 1 || all.GetOnline() != 4 {
		t.Errorf("found %q, %v and %v", orphans, all, err)
	}
	if orphans, _, err := p.checkLineage(p.as("ann", "all"), "recent"); err != nil || len(orphans) != 1 {
		t.Errorf("found %q and %v", orphans, err)
	}

	_, _, err = p.checkLineage(p.as("sue", "some"))
	wantFault(t, err, fault.PermissionDenied, "sue may not read_lineage catalog:*: no grant of read_lineage on catalog:* in roles [some]; whoever administers the roles can change that")
	_, _, err = p.checkLineage(p.admin, "delay")
	wantFault(t, err, fault.NotFound, "found no view called \"delay\"; did you mean delays?")
	_, _, err = p.checkLineage(p.admin, "mix")
	wantFault(t, err, fault.InvalidArgument, "view mix@1: found on-demand features, which are computed when they are read, expected a view whose rows are kept")
}

// force does what no foreign key, check or trigger holds back. $1 is a number.
func (p *product) force(sql string, n int64) {
	p.t.Helper()
	ctx := context.Background()
	err := pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		args := []any{n}
		if !strings.Contains(sql, "$1") {
			args = nil
		}
		_, err := tx.Exec(ctx, sql, args...)
		return err
	})
	if err != nil {
		p.t.Fatalf("%s: %v", sql, err)
	}
}
