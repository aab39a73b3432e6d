package server

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
	"github.com/headwaterhq/headwater/lineage"
	"github.com/headwaterhq/headwater/quality/feedback"
	"github.com/headwaterhq/headwater/readlog"
	"github.com/headwaterhq/headwater/registry"
)

// feedbackService keeps what models predicted and what became of it, and tells how good they are.
type feedbackService struct {
	headwaterv1.UnimplementedFeedbackServiceServer
	registry *registry.Registry
	pool     *pgxpool.Pool
	store    *feedback.Store
	reads    *readlog.Log
	lineage  *lineageService
	// maxEvaluated is how many predictions are looked at for one answer.
	maxEvaluated int
}

// model finds a model that the caller may act on, as the guard decided.
func (s *feedbackService) model(ctx context.Context, name string) (*lineage.ModelVersion, error) {
	ref, err := lineage.Parse("model:" + name)
	if err != nil {
		return nil, err
	}
	versions, err := lineage.Models(ctx, s.pool, ref.Name, ref.Version)
	if err != nil {
		return nil, database.Fault(err)
	}
	if len(versions) == 0 {
		return nil, fault.New(fault.NotFound, "there is no model %s; `headwater model list` shows those there are, and `headwater model register %s --service SERVICE` registers one",
			name, ref.Name).With("kind", "model").With("name", name)
	}
	return versions[0], nil
}

// badFeedback is a fault at the i-th prediction or outcome.
func badFeedback(list string, i int, field, format string, args ...any) error {
	place := fmt.Sprintf("%s[%d].%s", list, i, field)
	description := fmt.Sprintf(format, args...)
	return fault.New(fault.InvalidArgument, "%s: %s", place, description).Violating(fault.Violation{Field: place, Description: description})
}

// predictionOf begins what stands for an entity's name in the hashes of the ids of a model's predictions. No entity has such a name.
const predictionOf = "prediction of "

// idHashes are what erased predictions are known by.
func (s *feedbackService) idHashes(model, id string) [][]byte {
	return s.reads.Hashes(predictionOf+model, id)
}

func (s *feedbackService) LogPredictions(ctx context.Context, req *headwaterv1.LogPredictionsRequest) (*headwaterv1.LogPredictionsResponse, error) {
	m, err := s.model(ctx, req.GetModel())
	if err != nil {
		return nil, err
	}
	l := &predictionLog{feedbackService: s, model: m, principal: access.PrincipalFrom(ctx).Name}
	l.from, l.to = s.store.Kept()
	var readIDs []string
	for _, p := range req.GetPredictions() {
		if p.GetReadId() != "" {
			readIDs = append(readIDs, p.GetReadId())
		}
	}
	if len(readIDs) > 0 {
		if err := s.reads.Flush(ctx); err != nil {
			return nil, database.Fault(err)
		}
		if l.found, err = readlog.FindAll(ctx, s.pool, readIDs); err != nil {
			return nil, err
		}
	}
	resp := &headwaterv1.LogPredictionsResponse{}
	var all []feedback.Prediction
	without := map[string]bool{}
	for i, p := range req.GetPredictions() {
		kept, err := l.prediction(i, p)
		if err != nil {
			return nil, err
		}
		if p.GetReadId() != "" && l.found[p.GetReadId()] == nil {
			without[p.GetId()] = true
		}
		all = append(all, kept)
	}
	done, err := s.store.Log(ctx, m.Name, all)
	var conflict *feedback.Conflict
	if errors.As(err, &conflict) {
		i := conflict.At
		return nil, fault.New(fault.AlreadyExists, "predictions[%d].id: found %s, under which model %s has another prediction; expected an id for each, and the same again to say the same",
			i, quoted(req.GetPredictions()[i].GetId()), m.Name).Violating(fault.Violation{Field: fmt.Sprintf("predictions[%d].id", i), Description: "another prediction has it"})
	}
	if err != nil {
		return nil, database.Fault(err)
	}
	resp.Logged, resp.Duplicates, resp.Joined, resp.Erased = int64(len(done.New)), done.Duplicates, done.Joined, done.Erased
	for _, id := range done.New {
		if without[id] {
			resp.WithoutRead++
		}
	}
	return resp, nil
}

// quoted is a text of the caller's in a message.
func quoted(text string) string { return strconv.Quote(shorten(text, maxShownName)) }

// predictionLog is one call.
type predictionLog struct {
	*feedbackService
	model     *lineage.ModelVersion
	principal string
	from, to  time.Time
	// found are the reads that are in the log.
	found map[string]*headwaterv1.LoggedRead
	// entities are those of the model's service, once they are asked for.
	entities []*feature.EntityVersion
}

func (l *predictionLog) bad(i int, field, format string, args ...any) error {
	return badFeedback("predictions", i, field, format, args...)
}

// prediction is the i-th as it is kept.
func (l *predictionLog) prediction(i int, p *headwaterv1.Prediction) (kept feedback.Prediction, err error) {
	kept = feedback.Prediction{
		ID: p.GetId(), ModelVersion: l.model.Version, Principal: l.principal, Service: l.model.Service, ReadID: p.GetReadId(), Row: int(p.GetRow()), Score: p.Score,
		IDHashes: l.idHashes(l.model.Name, p.GetId()),
	}
	if p.GetTime().CheckValid() != nil {
		return kept, l.bad(i, "time", "found a time that is none, expected one in the years 1 to 9999")
	}
	if kept.At = p.GetTime().AsTime().Truncate(time.Microsecond); kept.At.Before(l.from) || !kept.At.Before(l.to) {
		return kept, l.bad(i, "time", "found %s, expected one from %s, since when predictions are kept (feedback_retention), to an hour from now", kept.At.Format(time.RFC3339), l.from.Format(time.DateOnly))
	}
	if kept.Answer, err = answerOf(p.GetPrediction()); err != nil {
		return kept, l.bad(i, "prediction", "%v", err)
	}
	if p.Score != nil && !(*p.Score >= 0 && *p.Score <= 1) {
		return kept, l.bad(i, "score", "found %v, expected a probability, from 0 to 1", *p.Score)
	}
	if kept.None() && p.Score == nil {
		return kept, l.bad(i, "prediction", "found neither a prediction nor a score, expected one of them or both")
	}
	switch {
	case p.GetReadId() != "" && p.GetService() != "":
		return kept, l.bad(i, "read_id", "found a read and a service, expected one of them: a read says which service it is of")
	case p.GetReadId() != "":
		if len(p.GetKeys()) > 0 {
			return kept, l.bad(i, "keys", "found keys beside a read, expected none: the read has them")
		}
		kept.Erased, err = l.byRead(i, p, &kept)
	case len(p.GetKeys()) > 0:
		if p.GetRow() != 0 {
			return kept, l.bad(i, "row", "found %d without a read, expected 0", p.GetRow())
		}
		err = l.byKeys(i, p, &kept)
	default:
		err = l.bad(i, "read_id", "found neither a read nor keys, expected one of them: it says what the prediction was made of")
	}
	kept.Digest = predictionDigest(p, &kept)
	return kept, err
}

// byRead finds the entities of a row of a read. A read that is not here may wait on another server's disk.
func (l *predictionLog) byRead(i int, p *headwaterv1.Prediction, kept *feedback.Prediction) (erased bool, err error) {
	r := l.found[p.GetReadId()]
	switch {
	case r == nil:
		return false, nil
	case r.GetService() != l.model.Service:
		return false, l.bad(i, "read_id", "found %s, which is no read of service %s, which model %s reads; expected one of that", quoted(p.GetReadId()), l.model.Service, l.model.Name)
	case p.GetRow() >= r.GetEntities():
		return false, l.bad(i, "row", "found %d, expected less than %d, as many as entities were read", p.GetRow(), r.GetEntities())
	case slices.Contains(r.GetErased(), p.GetRow()):
		return true, nil
	}
	kept.Entities = l.reads.HashesOfRow(r, int(p.GetRow()))
	return false, nil
}

// byKeys makes the hashes of the entities that the service is read by.
func (l *predictionLog) byKeys(i int, p *headwaterv1.Prediction, kept *feedback.Prediction) error {
	if name, _, _ := strings.Cut(p.GetService(), "@"); name != "" && name != l.model.Service {
		return l.bad(i, "service", "found %s, expected %s, which model %s reads", quoted(p.GetService()), l.model.Service, l.model.Name)
	}
	if l.entities == nil {
		service, err := l.registry.Catalog().PastService(fmt.Sprintf("%s@%d", l.model.Service, l.model.ServiceVersion))
		if err != nil {
			return err
		}
		l.entities = entitiesRead(service)
	}
	var names []string
	for _, e := range l.entities {
		values := make([]feature.Value, len(e.JoinKeys))
		for k, key := range e.JoinKeys {
			names = append(names, key.Name)
			sent, ok := p.GetKeys()[key.Name]
			if !ok {
				return l.bad(i, "keys", "found no join key %s, expected all of service %s", key.Name, l.model.Service)
			}
			var err error
			if values[k], err = wire.FromValue(key.Type, sent); err != nil {
				return l.bad(i, "keys", "found for join key %s a value that is no %s, expected one", key.Name, key.Type)
			}
		}
		encoded, ok, err := e.AppendKey(nil, values)
		if err != nil {
			return l.bad(i, "keys", "found a key of entity %s that none can have, expected UTF-8 text without a NUL character", e.Name)
		}
		if ok {
			kept.Entities = append(kept.Entities, l.reads.Hash(l.reads.HashVersion(), e.Name, string(encoded)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.GetKeys())) {
		if !slices.Contains(names, name) {
			return l.bad(i, "keys", "found %s, which is no join key of service %s, expected only %s", quoted(name), l.model.Service, strings.Join(names, ", "))
		}
	}
	return nil
}

// entitiesRead are the entities of which a service reads histories.
func entitiesRead(service *feature.ServiceVersion) (list []*feature.EntityVersion) {
	var add func(v *feature.ViewVersion)
	add = func(v *feature.ViewVersion) {
		if v.OnDemand != nil {
			for _, below := range v.ViewVersions {
				add(below)
			}
			return
		}
		if !slices.ContainsFunc(list, func(e *feature.EntityVersion) bool { return e.Name == v.Entity }) {
			list = append(list, v.EntityVersion)
		}
	}
	for _, pin := range service.Pins {
		add(pin.View)
	}
	return list
}

// answerOf is a class or a number, or why it is none.
func answerOf(v *headwaterv1.Value) (a feedback.Answer, err error) {
	var class string
	switch k := v.GetKind().(type) {
	case nil:
		return a, nil
	case *headwaterv1.Value_BoolValue:
		class = strconv.FormatBool(k.BoolValue)
	case *headwaterv1.Value_Int64Value:
		class = strconv.FormatInt(k.Int64Value, 10)
	case *headwaterv1.Value_StringValue:
		if class = k.StringValue; class == "" || len(class) > maxClass || strings.Contains(class, "\x00") {
			return a, fmt.Errorf("found a text of %d bytes, expected a class of 1 to %d without a NUL character", len(class), maxClass)
		}
	case *headwaterv1.Value_Float64Value:
		if math.IsNaN(k.Float64Value) || math.IsInf(k.Float64Value, 0) {
			return a, fmt.Errorf("found %v, expected a number that is finite", k.Float64Value)
		}
		return feedback.Answer{Number: &k.Float64Value}, nil
	case *headwaterv1.Value_DecimalValue:
		n, err := strconv.ParseFloat(k.DecimalValue, 64)
		if err != nil || math.IsInf(n, 0) {
			return a, fmt.Errorf("found %s, expected a decimal", quoted(k.DecimalValue))
		}
		return feedback.Answer{Number: &n}, nil
	default:
		return a, errors.New("found a value of another kind, expected a bool, an integer or a text, which are classes, or a float or a decimal, which are numbers")
	}
	return feedback.Answer{Class: &class}, nil
}

// maxClass is how many bytes the name of a class has at most.
const maxClass = 128

// predictionDigest is SHA-256 of what a caller said of a prediction, with keys by their hashes.
func predictionDigest(p *headwaterv1.Prediction, kept *feedback.Prediction) []byte {
	var b []byte
	text := func(s string) {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
	}
	number := func(f *float64) {
		if f == nil {
			b = append(b, 0)
			return
		}
		b = binary.BigEndian.AppendUint64(append(b, 1), math.Float64bits(*f))
	}
	text(p.GetReadId())
	b = binary.BigEndian.AppendUint32(b, uint32(p.GetRow()))
	if p.GetReadId() == "" {
		text(string(slices.Concat(kept.Entities...)))
	}
	b = binary.BigEndian.AppendUint64(b, uint64(kept.At.UnixMicro()))
	if kept.Class != nil {
		text("class " + *kept.Class)
	}
	number(kept.Number)
	number(kept.Score)
	sum := sha256.Sum256(b)
	return sum[:]
}

func (s *feedbackService) ReportOutcomes(ctx context.Context, req *headwaterv1.ReportOutcomesRequest) (*headwaterv1.ReportOutcomesResponse, error) {
	m, err := s.model(ctx, req.GetModel())
	if err != nil {
		return nil, err
	}
	principal := access.PrincipalFrom(ctx).Name
	_, to := s.store.Kept()
	var all []feedback.Outcome
	for i, o := range req.GetOutcomes() {
		kept := feedback.Outcome{ID: o.GetId(), Principal: principal, IDHashes: s.idHashes(m.Name, o.GetId())}
		if o.GetTime() != nil {
			at := o.GetTime().AsTime().Truncate(time.Microsecond)
			if o.GetTime().CheckValid() != nil {
				return nil, badFeedback("outcomes", i, "time", "found a time that is none, expected one in the years 1 to 9999")
			}
			if !at.Before(to) {
				return nil, badFeedback("outcomes", i, "time", "found %s, expected when it was known, which is an hour from now at most", at.Format(time.RFC3339))
			}
			kept.Known = &at
		}
		if kept.Answer, err = answerOf(o.GetActual()); err != nil {
			return nil, badFeedback("outcomes", i, "actual", "%v", err)
		}
		all = append(all, kept)
	}
	done, err := s.store.Report(ctx, m.Name, all)
	if err != nil {
		return nil, database.Fault(err)
	}
	return &headwaterv1.ReportOutcomesResponse{
		Recorded: done.Recorded, Revised: done.Revised, Duplicates: done.Duplicates, Outdated: done.Outdated, Parked: done.Parked, Erased: done.Erased,
	}, nil
}
