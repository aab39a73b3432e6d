package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/internal/testenv"
)

// Another version of a service, of a view that is late, is refused by its gate while the one before is served; the command that the refusal says, by somebody else, lets it be applied.
func TestApproveService(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	t.Parallel()
	w := openShop(t, startServe(t, testenv.EmptyPostgresURL(t), testenv.RedisURL(t)))
	gated := strings.NewReplacer(
		"    grain: 1h\n", "    grain: 1h\n    freshness: {max_age: 1h}\n",
		"    serves_as_grant: true\n", "    serves_as_grant: true\n    gates: {serve: [freshness]}\n",
		"roles:\n", `roles:
  - name: approver
    grants:
      - {actions: [approve], resources: ["service:shop_model"]}
`).Replace(shopDefinitions)
	w.must(t, "apply", file(t, "gated.yaml", gated))
	other := file(t, "other.yaml", strings.Replace(gated, "      - {view: ratios, features: [ratio]}\n", "", 1))
	if plan := w.run("plan", other); plan.code != exitHasChange || !strings.Contains(plan.out, "gate freshness: found view totals@1 older than 1h") {
		t.Errorf("found status %d and the plan\n%s\nexpected a warning of the gate", plan.code, plan.out)
	}

	r := w.run("apply", other)
	if r.code != exitNotHeld || !strings.Contains(r.err, "nothing was applied, for service shop_model@2 is not to be served, and what is served goes on; "+
		"gate freshness: found view totals@1 older than 1h, expected views as new as they declare; to have newer rows: headwater materialize totals@1; to approve: ") {
		t.Fatalf("found status %d and\n%s\nexpected that the gate refuses", r.code, r.err)
	}
	w.expectServed(t, "a 4 25", "b 40 2")
	inputs := regexp.MustCompile(`headwater approve service shop_model --gate freshness --inputs ([0-9a-f]{64}) --reason R --expires T`).FindStringSubmatch(r.err)
	if inputs == nil {
		t.Fatalf("found no command in\n%s", r.err)
	}
	approve := []string{"approve", "service", "shop_model", "--gate", "freshness", "--inputs", inputs[1], "--reason", "the year 2001 is meant", "--expires", "72h"}
	if own := w.run(approve...); own.code == exitDone {
		t.Errorf("found that who applied may approve:\n%s", own.out)
	}
	token := strings.TrimSpace(w.must(t, "token", "create", "--principal", "grace", "--role", "approver"))
	if other := w.runAs(token, approve...); other.code != exitDone || !strings.Contains(other.out, "grace") {
		t.Fatalf("found status %d and\n%s%s", other.code, other.out, other.err)
	}
	if list := w.must(t, "approvals", "list"); !strings.Contains(list, "shop_model@2") || !strings.Contains(list, "grace") {
		t.Errorf("found the approvals\n%s", list)
	}
	w.must(t, "apply", other)
	if out := w.must(t, "list", "services"); !regexp.MustCompile(`shop_model\s+2\b`).MatchString(out) {
		t.Errorf("found the services\n%s\nexpected version 2", out)
	}
}
