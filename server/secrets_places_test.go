package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// Of every secret that a server holds, none is in what it logs, answers, keeps, measures or traces.
func TestNoSecretIsInAnyPlace(t *testing.T) {
	spans, otlp := startCollector(t)
	log := &logged{}
	folder := t.TempDir()
	key := filepath.Join(folder, "key.pem")
	if err := os.WriteFile(key, []byte("-----BEGIN PRIVATE KEY-----\nUGxhbnRlZC1UTFMta2V5\n-----END PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := Config{
		PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), OTLPEndpoint: otlp, TraceShare: 1, ResultsDir: filepath.Join(folder, "kept"),
		ReadLogDir: filepath.Join(folder, "reads"), SlowRead: time.Nanosecond,
		SourceDatabases: map[string]string{"planted": "postgres://reader:Planted-Source-Password@127.0.0.1:1/x"},
		Log:             slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	var told bytes.Buffer
	note := func(m proto.Message, err error) {
		if err != nil {
			fmt.Fprintln(&told, err, fault.FromError(err))
			return
		}
		fmt.Fprintln(&told, prototext.Format(m))
	}
	bad := config
	bad.TLS, bad.AuditDir = TLS{CertFile: key, KeyFile: key}, filepath.Join(folder, "audit-bad")
	if s, err := Open(context.Background(), bad); err == nil {
		s.Close(context.Background())
		t.Error("a server with no certificate opened")
	} else {
		fmt.Fprintln(&told, err)
	}

	p := openProductWith(t, config)
	hash := policy("hashed", "feature:delays.words", func(p *feature.Policy) {
		p.Mask, p.ExceptRoles = &feature.Mask{Kind: feature.MaskHash, Key: "k"}, []string{"whole"}
	})
	d := readers(hash, policy("own_places", "view:recent", ownPlaces))
	column(d, "words").Tags = []string{"pii"}
	d.Services[0].Log = "all"
	p.apply(d)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34))), 0)
	p.materialize("delays", "recent", "traffic")
	r, err := p.access.CreateToken(p.admin, &headwaterv1.CreateTokenRequest{Principal: "reader", Roles: []string{"reader"}})
	if err != nil {
		t.Fatal(err)
	}
	token := r.GetSecret()
	_, secret, _ := strings.Cut(strings.TrimPrefix(token, "hw_"), "_")
	jwt := "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJQbGFudGVkIn0.UGxhbnRlZFNpZ25hdHVyZQ"

	reader := withToken(token)
	read, err := p.online.GetFeatures(reader, &headwaterv1.GetFeaturesRequest{Service: "model", Purpose: token, PredictionId: jwt,
		Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD"), "number": numbers(7)}})
	note(read, err)
	read, err = p.online.GetFeatures(reader, &headwaterv1.GetFeaturesRequest{Service: "model", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD"), "number": numbers(7)}})
	note(read, err)
	got, err := p.reads().GetRead(p.admin, &headwaterv1.GetReadRequest{ReadId: read.GetReadId()})
	note(got, err)
	_, m, err := p.build(reader, "model", &headwaterv1.BuildDatasetHeader{Name: "d", AllowPartial: true}, spineOf(asked("ORD", 7, time.Now())).arrow(t))
	note(m, err)
	for _, ctx := range []context.Context{p.admin, reader, p.as("nobody", "west"), withToken(token + "x"), withToken(token[:len(token)-1] + "0"), withToken(jwt), withToken(config.PostgresURL)} {
		for _, about := range []string{"view:delays", "service:model", "feature:delays.words", "policy:hashed", "view:" + token, "view:" + jwt} {
			e, err := p.access.ExplainAccess(ctx, &headwaterv1.ExplainAccessRequest{Action: readOffline, Resource: about})
			note(e, err)
		}
		matrix, err := p.access.GetAccessMatrix(ctx, &headwaterv1.GetAccessMatrixRequest{Resources: []string{"view:*", "view:" + token}})
		note(matrix, err)
		for kind := range headwaterv1.DefinitionKind_name {
			list, err := p.registry.ListDefinitions(ctx, &headwaterv1.ListDefinitionsRequest{Kind: headwaterv1.DefinitionKind(kind)})
			note(list, err)
			for _, one := range list.GetDefinitions() {
				described, err := p.registry.GetDefinition(ctx, &headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind(kind), Name: one.GetName()})
				note(described, err)
			}
		}
		tokens, err := p.access.ListTokens(ctx, &headwaterv1.ListTokensRequest{})
		note(tokens, err)
		keys, err := p.access.ListMaskKeys(ctx, &headwaterv1.ListMaskKeysRequest{})
		note(keys, err)
		revoked, err := p.access.RevokeToken(ctx, &headwaterv1.RevokeTokenRequest{Id: token})
		note(revoked, err)
		lineage, err := p.lineage.GetLineage(ctx, &headwaterv1.GetLineageRequest{Node: "view:delays", Direction: headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP})
		note(lineage, err)
	}
	// A table of others, in a database that is away.
	away := readers()
	away.Sources = append(away.Sources, feature.Source{Name: "others", EventTime: "date", Columns: d.Sources[0].Columns, Postgres: &feature.PostgresOrigin{Database: "planted", Schema: "public", Table: "t"}})
	note(&headwaterv1.ApplyResponse{}, p.tryApply(p.admin, away))
	records, err := p.access.ListAuditRecords(p.admin, &headwaterv1.ListAuditRecordsRequest{PageSize: 10_000})
	note(records, err)
	scraped := httptest.NewRecorder()
	p.server.MetricsHandler().ServeHTTP(scraped, httptest.NewRequest("GET", "/metrics", nil))

	ctx := context.Background()
	var hashed, logKey []byte
	if err := p.pool.QueryRow(ctx, `SELECT secret FROM headwater.mask_key WHERE name = 'k'`).Scan(&hashed); err != nil {
		t.Fatal(err)
	}
	if err := p.pool.QueryRow(ctx, `SELECT key FROM headwater.read_log_key LIMIT 1`).Scan(&logKey); err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{"a token": secret, "a JWT": "UGxhbnRlZFNpZ25hdHVyZQ", "a JWT's claims": "eyJzdWIi", "a password of a source": "Planted-Source-Password", "a TLS key": "UGxhbnRlZC1UTFMta2V5"}
	for what, raw := range map[string][]byte{"a key of masks": hashed, "a key of logged reads": logKey} {
		secrets[what], secrets[what+" in hex"], secrets[what+" in base64"] = string(raw), hex.EncodeToString(raw), strings.TrimRight(base64.StdEncoding.EncodeToString(raw), "=")
	}
	for what, address := range map[string]string{"Postgres' password": config.PostgresURL, "Redis' password": config.RedisURL} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if password, set := u.User.Password(); set && len(password) > 8 {
			secrets[what] = password
		}
	}

	places := map[string]string{"answers and errors": told.String(), "metrics": scraped.Body.String()}
	rows, err := p.pool.Query(ctx, `SELECT tablename FROM pg_tables WHERE schemaname IN ('headwater', 'public') AND tablename NOT IN ('mask_key', 'read_log_key')`)
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	rows.Close()
	for _, name := range tables {
		var text string
		err := p.pool.QueryRow(ctx, fmt.Sprintf(`SELECT coalesce(string_agg(t::text, E'\n'), '') FROM %q t`, name)).Scan(&text)
		if err != nil {
			err = p.pool.QueryRow(ctx, fmt.Sprintf(`SELECT coalesce(string_agg(t::text, E'\n'), '') FROM headwater.%q t`, name)).Scan(&text)
		}
		if err != nil {
			t.Fatal(err)
		}
		places["table "+name] = text
	}
	p.close()
	places["the log"] = log.String()
	spans.mu.Lock()
	for _, s := range spans.spans {
		places["traces"] += prototext.Format(s)
	}
	spans.mu.Unlock()
	for path, text := range testenv.Files(t, folder) {
		if path != key {
			places["file "+filepath.Base(path)] = text
		}
	}
	for where, text := range places {
		for what, planted := range secrets {
			if i := strings.Index(text, planted); i >= 0 {
				t.Errorf("%s is in %s: …%s…", what, where, text[max(0, i-200):i])
			}
		}
	}
	if len(secrets) < 12 || len(places) < 20 || len(places["traces"]) == 0 || len(places["the log"]) == 0 || !strings.Contains(places["table audit_record"], "ExplainAccess") {
		t.Errorf("found %d secrets and %d places, with %d bytes of traces and %d of logs: the test does not see what it is for", len(secrets), len(places), len(places["traces"]), len(places["the log"]))
	}
}
