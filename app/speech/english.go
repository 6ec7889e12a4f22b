package speech

import (
	"strings"
	"time"
)

var (
	enSmall = strings.Fields(`zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
		fifteen sixteen seventeen eighteen nineteen`)
	enTens   = strings.Fields("- - twenty thirty forty fifty sixty seventy eighty ninety")
	enScales = []struct {
		size uint64
		name string
	}{{1e18, "quintillion"}, {1e15, "quadrillion"}, {1e12, "trillion"}, {1e9, "billion"}, {1e6, "million"}, {1e3, "thousand"}}
	enOdd = map[string]string{"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
		"nine": "ninth", "twelve": "twelfth"}
)

// enNumber reads n with the British "and": one hundred and five, two thousand and one.
func enNumber(n int64) string {
	if n < 0 {
		return "minus " + enBig(uint64(-(n+1))+1)
	}
	return enBig(uint64(n))
}

func enBig(n uint64) string {
	if n == 0 {
		return "zero"
	}
	var parts []string
	for _, s := range enScales {
		if n >= s.size {
			parts = append(parts, enThousand(n/s.size)+" "+s.name)
			n %= s.size
		}
	}
	if n > 0 {
		if len(parts) > 0 && n < 100 {
			parts = append(parts, "and")
		}
		parts = append(parts, enThousand(n))
	}
	return strings.Join(parts, " ")
}

// enThousand reads 1 to 999.
func enThousand(n uint64) string {
	text := ""
	if n >= 100 {
		text = enSmall[n/100] + " hundred"
		if n %= 100; n == 0 {
			return text
		}
		text += " and "
	}
	if n < 20 {
		return text + enSmall[n]
	}
	text += enTens[n/10]
	if n%10 > 0 {
		text += "-" + enSmall[n%10]
	}
	return text
}

// enOrdinal changes the last word of the number: twenty-one, twenty-first.
func enOrdinal(n int64) string {
	text := enNumber(n)
	at := strings.LastIndexAny(text, " -") + 1
	last := text[at:]
	switch odd := enOdd[last]; {
	case odd != "":
		last = odd
	case strings.HasSuffix(last, "y"):
		last = strings.TrimSuffix(last, "y") + "ieth"
	case strings.HasSuffix(last, "t"):
		last += "h"
	default:
		last += "th"
	}
	return text[:at] + last
}

func enDigits(s string) string {
	var words []string
	for _, r := range s {
		switch {
		case '0' <= r && r <= '9':
			words = append(words, enSmall[r-'0'])
		case r == '+':
			words = append(words, "plus")
		case r == '*':
			words = append(words, "star")
		case r == '#':
			words = append(words, "hash")
		default:
			words = append(words, strings.ToUpper(string(r)))
		}
	}
	return strings.Join(words, " ")
}

// enClock has a 12-hour clock: three oh five p.m., twelve noon, midnight.
func enClock(t time.Time) string {
	h, m := t.Hour(), t.Minute()
	if m == 0 && h == 0 {
		return "midnight"
	}
	if m == 0 && h == 12 {
		return "twelve noon"
	}
	half := " a.m."
	if h >= 12 {
		half = " p.m."
	}
	if h %= 12; h == 0 {
		h = 12
	}
	text := enSmall[h]
	switch {
	case m == 0:
	case m < 10:
		text += " oh " + enSmall[m]
	default:
		text += " " + enThousand(uint64(m))
	}
	return text + half
}

// enYear reads years in pairs where people do: nineteen oh five, two thousand and five, twenty twenty-six.
func enYear(y int) string {
	if y < 1100 || y > 9999 || y%1000 < 10 {
		return enNumber(int64(y))
	}
	first, last := uint64(y/100), uint64(y%100)
	switch {
	case last == 0:
		return enThousand(first) + " hundred"
	case last < 10:
		return enThousand(first) + " oh " + enSmall[last]
	}
	return enThousand(first) + " " + enThousand(last)
}
