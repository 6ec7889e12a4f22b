package sipphone

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// direction of the audio, from the view of who writes the SDP.
type direction string

const (
	sendRecv direction = "sendrecv"
	sendOnly direction = "sendonly"
	recvOnly direction = "recvonly"
	inactive direction = "inactive"
)

func (d direction) sends() bool    { return d == sendRecv || d == sendOnly }
func (d direction) receives() bool { return d == sendRecv || d == recvOnly }

// answer is the direction we answer to an offer of d, when we ourselves want the direction own.
func (d direction) answer(own direction) direction {
	send, recv := d.receives() && own.sends(), d.sends() && own.receives()
	switch {
	case send && recv:
		return sendRecv
	case send:
		return sendOnly
	case recv:
		return recvOnly
	}
	return inactive
}

// session is the part of an SDP that matters here.
type session struct {
	addr   netip.AddrPort // where to send RTP
	events uint8          // payload type of RFC 4733 digits, 0 if the other side takes none
	dir    direction
}

var errNoPCMU = errors.New("no PCMU audio in the SDP")

// parseSDP reads the first audio line of a session description.
func parseSDP(body []byte) (session, error) {
	s := session{dir: sendRecv}
	var addr netip.Addr
	var port uint16
	var formats []string
	section := "session"
	lines := bufio.NewScanner(bytes.NewReader(body))
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		kind, value, _ := strings.Cut(line, "=")
		if kind == "m" {
			f := strings.Fields(value)
			if section = "other"; len(f) > 3 && f[0] == "audio" && formats == nil {
				section, formats = "audio", f[3:]
				n, _ := strconv.ParseUint(f[1], 10, 16)
				port = uint16(n)
			}
			continue
		}
		if section == "other" {
			continue
		}
		switch kind {
		case "c":
			if f := strings.Fields(value); len(f) == 3 {
				addr, _ = netip.ParseAddr(f[2])
			}
		case "a":
			switch d := direction(value); d {
			case sendRecv, sendOnly, recvOnly, inactive:
				s.dir = d
			}
			if pt, name, ok := strings.Cut(strings.TrimPrefix(value, "rtpmap:"), " "); ok && strings.HasPrefix(name, "telephone-event/8000") {
				n, _ := strconv.ParseUint(pt, 10, 7)
				s.events = uint8(n)
			}
		}
	}
	if !slices.Contains(formats, "0") || !addr.IsValid() || port == 0 {
		return s, errNoPCMU
	}
	if addr.IsUnspecified() { // the old way to hold
		s.dir = sendOnly
	}
	s.addr = netip.AddrPortFrom(addr, port)
	return s, nil
}

// writeSDP describes our side. The version grows with each new description of one call.
func writeSDP(addr netip.AddrPort, id uint64, version int, events uint8, dir direction) []byte {
	ip := addr.Addr()
	return fmt.Appendf(nil, "v=0\r\no=- %d %d IN IP4 %s\r\ns=sipphone\r\nc=IN IP4 %s\r\nt=0 0\r\n"+
		"m=audio %d RTP/AVP 0 %d\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:%d telephone-event/8000\r\na=fmtp:%d 0-16\r\na=ptime:20\r\na=%s\r\n",
		id, version, ip, ip, addr.Port(), events, events, events, dir)
}
