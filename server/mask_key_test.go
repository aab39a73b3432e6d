package server

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func TestSecretsOfMasksStayInside(t *testing.T) {
	p := newProduct(t)
	ctx := context.Background()
	_, err := p.access.RotateMaskKey(p.admin, &headwaterv1.RotateMaskKeyRequest{Name: "customers"})
	wantFault(t, err, fault.NotFound, `found no mask key called "customers"; there is none yet, and one is made when a mask first hashes by it; `+"`headwater access list-keys` shows those that there are")
	if _, err := access.NewSecrets(p.pool).Newest(ctx, "customers"); err != nil {
		t.Fatal(err)
	}
	rotated, err := p.access.RotateMaskKey(p.admin, &headwaterv1.RotateMaskKeyRequest{Name: "customers"})
	if err != nil {
		t.Fatal(err)
	}
	if k := rotated.GetKey(); k.GetVersion() != 2 || k.GetName() != "customers" || k.GetCreatedAt() == nil || k.GetCreatedBy() == "" {
		t.Errorf("found %v", rotated)
	}
	keys, err := p.access.ListMaskKeys(p.admin, &headwaterv1.ListMaskKeysRequest{})
	if err != nil || len(keys.GetKeys()) != 2 || keys.GetKeys()[0].GetCreatedBy() != access.MaskKeyMaker {
		t.Errorf("found %v, %v", keys, err)
	}
	records, err := p.access.ListAuditRecords(p.admin, &headwaterv1.ListAuditRecordsRequest{})
	if err != nil || !strings.Contains(records.String(), "AccessService/RotateMaskKey") {
		t.Fatalf("found %v, %v", records, err)
	}
	shown := fmt.Sprint(rotated, keys, records, p.log.String())
	for version := range 2 {
		var secret []byte
		if err := p.pool.QueryRow(ctx, `SELECT secret FROM headwater.mask_key WHERE name = 'customers' AND version = $1`, version+1).Scan(&secret); err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{string(secret), hex.EncodeToString(secret), base64.StdEncoding.EncodeToString(secret), fmt.Sprint(secret)} {
			if strings.Contains(shown, form) {
				t.Errorf("found the secret of version %d as %q", version+1, form)
			}
		}
		noFileHolds(t, p.server.config.AuditDir, string(secret))
	}
}
