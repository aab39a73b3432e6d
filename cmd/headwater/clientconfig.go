package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Names of the environment, and of the file of clients, which the Python client reads too.
const (
	configName    = "HEADWATER_CONFIG"
	serverName    = "HEADWATER_SERVER"
	tokenName     = "HEADWATER_TOKEN"
	tokenFileName = "HEADWATER_TOKEN_FILE"
	tlsName       = "HEADWATER_TLS"
	caFileName    = "HEADWATER_CA_FILE"
	certFileName  = "HEADWATER_CERT_FILE"
	keyFileName   = "HEADWATER_KEY_FILE"
)

var clientNames = []string{serverName, tokenName, tokenFileName, tlsName, caFileName, certFileName, keyFileName}

// connection is which server is called, how and as whom.
type connection struct {
	server, token             string
	encrypted                 bool
	caFile, certFile, keyFile string
}

// connection takes what flags say, then the environment, then the file of clients. The file says who calls one server: where
// another one is named, nothing of it is used, so that a token is not sent to a server that it is not for.
func (a *app) connection() (connection, error) {
	file := map[string]string{}
	if a.server == "" && os.Getenv(serverName) == "" {
		var err error
		if file, err = readClientConfig(); err != nil {
			return connection{}, err
		}
	}
	get := func(name string) string { return first(os.Getenv(name), file[name]) }
	c := connection{
		server: first(a.server, get(serverName), client.DefaultServer),
		caFile: get(caFileName), certFile: get(certFileName), keyFile: get(keyFileName),
	}
	var tokenFile string
	switch {
	case a.token != "":
		c.token = a.token
	case os.Getenv(tokenName) != "" || os.Getenv(tokenFileName) != "":
		c.token, tokenFile = os.Getenv(tokenName), os.Getenv(tokenFileName)
	default:
		c.token, tokenFile = file[tokenName], file[tokenFileName]
	}
	if c.token == "" && tokenFile != "" {
		content, err := readSetting(tokenFileName, tokenFile)
		if err != nil {
			return c, err
		}
		c.token = string(content)
	}
	c.token = strings.TrimSpace(c.token)
	switch said := strings.ToLower(strings.TrimSpace(get(tlsName))); said {
	case "":
		c.encrypted = c.caFile != "" || c.certFile != ""
	case "0", "false", "1", "true":
		c.encrypted = said == "1" || said == "true"
	default:
		return c, usagef("%s: found %q, expected 1 or 0", tlsName, said)
	}
	if (c.certFile == "") != (c.keyFile == "") {
		return c, usagef("found one of %s and %s, expected both, or neither", certFileName, keyFileName)
	}
	return c, nil
}

// options are those of a connection of the command line.
func (c connection) options() (client.Options, error) {
	o := client.Options{UserAgent: "headwater-cli/" + version()}
	if !c.encrypted {
		return o, nil
	}
	transport, err := client.TLS{CAFile: c.caFile, CertFile: c.certFile, KeyFile: c.keyFile}.Credentials()
	o.Transport = transport
	return o, err
}

// readClientConfig reads the file of clients, of lines NAME=VALUE such as `headwater dev --ready-file` writes. There need be none,
// unless HEADWATER_CONFIG names it.
func readClientConfig() (map[string]string, error) {
	path, named := os.Getenv(configName), true
	if path == "" {
		folder, err := os.UserConfigDir()
		if err != nil {
			return nil, nil
		}
		path, named = filepath.Join(folder, "headwater", "client.env"), false
	}
	content, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		return nil, nil
	case err != nil:
		return nil, fault.New(fault.InvalidArgument, "client configuration %s: %v; correct the path in %s", path, errors.Unwrap(err), configName)
	}
	values := map[string]string{}
	n := 0
	for line := range strings.Lines(string(content)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		// What stands there may be a secret in the wrong place.
		found := "no ="
		if ok {
			found = fmt.Sprintf("the name %s", strings.TrimSpace(name))
		}
		if name = strings.TrimSpace(name); !ok || !slices.Contains(clientNames, name) {
			return nil, fault.New(fault.InvalidArgument, "client configuration %s:%d: found %s, expected NAME=VALUE with one of %s", path, n, found,
				strings.Join(clientNames, ", "))
		}
		values[name] = strings.TrimSpace(value)
	}
	return values, nil
}

func readSetting(name, path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "%s: file %s: %v; check the path", name, path, errors.Unwrap(err))
	}
	return content, nil
}
