package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// A receiver that is away for the runs of one view, and refuses definitions, is what the outbox says.
func TestTheOutboxIsShown(t *testing.T) {
	r := newReceiver(t)
	r.answer = func(event []byte, _ int) int {
		switch text := string(event); {
		case !strings.Contains(text, `"eventType"`):
			return http.StatusUnprocessableEntity
		case strings.Contains(text, `"name":"recent@1"`):
			return http.StatusServiceUnavailable
		}
		return http.StatusCreated
	}
	p := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), OpenLineage: OpenLineage{URL: r.server.URL + "/take?key=secret"}})
	p.apply(definitions())
	p.ingest(flights(flight("ORD", 7, time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC), feature.Float64(20))), 0)
	p.materialize("delays")
	p.materialize("recent")

	var found *headwaterv1.GetOutboxResponse
	eventually(t, "what was told", func() bool {
		var err error
		if found, err = p.lineage.GetOutbox(p.admin, &headwaterv1.GetOutboxRequest{}); err != nil {
			t.Fatal(err)
		}
		// Of the run that is not taken the first event alone is tried.
		return found.GetWaiting() == 3 && found.GetTried() == 1
	})
	if found.GetReceiver() != r.server.URL+"/take" || found.GetParked() == 0 || found.GetOldest() == nil {
		t.Errorf("found %v", found)
	}
	parked := int64(0)
	var run *headwaterv1.OutboxSubject
	for _, s := range found.GetSubjects() {
		parked += s.GetParked()
		switch {
		case strings.HasPrefix(s.GetSubject(), "run:"):
			run = s
		case s.GetTopic() != "definition.applied" || s.GetError() != "refused: status 422: said by the receiver" || s.GetWaiting() != 0 || s.GetNextTry() != nil:
			t.Errorf("found %v", s)
		}
	}
	if parked != found.GetParked() {
		t.Errorf("found %d parked by subject, expected %d", parked, found.GetParked())
	}
	if run.GetSubject() != "run:recent@1/1" || run.GetTopic() != "run.started" || run.GetWaiting() != 3 || run.GetAttempts() < 1 ||
		run.GetError() != "status 503: said by the receiver" {
		t.Errorf("found %v", run)
	}
	var paged []string
	for req := (&headwaterv1.GetOutboxRequest{PageSize: 1}); ; {
		page, err := p.lineage.GetOutbox(p.admin, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.GetSubjects() {
			paged = append(paged, s.GetSubject())
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if len(paged) != len(found.GetSubjects()) || paged[0] != found.GetSubjects()[0].GetSubject() {
		t.Errorf("found %v by pages, expected %v", paged, found.GetSubjects())
	}
	_, err := p.lineage.GetOutbox(p.admin, &headwaterv1.GetOutboxRequest{PageToken: "soon"})
	wantFault(t, err, fault.InvalidArgument, `page_token: found "soon", expected the next_page_token of the page before`)
	r.mu.Lock()
	r.answer = nil
	r.mu.Unlock()
	eventually(t, "that all is taken", func() bool {
		found, err = p.lineage.GetOutbox(p.admin, &headwaterv1.GetOutboxRequest{})
		return err == nil && found.GetWaiting() == 0
	})
	if found.GetOldest() != nil || found.GetTried() != 0 || found.GetParked() != parked {
		t.Errorf("found %v", found)
	}
}
