package route

import "testing"

// one value for every way of writing a number.
func TestNormalise(t *testing.T) {
	for _, tt := range []struct {
		country, want string
		raw           []string
	}{
		{"CN", "+8613800138000", []string{
			"+86 138 0013 8000", "008613800138000", "138-0013-8000", "8613800138000", "013800138000", "13800138000",
			"+86(138)0013.8000", "sip:+8613800138000@carrier.example;user=phone", "tel:+86-138-0013-8000", "１３８００１３８０００",
			"＋8613800138000", " 138 0013 8000 ", "+8613800138000;phone-context=x",
		}},
		{"CN", "+861062345678", []string{
			"010-62345678", "(010) 6234 5678", "+86 10 6234 5678", "+86 (0)10 6234 5678", "0086 10 62345678", "861062345678", "01062345678",
		}},
		{"CN", "+8675512345678", []string{"0755-12345678", "+8675512345678"}},
		{"CN", "+864008001234", []string{"400-800-1234", "4008001234", "+864008001234", "864008001234"}},
		{"CN", "+14155552671", []string{"+1 415 555 2671", "0014155552671", "001 (415) 555-2671"}},
		{"CN", "+8614912345678", []string{"14912345678", "+8614912345678", "014912345678"}}, // a range the tables do not know
		{"CN", "+85221234567", []string{"+852 2123 4567", "0085221234567"}},
		{"US", "+14155552671", []string{
			"(415) 555-2671", "4155552671", "1-415-555-2671", "+1.415.555.2671", "14155552671", "01114155552671", "0014155552671",
		}},
		{"US", "+8613800138000", []string{"011 86 138 0013 8000", "+8613800138000", "008613800138000"}},
		{"GB", "+442079460018", []string{"020 7946 0018", "+44 (0)20 7946 0018", "00442079460018"}},
	} {
		for _, raw := range tt.raw {
			if got, ok := Normalise(raw, tt.country); got != tt.want || !ok {
				t.Errorf("Normalise(%q, %s) = %q, %v; want %q", raw, tt.country, got, ok, tt.want)
			}
		}
	}
}

// What is no public number stays as it is; a withheld one is empty.
func TestNormaliseKeeps(t *testing.T) {
	for _, tt := range []struct{ country, raw, want string }{
		{"CN", "95588", "95588"},
		{"CN", "+8695588", "95588"},
		{"CN", "10086", "10086"},
		{"CN", "110", "110"},
		{"CN", "12345", "12345"},
		{"CN", "8001", "8001"},
		{"CN", "62345678", "62345678"}, // no area code: a trunk's rule adds it
		{"CN", "*98", "*98"},
		{"CN", "desk-101", "desk-101"},
		{"CN", "agent.7", "agent.7"},
		{"US", "911", "911"},
		{"CN", "", ""},
		{"CN", "Anonymous", ""},
		{"CN", "sip:anonymous@anonymous.invalid", ""},
		{"CN", "Restricted", ""},
		{"CN", "+", "+"},
		{"CN", "+999", "+999"},
		{"CN", "1069012345678901", "1069012345678901"}, // too long for a telephone: a message port
	} {
		if got, ok := Normalise(tt.raw, tt.country); got != tt.want || ok {
			t.Errorf("Normalise(%q, %s) = %q, %v; want %q, false", tt.raw, tt.country, got, ok, tt.want)
		}
	}
}

// Normalising twice changes nothing.
func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"+86 138 0013 8000", "010-62345678", "sip:a@b", "95588", "001", "+1+2", "０１０", "+86-0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, country := range []string{"CN", "US"} {
			one, ok := Normalise(raw, country)
			two, again := Normalise(one, country)
			if ok && (one != two || !again) {
				t.Errorf("%s: %q, then %q (%v)", country, one, two, again)
			}
		}
	})
}

// the class decides which trunk group a call leaves on.
func TestClassOf(t *testing.T) {
	for _, tt := range []struct {
		number, country, area string
		want                  Class
	}{
		{"+8613800138000", "CN", "10", Mobile},
		{"+8614912345678", "CN", "10", Mobile}, // a range the tables do not know
		{"+861062345678", "CN", "10", Local},
		{"+862162345678", "CN", "10", LongDistance},
		{"+862162345678", "CN", "", Local},
		{"+864008001234", "CN", "10", Local},
		{"95588", "CN", "10", Local},
		{"+14155552671", "CN", "10", International},
		{"+85221234567", "CN", "10", International},
		{"+14155552671", "US", "415", Local},
		{"+12125552671", "US", "415", LongDistance},
		{"+14165552671", "US", "415", International}, // Canada shares the code, not the country
	} {
		if got := ClassOf(tt.number, tt.country, tt.area); got != tt.want {
			t.Errorf("ClassOf(%s, %s, %q) = %s, want %s", tt.number, tt.country, tt.area, got, tt.want)
		}
	}
}
