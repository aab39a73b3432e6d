package main

import (
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/internal/notify"
	"github.com/headwaterhq/headwater/server"
)

// The environment has one webhook, the file any; what cannot be is a fault that shows no secret.
func TestWebhooksAreConfigured(t *testing.T) {
	const secret = "whsec_c2VjcmV0IG9mIGEgd2ViaG9vaw=="
	t.Setenv("HEADWATER_WEBHOOK_URL", "https://example.com/a")
	t.Setenv("HEADWATER_WEBHOOK_SECRET", secret)
	t.Setenv("HEADWATER_WEBHOOK_EVENTS", "run.failed, score.low")
	t.Setenv("HEADWATER_LOW_SCORE", "75")
	c := webhookConfig{Webhooks: map[string]webhook{"other": {URL: "https://example.com/b", Secret: secret}}}
	c.readEnvironment()
	var config server.Config
	if err := c.apply(&config); err != nil || len(config.Webhooks) != 2 || config.LowScore != 75 {
		t.Fatalf("found %v, %d webhooks and %v", err, len(config.Webhooks), config.LowScore)
	}
	for _, w := range config.Webhooks {
		if w.Name == defaultWebhook && (w.URL != "https://example.com/a" || len(w.Kinds) != 2 || w.Kinds[1] != notify.ScoreLow) || w.Name == "other" && w.Kinds != nil {
			t.Errorf("found %s with %v", w.Name, w.Kinds)
		}
	}
	for want, c := range map[string]webhookConfig{
		`webhooks: found the name "A b"`:                    {Webhooks: map[string]webhook{"A b": {URL: "https://example.com", Secret: secret}}},
		"found http to another machine, expected https":     {Webhooks: map[string]webhook{"a": {URL: "http://example.com/hidden", Secret: secret}}},
		"found no secret, or one that is too short":         {Webhooks: map[string]webhook{"a": {URL: "https://example.com", Secret: "hidden"}}},
		`found the event "run.odd", expected some of run.f`: {Webhooks: map[string]webhook{"a": {URL: "https://example.com", Secret: secret, Events: []string{"run.odd"}}}},
		`HEADWATER_LOW_SCORE (low_score): found "101"`:      {LowScore: "101"},
	} {
		if err := c.apply(&config); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("found %v, expected %s", err, want)
		}
	}
}
