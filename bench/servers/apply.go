package servers

import (
	"context"
	"os"
	"path/filepath"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/definition"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// Definitions is the file that Apply writes last, in the servers' folder.
const Definitions = "bench.yaml"

// Apply applies definitions, beside what there is already.
func (s *Servers) Apply(ctx context.Context, c *client.Client, yaml string) error {
	file := filepath.Join(s.Folder, Definitions)
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		return err
	}
	set, err := definition.Load([]string{file})
	if err != nil {
		return err
	}
	_, err = c.Registry.Apply(ctx, &headwaterv1.ApplyRequest{Files: set.Files})
	return err
}
