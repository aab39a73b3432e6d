package definition

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// A folder that came from others holds links to what is not theirs: nothing of that is read, or shown in an error.
func TestAttackLinksOutOfFolders(t *testing.T) {
	write(t, map[string]string{"secret/key.yaml": "S3cret: S3cret\n", "theirs/good.yaml": good, "theirs/more/..data/real.yaml": "roles: []\n"})
	link := func(to, at string) {
		t.Helper()
		if err := os.Symlink(to, at); err != nil {
			t.Fatal(err)
		}
	}
	absolute, err := filepath.Abs("secret/key.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// Of a folder that is mounted, whose files are links within it.
	link("..data/real.yaml", "theirs/more/mounted.yaml")
	if _, err := Load([]string{"theirs"}); err != nil {
		t.Errorf("links within: found %v", err)
	}
	const out = ": found a link that leads out of the folder, expected a file in it; name the file that it leads to, if that is meant"
	for name, to := range map[string]string{"relative": "../secret/key.yaml", "absolute": absolute, "folder": "../secret", "device": "/dev/zero", "around": "more/../../secret/key.yaml"} {
		at := "theirs/" + name + ".yaml"
		link(to, at)
		if got := refused(t, "theirs").Error(); !strings.Contains(got, at+out) || strings.Contains(got, "S3cret") {
			t.Errorf("%s: found %s", name, got)
		}
		if err := os.Remove(at); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo("theirs/pipe.yaml", 0o600); err != nil {
		t.Fatal(err)
	}
	if got := refused(t, "theirs").Error(); !strings.Contains(got, "theirs/pipe.yaml: found something that is no file (p---------), expected definitions; remove it or call it otherwise") {
		t.Errorf("found %s", got)
	}
	// Who names a link means it.
	if err := os.Remove("theirs/pipe.yaml"); err != nil {
		t.Fatal(err)
	}
	link("theirs/good.yaml", "named.yaml")
	if _, err := Load([]string{"named.yaml"}); err != nil {
		t.Errorf("a link that is named: found %v", err)
	}
}

// Whatever stands in a file of policies, it is refused with its place, or is policies that are written and read again as they are.
func FuzzPolicies(f *testing.F) {
	for _, seed := range []string{
		"- name: own\n  resources: [view:delays]\n  row_filter: row.region in principal.regions\n",
		"- name: own\n  resources: [tag:pii]\n  except_roles: [whole]\n  mask: {hash: {key: k, per_purpose: true}}\n",
		"- name: own\n  resources: [view:*]\n  mask: {partial: {first: 1, last: 2, with: '*'}, compute_unmasked: [risk.*]}\n",
		"- name: own\n  resources: [source:s]\n  require: {purposes: [a], uses: [training], regions: [eu], licence: x}\n",
		"- name: own\n  resources: [view:d]\n  row_filter: \"row.a == 'x' || true\"\n  mask: {redact: {}}\n",
		"- name: &a own\n  resources: *a\n",
		"- {name: own, resources: [\"view:d\"], mask: {constant: .nan}}\n",
		"- name: own\n  resources: [view:d]\n  mask: {round: {to: 1e999}}\n",
		"- name: own\n  resources: [view:d]\n  mask: {bucket: {bounds: [1, 0]}}\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, violations := parse("p.yaml", []byte("policies:\n"+text))
		if len(violations) > 0 {
			for _, v := range violations {
				if v.Line == 0 || v.Description == "" {
					t.Errorf("found a violation without a place: %+v", v)
				}
			}
			return
		}
		d, _, violations := FromProto([]*headwaterv1.DefinitionSource{{Path: "p.yaml", File: parsed.file}})
		if len(violations) > 0 {
			return
		}
		if problems := d.Validate(nil); len(problems) > 0 {
			return
		}
		for i := range d.Policies {
			p := &d.Policies[i]
			again, _, violations := FromProto([]*headwaterv1.DefinitionSource{{Path: "p.yaml", File: ToProto(&feature.Definitions{Policies: []feature.Policy{*p}})}})
			if len(violations) > 0 || len(again.Policies) != 1 || again.Policies[0].Fingerprint() != p.Fingerprint() {
				t.Errorf("%+v became %+v, %v", p, again.Policies, violations)
			}
		}
	})
}
