package access

import (
	"fmt"
	"testing"
)

// Whoever asks in ever new ways pushes out what was made for itself, and nothing of anybody else.
func TestWhatIsKeptIsNotPushedOutByOthers(t *testing.T) {
	const most = 10
	var kept keptBy[string, int]
	for i := range 3 {
		kept.add(fmt.Sprint("quiet ", i), i, "quiet", most)
	}
	for i := range 100 {
		kept.add(fmt.Sprint("loud ", i), i, "loud", most)
		if _, there := kept.get(fmt.Sprint("loud ", i)); !there {
			t.Fatalf("what was made last is not there")
		}
	}
	for i := range 3 {
		if v, there := kept.get(fmt.Sprint("quiet ", i)); !there || v != i {
			t.Errorf("found %d, %t of what was made for another", v, there)
		}
	}
	if n := kept.len(); n != most {
		t.Errorf("found %d kept, expected %d", n, most)
	}
	// Somebody new has room where somebody has much.
	kept.add("new", 1, "new", most)
	if _, there := kept.get("new"); !there || kept.len() != most {
		t.Errorf("found %t, %d kept", there, kept.len())
	}
	if kept.add("new", 2, "loud", most); kept.len() != most {
		t.Error("what is there was put in again")
	}
	if v, _ := kept.get("new"); v != 1 {
		t.Errorf("found %d, expected what is there to stay", v)
	}
}
