package servers

import (
	"strings"
	"testing"
	"time"
)

func TestStolenTimeIsRead(t *testing.T) {
	const status = "cpu  7085221 234279 2628948 6512370 84636 0 207563 301986 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
	if found, err := parseStolen([]byte(status)); err != nil || found != 301986*10*time.Millisecond {
		t.Errorf("found %s (%v), expected 301986 hundredths of a second", found, err)
	}
	if _, err := parseStolen([]byte("cpu 1 2 3\n")); err == nil || !strings.Contains(err.Error(), `found "cpu 1 2 3" in the status of the processors`) {
		t.Errorf("found %v, expected what was there", err)
	}
}
