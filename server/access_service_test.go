package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func serveAccess(t *testing.T) (*guarded, headwaterv1.AccessServiceClient) {
	t.Helper()
	g := serve(t, func(g *guarded, server *grpc.Server) {
		policy := access.NewPolicy(fixtureRoles())
		headwaterv1.RegisterAccessServiceServer(server,
			NewAccessService(g.pool, func() *access.Policy { return policy }, g.audit, access.NewSecrets(g.pool), nil, nil))
	})
	return g, headwaterv1.NewAccessServiceClient(g.conn)
}

func TestLifeOfAToken(t *testing.T) {
	g, client := serveAccess(t)
	admin := g.as("admin")
	created, err := client.CreateToken(admin, &headwaterv1.CreateTokenRequest{
		Principal: "boss", Roles: []string{"auditor", "admin"}, Ttl: durationpb.New(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	token := created.GetToken()
	if token.GetPrincipal() != "boss" || token.GetCreatedBy() != "the_admin" || !slices.Equal(token.GetRoles(), []string{"auditor", "admin"}) ||
		token.GetExpiresAt().AsTime().Sub(token.GetCreatedAt().AsTime()) != time.Hour || token.GetRevokedAt() != nil ||
		!strings.HasPrefix(created.GetSecret(), "hw_"+token.GetId()+"_") {
		t.Errorf("created %v", created)
	}
	boss := withToken(created.GetSecret())
	listed, err := client.ListTokens(boss, &headwaterv1.ListTokensRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(listed.GetTokens()); n != 2 || listed.GetTokens()[1].String() != token.String() {
		t.Errorf("listed %v", listed)
	}
	secret := strings.TrimPrefix(created.GetSecret(), "hw_"+token.GetId()+"_")
	if strings.Contains(listed.String(), secret) || strings.Contains(g.log.String(), secret) {
		t.Error("the secret is shown a second time")
	}
	revoked, err := client.RevokeToken(boss, &headwaterv1.RevokeTokenRequest{Id: token.GetId()})
	if err != nil || revoked.GetToken().GetRevokedAt() == nil {
		t.Fatalf("got %v, %v", revoked, err)
	}
	// Until the bound has passed the server may still take it.
	for err == nil {
		time.Sleep(10 * time.Millisecond)
		_, err = client.ListTokens(boss, &headwaterv1.ListTokensRequest{})
	}
	wantFault(t, err, fault.Unauthenticated, fmt.Sprintf("token %s was revoked at %s; use another, or have one made with "+
		"`headwater token create`", token.GetId(), revoked.GetToken().GetRevokedAt().AsTime().Format(time.RFC3339)))

	_, err = client.RevokeToken(admin, &headwaterv1.RevokeTokenRequest{Id: "nosuch"})
	wantFault(t, err, fault.NotFound, "there is no token \"nosuch\"; `headwater token list` shows the ids")
}

func TestATokenWithAttributesAndScopes(t *testing.T) {
	g, client := serveAccess(t)
	admin := g.as("admin")
	created, err := client.CreateToken(admin, &headwaterv1.CreateTokenRequest{
		Principal: "lister", Roles: []string{"admin"}, Scopes: []string{"read_audit:system:*"},
		Attributes: map[string]*headwaterv1.AttributeValues{"region": {Values: []string{"UK", "FR"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := created.GetToken(); !slices.Equal(got.GetScopes(), []string{"read_audit:system:*"}) ||
		!slices.Equal(got.GetAttributes()["region"].GetValues(), []string{"FR", "UK"}) {
		t.Errorf("created %v", got)
	}
	listed, err := client.ListTokens(admin, &headwaterv1.ListTokensRequest{})
	if err != nil || listed.GetTokens()[1].String() != created.GetToken().String() {
		t.Errorf("listed %v, %v, want %v", listed, err, created.GetToken())
	}
	lister := withToken(created.GetSecret())
	if _, err := client.ListAuditRecords(lister, &headwaterv1.ListAuditRecordsRequest{}); err != nil {
		t.Error(err)
	}
	_, err = client.ListTokens(lister, &headwaterv1.ListTokensRequest{})
	wantFault(t, err, fault.PermissionDenied, "lister may not administer system:*: its token is without the scope administer:system:*, "+
		"whatever its roles allow; it has [read_audit:system:*]; use a token with that scope, or have one made")

	_, err = client.CreateToken(admin, &headwaterv1.CreateTokenRequest{Principal: "p", Roles: []string{"admin"}, Scopes: []string{"list"}})
	wantFault(t, err, fault.InvalidArgument, "a token cannot be like this\n"+
		"  scopes[0]: found \"list\", expected ACTION:KIND:PATTERN, such as read_online:service:delay_*")
}

func TestTokensThatAreRefused(t *testing.T) {
	g, client := serveAccess(t)
	admin := g.as("admin")
	for _, c := range []struct {
		request *headwaterv1.CreateTokenRequest
		message string
	}{
		{
			&headwaterv1.CreateTokenRequest{Principal: "p", Roles: []string{"modle"}},
			"a token can only have roles that there are\n  roles[0]: found role \"modle\", which is not defined; " +
				"`headwater list roles` shows those that are, and admin is built in",
		},
		{
			&headwaterv1.CreateTokenRequest{Principal: "p q", Roles: []string{"model"}},
			"the request does not hold to its rules\n  principal: found \"p q\": does not match regex pattern `^[a-zA-Z0-9][a-zA-Z0-9._@/-]*$`",
		},
		{
			&headwaterv1.CreateTokenRequest{Principal: "p"},
			"the request does not hold to its rules\n  roles: found 0 of them: must contain at least 1 item(s)",
		},
		{
			&headwaterv1.CreateTokenRequest{Principal: "p", Roles: []string{"model"}, Ttl: durationpb.New(-time.Second)},
			"the request does not hold to its rules\n  ttl: must be greater than 0s",
		},
	} {
		_, err := client.CreateToken(admin, c.request)
		wantFault(t, err, fault.InvalidArgument, c.message)
	}
	listed, err := client.ListTokens(admin, &headwaterv1.ListTokensRequest{})
	if err != nil || len(listed.GetTokens()) != 1 {
		t.Errorf("got %v, %v, want the admin's token alone", listed, err)
	}
}

func TestListAuditRecords(t *testing.T) {
	g, client := serveAccess(t)
	before := time.Now()
	if _, err := client.ListTokens(g.as("model"), &headwaterv1.ListTokensRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("got %v, want PERMISSION_DENIED", err)
	}
	if _, err := client.ListTokens(context.Background(), &headwaterv1.ListTokensRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("got %v, want UNAUTHENTICATED", err)
	}
	auditor := g.as("auditor")
	response, err := client.ListAuditRecords(auditor, &headwaterv1.ListAuditRecordsRequest{Since: timestamppb.New(before)})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, r := range response.GetRecords() {
		got = append(got, fmt.Sprintf("%s %s %s %s %s", r.GetDecision(), r.GetPrincipal(), r.GetAction(), r.GetResource(), r.GetMethod()))
		if r.GetNumber() != int64(i+1) || len(r.GetWriter()) != 32 || r.GetTime().AsTime().Before(before.Truncate(time.Microsecond)) {
			t.Errorf("record %d: %v", i, r)
		}
	}
	want := []string{
		"DECISION_DENIED the_model ACTION_ADMINISTER system:* /headwater.v1.AccessService/ListTokens",
		"DECISION_DENIED  ACTION_ADMINISTER  /headwater.v1.AccessService/ListTokens",
		"DECISION_ALLOWED the_auditor ACTION_READ_AUDIT system:* /headwater.v1.AccessService/ListAuditRecords",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	response, err = client.ListAuditRecords(auditor, &headwaterv1.ListAuditRecordsRequest{Principal: "the_model", PageSize: 1})
	if err != nil || len(response.GetRecords()) != 1 || response.GetRecords()[0].GetPrincipal() != "the_model" {
		t.Errorf("got %v, %v", response, err)
	}
}
