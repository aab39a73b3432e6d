package main

import (
	"os"
	"time"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/server"
)

// auditConfig is about the audit log.
type auditConfig struct {
	// Audit is `durable` where a call is to wait until its record is on the disk (HEADWATER_AUDIT). Empty: a moment later.
	Audit string `yaml:"audit"`
	// AuditKey is a file with the key that signs checkpoints (HEADWATER_AUDIT_KEY). Empty: nobody signs.
	AuditKey string `yaml:"audit_key"`
	// AuditRetention is a number of days or a duration (HEADWATER_AUDIT_RETENTION). Empty: the default of package access.
	AuditRetention string `yaml:"audit_retention"`
}

func (c *auditConfig) readEnvironment() {
	for name, field := range map[string]*string{
		"HEADWATER_AUDIT":           &c.Audit,
		"HEADWATER_AUDIT_KEY":       &c.AuditKey,
		"HEADWATER_AUDIT_RETENTION": &c.AuditRetention,
	} {
		if v := os.Getenv(name); v != "" {
			*field = v
		}
	}
}

// apply sets how decisions are recorded, or is a fault that says which of the texts cannot be.
func (c *auditConfig) apply(to *server.Config) error {
	switch c.Audit {
	case "":
	case "durable":
		to.AuditDurable = true
	default:
		return usagef("HEADWATER_AUDIT (audit): found %q, expected durable, or nothing", c.Audit)
	}
	if c.AuditRetention != "" {
		d, ok := parseAge(c.AuditRetention)
		if !ok || d < 24*time.Hour {
			return usagef("HEADWATER_AUDIT_RETENTION (audit_retention): found %q, expected a day or more, such as 400d", c.AuditRetention)
		}
		to.AuditRetention = d
	}
	if c.AuditKey != "" {
		var err error
		if to.AuditKey, err = access.ReadAuditKey(c.AuditKey); err != nil {
			return err
		}
	}
	return nil
}
