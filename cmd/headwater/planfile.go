package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/definition"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
)

// planFile is what `plan --out` keeps: enough to refuse an apply of anything else.
type planFile struct {
	RegistryRevision int64 `json:"registry_revision"`
	// Definitions is the digest of what the files define, wherever they are and however they are laid out, and of the flags.
	Definitions string   `json:"definitions_sha256"`
	Prune       bool     `json:"prune,omitempty"`
	Retire      bool     `json:"retire,omitempty"`
	Changes     []string `json:"changes"`
}

func writePlan(path string, set *definition.Set, end ending, plan *headwaterv1.PlanResponse) error {
	digest, err := digestOf(set, end)
	if err != nil {
		return err
	}
	p := planFile{RegistryRevision: plan.RegistryRevision, Definitions: digest, Prune: end.prune, Retire: end.retire, Changes: []string{}}
	for _, c := range plan.Changes {
		p.Changes = append(p.Changes, changeSigns[c.Kind]+" "+kindName(c.DefinitionKind)+":"+c.Name+"@"+number(c.Version))
	}
	content, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	out, err := tabular.Create(path)
	if err != nil {
		return err
	}
	defer out.Abort()
	if _, err := out.Write(append(content, '\n')); err != nil {
		return err
	}
	return out.Commit()
}

func readPlan(path string) (*planFile, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.NotFound, "%s: the plan cannot be read; make one with `headwater plan PATH… --out %[1]s`", path).Because(err)
	}
	var p planFile
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil || len(p.Definitions) != 2*sha256.Size {
		return nil, fault.New(fault.InvalidArgument, "%s: found something else than a plan, expected what `headwater plan --out` writes", path).Because(err)
	}
	return &p, nil
}

func (p *planFile) check(path string, set *definition.Set, end ending) error {
	if planned := (ending{p.Prune, p.Retire}); planned != end {
		return fault.New(fault.StalePlan, "%s: found an apply %s, expected one %s as planned; give the same flags, or plan again",
			path, end.text(), planned.text())
	}
	found, err := digestOf(set, end)
	if err != nil {
		return err
	}
	if found != p.Definitions {
		return fault.New(fault.StalePlan, "%s: found definitions with digest %s, expected %s as planned; they changed since, so plan again",
			path, short(found), short(p.Definitions))
	}
	return nil
}

// text is the flags in words.
func (e ending) text() string {
	switch {
	case e.retire:
		return "with --prune --retire"
	case e.prune:
		return "with --prune"
	}
	return "without --prune"
}

// digestOf does not depend on the files' paths nor on their order.
func digestOf(set *definition.Set, end ending) (string, error) {
	var parts [][]byte
	for _, f := range set.Files {
		encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(f.File)
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256(encoded)
		parts = append(parts, sum[:])
	}
	slices.SortFunc(parts, bytes.Compare)
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(parts))))
	for _, p := range parts {
		h.Write(p)
	}
	if end.prune {
		h.Write([]byte(end.text()))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
