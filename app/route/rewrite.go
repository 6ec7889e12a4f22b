package route

import (
	"fmt"
	"regexp"
	"strings"
)

// Rewrite changes a number: when Match fits, so many digits are taken from its start and Prefix is put there. Match is a
// dial pattern for the whole number: digits, + * and # stand for themselves, X is any digit, Z is 1 to 9, N is 2 to 9,
// [135] and [2-8] are one of these digits; at the end, a dot is one or more of anything and ! is none or more.
type Rewrite struct {
	Match  string `json:"match" doc:"Dial pattern for the whole number: X any digit, Z 1-9, N 2-9, [2-8], . one or more, ! none or more" example:"+861XXXXXXXXXX" maxLength:"60"`
	Strip  int    `json:"strip,omitempty" minimum:"0" maximum:"30" doc:"Take so many characters from the start"`
	Prefix string `json:"prefix,omitempty" maxLength:"20" doc:"Then put this there"`
}

// Formats is how a trunk writes numbers. In each list the first rewrite that fits is done; without one the number stays:
// inbound as the carrier sent it, outbound in E.164 with the plus.
type Formats struct {
	CalledIn  []Rewrite `json:"called_in,omitempty" maxItems:"50" doc:"Dialled number as it comes in, before it is read as a number of the trunk's country"`
	CallerIn  []Rewrite `json:"caller_in,omitempty" maxItems:"50" doc:"Calling number as it comes in"`
	CalledOut []Rewrite `json:"called_out,omitempty" maxItems:"50" doc:"E.164 number to what is sent on the trunk" `
	CallerOut []Rewrite `json:"caller_out,omitempty" maxItems:"50" doc:"Our number to what is sent as calling number"`
}

// rewrites is a list of Rewrite made ready.
type rewrites []struct {
	match *regexp.Regexp
	Rewrite
}

// apply does the first rewrite that fits.
func (list rewrites) apply(number string) string {
	for _, r := range list {
		if r.match.MatchString(number) {
			return r.Prefix + number[min(r.Strip, len(number)):]
		}
	}
	return number
}

// ready makes rewrites ready. The error names the first that is wrong, by its place in the list.
func ready(list []Rewrite) (rewrites, int, error) {
	out := make(rewrites, len(list))
	for i, r := range list {
		match, err := pattern(r.Match)
		if err != nil {
			return nil, i, err
		}
		if strings.Trim(r.Prefix, "+0123456789*#") != "" {
			return nil, i, fmt.Errorf("prefix %q may only hold digits, + * and #", r.Prefix)
		}
		out[i].match, out[i].Rewrite = match, r
	}
	return out, 0, nil
}

var digitSet = regexp.MustCompile(`^\[(?:\d(?:-\d)?)+\]`)

// pattern turns a dial pattern into a regular expression.
func pattern(text string) (*regexp.Regexp, error) {
	if text == "" {
		return nil, fmt.Errorf("the pattern is empty; use . for every number")
	}
	var b strings.Builder
	b.WriteString("^")
	for rest := text; rest != ""; {
		c, n := rest[0], 1
		switch {
		case c >= '0' && c <= '9', c == '#':
			b.WriteByte(c)
		case c == '+' || c == '*':
			b.WriteString(`\` + string(c))
		case c == 'X' || c == 'x':
			b.WriteString("[0-9]")
		case c == 'Z' || c == 'z':
			b.WriteString("[1-9]")
		case c == 'N' || c == 'n':
			b.WriteString("[2-9]")
		case (c == '.' || c == '!') && len(rest) == 1:
			b.WriteString(map[byte]string{'.': ".+", '!': ".*"}[c])
		case c == '[' && digitSet.MatchString(rest):
			n = len(digitSet.FindString(rest))
			b.WriteString(rest[:n])
		default:
			return nil, fmt.Errorf("the pattern %q cannot be read at %q", text, rest)
		}
		rest = rest[n:]
	}
	return regexp.Compile(b.String() + "$") // fails on [5-2]
}
