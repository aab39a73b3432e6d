package fault

import (
	"errors"
	"testing"
)

func TestDataIsShownToSome(t *testing.T) {
	f := New(RunRefused, "view v: found a row (%s) with %s, expected none", Data("name \x02x\x03y"), Data("value 7")).Because(errors.New("cause"))
	const whole, hidden = "view v: found a row (name xy) with value 7, expected none",
		"view v: found a row (" + HiddenData + ") with " + HiddenData + ", expected none"
	if f.Error() != whole || f.Message != whole {
		t.Errorf("found %q and %q, expected %q", f.Error(), f.Message, whole)
	}
	if got := Shown(f.Kept()); got != whole {
		t.Errorf("found %q, expected %q", got, whole)
	}
	if got := Hidden(f.Kept()); got != hidden || !HoldsData(f.Kept()) {
		t.Errorf("found %q, expected %q", got, hidden)
	}
	f.Guess = "w"
	if got := Hidden(f.Kept()); got != hidden+"; did you mean w?" {
		t.Errorf("found %q, expected the guess behind", got)
	}
	if plain := New(RunRefused, "nothing").Kept(); HoldsData(plain) || Hidden(plain) != "nothing" {
		t.Errorf("found %q", plain)
	}
	if got := Hidden("a " + dataBegins + "cut short"); got != "a "+HiddenData {
		t.Errorf("found %q", got)
	}
}
