package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// clientConfig writes the file of clients and clears the environment of what it may say.
func clientConfig(t *testing.T, content string) string {
	t.Helper()
	for _, name := range clientNames {
		t.Setenv(name, "")
	}
	file := filepath.Join(t.TempDir(), "client.env")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(configName, file)
	return file
}

func TestWhereAClientCalls(t *testing.T) {
	folder := t.TempDir()
	tokenFile := filepath.Join(folder, "token")
	if err := os.WriteFile(tokenFile, []byte("hw_of_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := "# what dev wrote\nHEADWATER_SERVER=store.example:7411\n\n HEADWATER_TOKEN_FILE = " + tokenFile + "\nHEADWATER_TLS=1\n"
	for name, c := range map[string]struct {
		app         app
		environment map[string]string
		want        connection
	}{
		"the file":              {app{}, nil, connection{server: "store.example:7411", token: "hw_of_file", encrypted: true}},
		"a token of the caller": {app{token: "hw_mine"}, nil, connection{server: "store.example:7411", token: "hw_mine", encrypted: true}},
		"of the environment": {app{}, map[string]string{tokenName: "hw_env", tlsName: "0"},
			connection{server: "store.example:7411", token: "hw_env"}},
		// A token goes to the server that it is for.
		"another server":                    {app{server: "other:1"}, nil, connection{server: "other:1"}},
		"another server of the environment": {app{}, map[string]string{serverName: "other:1"}, connection{server: "other:1"}},
		"all of the environment": {app{}, map[string]string{serverName: "other:1", tokenFileName: tokenFile, caFileName: "ca.pem"},
			connection{server: "other:1", token: "hw_of_file", encrypted: true, caFile: "ca.pem"}},
	} {
		t.Run(name, func(t *testing.T) {
			clientConfig(t, file)
			for name, value := range c.environment {
				t.Setenv(name, value)
			}
			if found, err := c.app.connection(); err != nil || found != c.want {
				t.Errorf("found %+v, %v\nexpected %+v", found, err, c.want)
			}
		})
	}
}

func TestTheFileOfClientsIsWhereItBelongs(t *testing.T) {
	clientConfig(t, "")
	folder := t.TempDir()
	t.Setenv(configName, "")
	t.Setenv("XDG_CONFIG_HOME", folder)
	t.Setenv("HOME", folder)
	if found, err := (&app{}).connection(); err != nil || found.server != "127.0.0.1:7411" || found.token != "" {
		t.Errorf("found %+v, %v, expected the default, without a file", found, err)
	}
	config, err := os.UserConfigDir()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(config, "headwater"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(config, "headwater", "client.env"), []byte("HEADWATER_SERVER=a:1\nHEADWATER_TOKEN=hw_x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := (&app{}).connection(); err != nil || found.server != "a:1" || found.token != "hw_x" {
		t.Errorf("found %+v, %v, expected what the file says", found, err)
	}
}

func TestMistakesInTheFileOfClients(t *testing.T) {
	const names = ", expected NAME=VALUE with one of HEADWATER_SERVER, HEADWATER_TOKEN, HEADWATER_TOKEN_FILE, HEADWATER_TLS, HEADWATER_CA_FILE, " +
		"HEADWATER_CERT_FILE, HEADWATER_KEY_FILE"
	for content, want := range map[string]string{
		"HEADWATER_SERVER=a:1\nhw_secret\n":                 "client configuration FILE:2: found no =" + names,
		"SERVER=a:1":                                        "client configuration FILE:1: found the name SERVER" + names,
		"HEADWATER_TLS=maybe":                               `HEADWATER_TLS: found "maybe", expected 1 or 0`,
		"HEADWATER_CERT_FILE=c.pem":                         "found one of HEADWATER_CERT_FILE and HEADWATER_KEY_FILE, expected both, or neither",
		"HEADWATER_TOKEN_FILE=/nowhere/token":               "HEADWATER_TOKEN_FILE: file /nowhere/token: no such file or directory; check the path",
		"HEADWATER_CA_FILE=/nowhere/ca.pem":                 "HEADWATER_CA_FILE: file /nowhere/ca.pem: no such file or directory; check the path",
		"HEADWATER_CERT_FILE=/n/c\nHEADWATER_KEY_FILE=/n/k": "HEADWATER_CERT_FILE and HEADWATER_KEY_FILE: open /n/c: no such file or directory; expected a certificate and its key, in PEM",
	} {
		file := clientConfig(t, content)
		r := headwater("list", "views")
		want = "headwater: " + strings.Replace(want, "configuration FILE", "configuration "+file, 1)
		if r.code != exitUsage || !strings.HasPrefix(r.err, want) || strings.Contains(r.err, "hw_secret") {
			t.Errorf("%q: found status %d and %q, expected 2 and %q", content, r.code, r.err, want)
		}
	}
	clientConfig(t, "")
	t.Setenv(configName, "/nowhere/client.env")
	if r := headwater("list", "views"); r.code != exitUsage || !strings.HasPrefix(r.err, "headwater: client configuration /nowhere/client.env: no such file or directory; correct the path in HEADWATER_CONFIG") {
		t.Errorf("found status %d and %q", r.code, r.err)
	}
}
