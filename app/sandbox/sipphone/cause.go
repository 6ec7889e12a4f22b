package sipphone

import (
	"fmt"
	"net/textproto"
	"strconv"
	"strings"
)

// Side is one end of a call, seen from this phone.
type Side string

// The two ends.
const (
	Local  Side = "local"
	Remote Side = "remote"
)

// Cause is what the Reason headers of a BYE, CANCEL or refusal say. Zero fields were not given.
type Cause struct {
	Q850 int    // ISDN cause, 16 is a normal end, 17 busy, 26 answered elsewhere
	SIP  int    // SIP code, 200 in a CANCEL: answered elsewhere
	Text string // free words, of the last header that had some
}

// Elsewhere says whether the call was taken by another phone.
func (c Cause) Elsewhere() bool { return c.SIP == 200 || c.Q850 == 26 }

// causeOf reads the Reason headers (RFC 3326), such as `Q.850;cause=16;text="Normal"`.
func causeOf(h textproto.MIMEHeader) (c Cause) {
	for _, line := range h.Values("Reason") {
		for one := range strings.SplitSeq(line, ",") {
			parts := strings.Split(one, ";")
			for _, param := range parts[1:] {
				k, v, _ := strings.Cut(strings.TrimSpace(param), "=")
				switch strings.ToLower(k) {
				case "cause":
					n, _ := strconv.Atoi(v)
					if strings.EqualFold(strings.TrimSpace(parts[0]), "SIP") {
						c.SIP = n
					} else {
						c.Q850 = n
					}
				case "text":
					c.Text = strings.Trim(v, `"`)
				}
			}
		}
	}
	return c
}

// q850Header is the value of a Reason header that gives this Q.850 cause.
func q850Header(cause int) string { return fmt.Sprintf("Q.850;cause=%d", cause) }

// Rejected is the error of a call, or another request, that the far side turned down.
type Rejected struct {
	Code    int    // SIP code, 300 to 699
	Reason  string // the words beside the code
	Cause   Cause  // from the Reason headers
	Headers textproto.MIMEHeader
}

func (r *Rejected) Error() string {
	if r.Cause.Q850 != 0 {
		return fmt.Sprintf("rejected: %d %s (Q.850 %d)", r.Code, r.Reason, r.Cause.Q850)
	}
	return fmt.Sprintf("rejected: %d %s", r.Code, r.Reason)
}
