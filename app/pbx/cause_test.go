package pbx

import "testing"

func TestCauseAndSIP(t *testing.T) {
	// The causes that a dialler tells apart come back from SIP as they went.
	for _, c := range []Cause{
		Unallocated, Busy, NoResponse, NoAnswer, Declined, OutOfOrder, InvalidNumber, Congestion, BearerIncompatible,
		RecoveryOnTimer, 22, 29,
	} {
		if got := CauseOfSIP(c.SIPStatus()); got != c {
			t.Errorf("%v became %d became %v", c, c.SIPStatus(), got)
		}
	}
	for c := range Cause(128) {
		if s := c.SIPStatus(); s < 400 || s > 606 {
			t.Errorf("%v has SIP status %d", c, s)
		}
	}
	for status := 300; status < 700; status++ {
		if c := CauseOfSIP(status); c < 1 || c > 127 {
			t.Errorf("%d has cause %d", status, c)
		}
	}
}

func TestCauseClass(t *testing.T) {
	for c, want := range map[Cause]Class{
		NormalClearing: ClassNormal, Busy: ClassBusy, NoAnswer: ClassNoAnswer, NoResponse: ClassNoAnswer,
		Declined: ClassDeclined, Unallocated: ClassBadNumber, InvalidNumber: ClassBadNumber, Congestion: ClassCongestion,
		SwitchCongestion: ClassCongestion, MediaTimeout: ClassFailed, CauseUnknown: ClassFailed, 99: ClassFailed,
	} {
		if got := c.Class(); got != want {
			t.Errorf("class of %v is %s, want %s", c, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	for k := Arrived; k <= Replaced; k++ {
		if kindNames[k] == "" {
			t.Errorf("kind %d has no name", k)
		}
	}
	for what, names := range map[string][2]string{
		"kind":          {PlayEnded.String(), "PlayEnded"},
		"no kind":       {Kind(0).String(), "Kind(0)"},
		"too high":      {Kind(200).String(), "Kind(200)"},
		"cause":         {Busy.String(), "busy"},
		"unnamed cause": {Cause(99).String(), "cause_99"},
	} {
		if names[0] != names[1] {
			t.Errorf("%s is %q, want %q", what, names[0], names[1])
		}
	}
}
