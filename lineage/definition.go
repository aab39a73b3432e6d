package lineage

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// definition is a version of a source, a view, a service or a consumer, as applied.
type definition struct {
	definitionRow
	// The one of the four that the body holds.
	source   *headwaterv1.Source
	view     *headwaterv1.FeatureView
	service  *headwaterv1.FeatureService
	consumer *headwaterv1.Consumer
}

type definitionRow struct {
	ID          int64
	Kind        string
	Name        string
	Version     int
	Fingerprint []byte
	Body        []byte
	AppliedAt   time.Time
	AppliedBy   string
	Origin      string
	// EntityVersion is 0 for what is no view.
	EntityVersion int
}

// ref is `NAME@VERSION`.
func (d *definition) ref() string { return d.Name + "@" + strconv.Itoa(d.Version) }

// selectDefinitions reads definitions, called d in where.
func (w *walker) selectDefinitions(ctx context.Context, where string, args ...any) ([]*definition, error) {
	rows, err := collect[definitionRow](ctx, w.q, `
		SELECT d.id, d.kind, d.name, d.version, d.fingerprint, d.body, d.applied_at, d.applied_by, d.origin,
			coalesce((d.resolved->>'entity')::int, 0)
		FROM headwater.definition d `+where, args...)
	if err != nil {
		return nil, err
	}
	list := make([]*definition, len(rows))
	for i, row := range rows {
		d := &definition{definitionRow: row}
		if err := d.parse(); err != nil {
			return nil, err
		}
		list[i] = d
	}
	return list, nil
}

// parse reads the body. Fields that this program does not know are left alone: none of them is an edge of today's graph.
func (d *definition) parse() error {
	var file headwaterv1.DefinitionFile
	err := protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(d.Body, &file)
	if err != nil {
		return fmt.Errorf("definition %d, %s %s: %w", d.ID, d.Kind, d.ref(), err)
	}
	switch {
	case d.Kind == "source" && len(file.Sources) == 1:
		d.source = file.Sources[0]
	case d.Kind == "view" && len(file.FeatureViews) == 1:
		d.view = file.FeatureViews[0]
	case d.Kind == "service" && len(file.FeatureServices) == 1:
		d.service = file.FeatureServices[0]
	case d.Kind == "consumer" && len(file.Consumers) == 1:
		d.consumer = file.Consumers[0]
	default:
		return fmt.Errorf("definition %d, %s %s: the body holds no single %s", d.ID, d.Kind, d.ref(), d.Kind)
	}
	return nil
}

// feature finds a feature of a view by name, or nil.
func (d *definition) feature(name string) *headwaterv1.Feature {
	for _, f := range d.view.GetFeatures() {
		if f.Name == name {
			return f
		}
	}
	return nil
}
