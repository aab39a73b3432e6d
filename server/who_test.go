package server

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func TestBreakGlass(t *testing.T) {
	g, client := serveAccess(t)
	ctx := context.Background()
	var err error
	if g.guard.Elevations, err = access.FollowElevations(ctx, g.pool, slog.New(slog.NewTextHandler(g.log, nil))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.guard.Elevations.Close)
	oncall := g.as("oncall")
	hour := durationpb.New(time.Hour)
	tokens := func() error {
		_, err := client.ListTokens(oncall, &headwaterv1.ListTokensRequest{})
		return err
	}
	if err := tokens(); status.Code(err) != codes.PermissionDenied {
		t.Fatalf("got %v before", err)
	}
	_, err = client.Elevate(g.as("model"), &headwaterv1.ElevateRequest{Role: "admin", Duration: hour, Reason: "I may"})
	wantFault(t, err, fault.PermissionDenied, "the_model may not administer role:admin: none of the roles [model] may elevate to it; whoever administers the roles can change that")
	_, err = client.Elevate(oncall, &headwaterv1.ElevateRequest{Role: "admin", Duration: durationpb.New(2 * time.Hour), Reason: "long"})
	wantFault(t, err, fault.InvalidArgument, "found 2h0m0s for an elevation to role admin, expected more than nothing and at most 1h0m0s, as role oncall says")

	taken, err := client.Elevate(oncall, &headwaterv1.ElevateRequest{Role: "admin", Duration: hour, Reason: "the store is down"})
	if err != nil {
		t.Fatal(err)
	}
	if e := taken.GetElevation(); e.GetPrincipal() != "the_oncall" || e.GetRole() != "admin" || e.GetUntil().AsTime().Sub(e.GetFrom().AsTime()) != time.Hour || e.GetEndedAt() != nil {
		t.Errorf("got %v", e)
	}
	// Until the bound has passed the server may not know.
	for err = tokens(); status.Code(err) == codes.PermissionDenied; err = tokens() {
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	records := g.records()
	if last := records[len(records)-1]; last.Reason != "break glass: the store is down; role admin allows everything" || strings.Join(last.Roles, " ") != "oncall admin" {
		t.Errorf("recorded %+v", last)
	}
	if !strings.Contains(g.log.String(), "BREAK GLASS") {
		t.Errorf("the log does not say so: %s", g.log)
	}
	listed, err := client.ListElevations(g.as("auditor"), &headwaterv1.ListElevationsRequest{})
	if err != nil || len(listed.GetElevations()) != 1 || listed.GetElevations()[0].String() != taken.GetElevation().String() {
		t.Errorf("listed %v, %v", listed, err)
	}

	if _, err := client.EndElevation(g.as("model"), &headwaterv1.EndElevationRequest{Principal: "the_oncall"}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("ended by somebody else: got %v", err)
	}
	ended, err := client.EndElevation(oncall, &headwaterv1.EndElevationRequest{})
	if err != nil || len(ended.GetElevations()) != 1 || ended.GetElevations()[0].GetEndedBy() != "the_oncall" {
		t.Errorf("got %v, %v", ended, err)
	}
	for err = nil; err == nil; err = tokens() {
		time.Sleep(10 * time.Millisecond)
	}
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("got %v after", err)
	}
	_, err = client.EndElevation(oncall, &headwaterv1.EndElevationRequest{})
	wantFault(t, err, fault.NotFound, "the_oncall has taken no role that is in force; `headwater access elevations` shows who has")
}

// Secrets come in the wrong places: nothing that outlives a call has them, and nothing that a call is answered with.
func TestPlantedSecretsAreNotShown(t *testing.T) {
	g, client := serveAccess(t)
	admin := g.as("admin")
	secret := strings.Repeat("S3cret", 7) + "X"
	token := "hw_abcdefghijklmnop_" + secret
	jwt := "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJQbGFudGVkIn0.UGxhbnRlZFNpZ25hdHVyZQ"
	url := "postgres://ana:Planted-Password@db.example/x"
	var told strings.Builder
	note := func(err error) {
		t.Helper()
		if err == nil {
			t.Error("a secret was taken for something else")
			return
		}
		told.WriteString(fault.FromError(err).Error() + "\n" + err.Error() + "\n")
	}
	for _, planted := range []string{token, jwt, url} {
		_, err := client.CreateToken(admin, &headwaterv1.CreateTokenRequest{Principal: planted, Roles: []string{"model"}})
		note(err)
		_, err = client.CreateToken(admin, &headwaterv1.CreateTokenRequest{
			Principal: "p", Roles: []string{"model"}, Scopes: []string{planted}, Attributes: map[string]*headwaterv1.AttributeValues{"a": {Values: []string{planted}}, planted: {Values: []string{"x"}}},
		})
		note(err)
		_, err = client.RevokeToken(admin, &headwaterv1.RevokeTokenRequest{Id: planted})
		note(err)
		_, err = client.BindCertificate(admin, &headwaterv1.BindCertificateRequest{Certificate: planted, Roles: []string{"model"}})
		note(err)
		_, err = client.UnbindCertificate(admin, &headwaterv1.UnbindCertificateRequest{Certificate: planted})
		note(err)
		_, err = client.Elevate(g.as("oncall"), &headwaterv1.ElevateRequest{Role: "admin", Duration: durationpb.New(time.Minute), Reason: planted})
		note(err)
		_, err = client.Elevate(g.as("oncall"), &headwaterv1.ElevateRequest{Role: planted, Duration: durationpb.New(time.Minute), Reason: "r"})
		note(err)
		_, err = client.EndElevation(admin, &headwaterv1.EndElevationRequest{Principal: planted})
		note(err)
		for _, header := range []string{planted, "Basic " + planted, "Bearer " + planted, "Bearer  " + planted, "Bearer " + planted + "x"} {
			_, err = client.ListTokens(metadata.AppendToOutgoingContext(context.Background(), "authorization", header), &headwaterv1.ListTokensRequest{})
			note(err)
		}
		if _, err := client.ListAuditRecords(admin, &headwaterv1.ListAuditRecordsRequest{Principal: planted, Resource: planted}); err != nil {
			t.Error(err)
		}
	}
	g.records()
	tokens, err := client.ListTokens(admin, &headwaterv1.ListTokensRequest{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := client.ListAuditRecords(admin, &headwaterv1.ListAuditRecordsRequest{PageSize: 10000})
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{"errors": told.String(), "the log": g.log.String(), "the list of tokens": tokens.String(), "the audit": all.String()}
	for _, table := range []string{"audit_record", "token", "binding", "elevation"} {
		var rows string
		if err := g.pool.QueryRow(context.Background(), `SELECT coalesce(string_agg(t::text, E'\n'), '') FROM headwater.`+table+` t`).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		shown["the table "+table] = rows
	}
	for where, text := range shown {
		for _, planted := range []string{"S3cret", "eyJzdWIi", "UGxhbnRlZFNpZ25hdHVyZQ", "Planted-Password"} {
			if i := strings.Index(text, planted); i >= 0 {
				t.Errorf("%s shows a secret: …%s…", where, text[max(0, i-80):min(len(text), i+40)])
			}
		}
	}
	if !strings.Contains(shown["errors"], "hw_abcdefghijklmnop_…") {
		t.Error("no error names a token by its id, so that this test does not see what it is for")
	}
}

func FuzzBearer(f *testing.F) {
	f.Add("Bearer hw_abcdefghijklmnop_"+strings.Repeat("0", 43), "")
	f.Add("bearer x", "bearer y")
	f.Add("Basic dXNlcjpwYXNz", "")
	f.Fuzz(func(t *testing.T, first, second string) {
		md := metadata.MD{"authorization": {first}}
		if second != "" {
			md["authorization"] = append(md["authorization"], second)
		}
		token, err := bearer(metadata.NewIncomingContext(context.Background(), md))
		switch {
		case err == nil && (second != "" || len(first) < 7 || !strings.EqualFold(first[:7], "bearer ") || first[7:] != token):
			t.Errorf("%q and %q were taken for %q", first, second, token)
		case err != nil && (token != "" || fault.ReasonOf(err) != fault.Unauthenticated):
			t.Errorf("%q and %q: got %q, %v", first, second, token, err)
		case err != nil && err.Error() != "found 2 authorization headers, expected one" && err.Error() != "found an authorization header of another scheme, expected `Bearer hw_…`":
			t.Errorf("%q and %q: the refusal says %v", first, second, err)
		}
	})
}
