package main

import (
	"os"
	"strconv"
	"strings"

	"github.com/headwaterhq/headwater/internal/notify"
	"github.com/headwaterhq/headwater/server"
)

// webhookConfig says who is told of what went wrong. Empty: nobody.
type webhookConfig struct {
	// Webhooks are by name. The environment has one, called default (HEADWATER_WEBHOOK_URL, HEADWATER_WEBHOOK_SECRET, HEADWATER_WEBHOOK_EVENTS).
	Webhooks map[string]webhook `yaml:"webhooks"`
	// LowScore is below which score they are told (HEADWATER_LOW_SCORE). Empty: 60.
	LowScore string `yaml:"low_score"`
}

type webhook struct {
	URL    string   `yaml:"url"`
	Secret string   `yaml:"secret"`
	Events []string `yaml:"events"`
}

// defaultWebhook is the name of the one of the environment.
const defaultWebhook = "default"

func (c *webhookConfig) readEnvironment() {
	if v := os.Getenv("HEADWATER_LOW_SCORE"); v != "" {
		c.LowScore = v
	}
	url, secret, events := os.Getenv("HEADWATER_WEBHOOK_URL"), os.Getenv("HEADWATER_WEBHOOK_SECRET"), os.Getenv("HEADWATER_WEBHOOK_EVENTS")
	if url == "" && secret == "" && events == "" {
		return
	}
	w := c.Webhooks[defaultWebhook]
	if url != "" {
		w.URL = url
	}
	if secret != "" {
		w.Secret = secret
	}
	if events != "" {
		w.Events = strings.Split(events, ",")
	}
	all := map[string]webhook{defaultWebhook: w}
	for name, other := range c.Webhooks {
		if name != defaultWebhook {
			all[name] = other
		}
	}
	c.Webhooks = all
}

// apply sets who is told, or is a usage fault that says which of the texts cannot be. None of them shows a secret.
func (c *webhookConfig) apply(to *server.Config) error {
	for name, w := range c.Webhooks {
		if !databaseName.MatchString(name) {
			return usagef("webhooks: found the name %q, expected lower-case letters, digits and single underscores between them, a letter first", name)
		}
		hook := notify.Webhook{Name: name, URL: w.URL, Secret: w.Secret}
		for _, kind := range w.Events {
			hook.Kinds = append(hook.Kinds, notify.Kind(strings.TrimSpace(kind)))
		}
		if err := hook.Check(); err != nil {
			return usagef("HEADWATER_WEBHOOK_… (webhooks): %v", err)
		}
		to.Webhooks = append(to.Webhooks, hook)
	}
	if c.LowScore != "" {
		low, err := strconv.ParseFloat(c.LowScore, 64)
		if err != nil || !(low > 0 && low <= 100) {
			return usagef("HEADWATER_LOW_SCORE (low_score): found %q, expected a number above 0, at most 100", c.LowScore)
		}
		to.LowScore = low
	}
	return nil
}
