package server

import (
	"bytes"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/read"
)

// arrowLayout is the columns of an answer in Arrow: each feature, with which one it is as metadata, and behind it its statuses.
type arrowLayout struct {
	columns  []feature.Column
	metadata []map[string]string
}

func newArrowLayout(p *read.Plan) (*arrowLayout, error) {
	l := &arrowLayout{}
	names := map[string]bool{}
	for i := range p.Columns {
		names[p.Columns[i].Name] = true
	}
	for i := range p.Columns {
		c := &p.Columns[i]
		status := c.Name + dataset.StatusSuffix
		if names[status] {
			return nil, fault.New(fault.InvalidArgument, "encoding: column %s: found it as a feature and as the status of %s, expected each name once; "+
				"rename the one, leave it out, or ask for vectors", status, c.Name).
				Violating(fault.Violation{Field: "encoding", Description: "found Arrow, in which two columns have the name " + status})
		}
		l.columns = append(l.columns, feature.Column{Name: c.Name, Type: c.Type}, feature.Column{Name: status, Type: feature.TypeString})
		l.metadata = append(l.metadata, map[string]string{
			"view": c.Version.Name, "view_version": strconv.Itoa(c.Version.Version), "feature": c.Version.Features[c.Feature].Name,
		}, nil)
	}
	return l, nil
}

// appendArrow appends the values of the answer as an Arrow IPC stream: one record batch, of a row for each entity.
func (a *answer) appendArrow(dst []byte) ([]byte, error) {
	layout, err := newArrowLayout(a.plan.read)
	if err != nil {
		return dst, err
	}
	values := make([]func(row int) (feature.Value, read.Status), len(a.plan.read.Columns))
	for i := range values {
		if values[i], err = a.column(i); err != nil {
			return dst, err
		}
	}
	var out bytes.Buffer
	w := tabular.NewAnnotatedWriter(&out, layout.columns, layout.metadata)
	w.EndBatchesAt(math.MaxInt)
	row := make([]feature.Value, len(layout.columns))
	for i := range a.n {
		for k, value := range values {
			v, status := value(i)
			row[2*k], row[2*k+1] = v, feature.String(status.String())
		}
		if err := w.Append(row); err != nil {
			return dst, err
		}
	}
	if err := w.Close(); err != nil {
		return dst, err
	}
	return protowire.AppendBytes(protowire.AppendTag(dst, fieldArrow, protowire.BytesType), out.Bytes()), nil
}
