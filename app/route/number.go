package route

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Class is what kind of call a trunk carries, a person may place, and a report counts.
type Class string

// The classes. Short codes, service numbers (400, 800, 955xx) and emergency numbers count as local.
const (
	Local         Class = "local"
	LongDistance  Class = "long_distance"
	International Class = "international"
	Mobile        Class = "mobile"
)

// Classes is all of them.
var Classes = []Class{Local, LongDistance, International, Mobile}

// withheld is how carriers and phones write that there is no calling number.
var withheld = map[string]bool{
	"": true, "anonymous": true, "private": true, "restricted": true, "unavailable": true, "unknown": true,
	"withheld": true, "blocked": true, "asterisk": true, "nobody": true,
}

// Clean takes out of a dialled or calling number what is not dialled: spaces, dashes, brackets, dots, a sip: or tel:
// around it; and writes full-width digits as plain ones. Text with letters in it is a name and stays as it is. What
// carriers write for a withheld number becomes "".
func Clean(raw string) string {
	s := strings.TrimSpace(raw)
	for _, scheme := range []string{"sips:", "sip:", "tel:"} {
		if len(s) > len(scheme) && strings.EqualFold(s[:len(scheme)], scheme) {
			s = s[len(scheme):]
			break
		}
	}
	s, _, _ = strings.Cut(s, "@")
	s, _, _ = strings.Cut(s, ";")
	s = strings.TrimSpace(s)
	if withheld[strings.ToLower(s)] {
		return ""
	}
	var b strings.Builder
	for _, r := range s {
		if r >= '０' && r <= '９' {
			r = '0' + r - '０'
		}
		switch {
		case r >= '0' && r <= '9', r == '*', r == '#':
			b.WriteRune(r)
		case r == '+' || r == '＋':
			if b.Len() == 0 {
				b.WriteByte('+')
			}
		case strings.ContainsRune(" \t-.()/_ ‐‑‒–—−　（）", r):
		default:
			return s
		}
	}
	return b.String()
}

// Normalise writes a number in E.164, read as it would be dialled in the country (ISO code, such as CN). ok is false for what
// is no public number there: a short or service code, an internal number, a name; these come back cleaned and otherwise
// unchanged, and a withheld number as "". A number of a range that is too new for the tables of the library counts as long as its
// length fits.
func Normalise(raw, country string) (e164 string, ok bool) {
	d := Clean(raw)
	if d == "" || strings.ContainsFunc(strings.TrimPrefix(d, "+"), notDigit) {
		return d, false
	}
	n, err := phonenumbers.Parse(d, country)
	if err == nil {
		national := phonenumbers.GetNationalSignificantNumber(n)
		abroad := strings.HasPrefix(d, "+")
		possible := phonenumbers.IsPossibleNumberWithReason(n) == phonenumbers.IS_POSSIBLE
		switch {
		case phonenumbers.IsValidNumber(n), possible && national[0] != '0' && (abroad || len(national) >= 10):
			return stable(n, d)
		case abroad && int(n.GetCountryCode()) == phonenumbers.GetCountryCodeForRegion(country):
			return national, false // +86 95588 is 95588
		}
	}
	// 00 is dialled before a country code in most of the world, and sent so by carriers elsewhere too.
	if rest, double := strings.CutPrefix(d, "00"); double {
		if n, err := phonenumbers.Parse("+"+rest, country); err == nil && phonenumbers.IsValidNumber(n) {
			return stable(n, d)
		}
	}
	return d, false
}

// stable formats a number, unless what comes out would be read as yet another number: some digits look like a carrier's
// prefix once more.
func stable(n *phonenumbers.PhoneNumber, cleaned string) (string, bool) {
	e164 := phonenumbers.Format(n, phonenumbers.E164)
	again, err := phonenumbers.Parse(e164, "")
	if err != nil || phonenumbers.Format(again, phonenumbers.E164) != e164 {
		return cleaned, false
	}
	return e164, true
}

func notDigit(r rune) bool { return r < '0' || r > '9' }

// ClassOf is the class of a normalised number for someone in the country and area (the area code without its leading 0: 10
// for Peking). Without an area every fixed line of the country is local.
func ClassOf(number, country, area string) Class {
	if !strings.HasPrefix(number, "+") {
		return Local
	}
	n, err := phonenumbers.Parse(number, country)
	if err != nil || phonenumbers.GetRegionCodeForNumber(n) != country &&
		!(phonenumbers.GetRegionCodeForNumber(n) == "" && int(n.GetCountryCode()) == phonenumbers.GetCountryCodeForRegion(country)) {
		return International
	}
	switch kind := phonenumbers.GetNumberType(n); kind {
	case phonenumbers.MOBILE, phonenumbers.PAGER:
		return Mobile
	case phonenumbers.FIXED_LINE, phonenumbers.FIXED_LINE_OR_MOBILE, phonenumbers.UNKNOWN, phonenumbers.VOIP:
		if kind == phonenumbers.UNKNOWN && n.GetCountryCode() == 86 && len(number) == len("+8613800138000") {
			return Mobile // a range too new for the tables
		}
		if area != "" && !strings.HasPrefix(phonenumbers.GetNationalSignificantNumber(n), area) {
			return LongDistance
		}
	}
	return Local
}

// Emergency says that the number, as dialled, reaches the police, the fire brigade or an ambulance.
func Emergency(dialled, country string) bool {
	return phonenumbers.IsEmergencyNumber(Clean(dialled), country)
}
