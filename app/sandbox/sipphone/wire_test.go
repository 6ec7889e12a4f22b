package sipphone

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// lossy passes packets to a phone and back, but loses the first of each kind named.
func lossy(t *testing.T, to *Phone, lose ...string) (addr string) {
	t.Helper()
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = front.Close()
		<-done
	})
	go func() {
		defer close(done)
		var caller netip.AddrPort
		buf := make([]byte, 4096)
	next:
		for {
			n, from, err := front.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			for i, kind := range lose {
				if kind != "" && strings.HasPrefix(string(buf[:n]), kind) {
					lose[i] = ""
					continue next
				}
			}
			if from != to.addr {
				caller = from
				_, _ = front.WriteToUDPAddrPort(buf[:n], to.addr)
			} else {
				_, _ = front.WriteToUDPAddrPort(buf[:n], caller)
			}
		}
	}()
	return front.LocalAddr().String()
}

func TestLostPackets(t *testing.T) {
	a, b := phone(t, Config{User: "ann"}), phone(t, Config{AutoAnswer: time.Millisecond})
	c, err := a.Call(within(t, 10*time.Second), "sip:b@"+lossy(t, b, "INVITE", "SIP/2.0 180", "SIP/2.0 200"))
	must(t, err)
	must(t, c.Hangup(within(t, 5*time.Second)))
	if _, err := wait(t, b.Incoming(), "call").Call(t.Context()); err != nil {
		t.Error(err)
	}
	if len(b.Incoming()) != 0 {
		t.Error("the repeated INVITE made a second call")
	}
	c, err = a.Call(within(t, 10*time.Second), "sip:b@"+lossy(t, b, "SIP/2.0 100")) // nothing follows a lost 100 but the rest
	must(t, err)
	must(t, c.Hangup(within(t, 5*time.Second)))
}

// hand is a peer played by hand, line by line.
type hand struct {
	t    *testing.T
	conn *net.UDPConn
	to   *Phone
	id   string
}

func (h hand) send(method, branch, toTag string, seq int) {
	h.t.Helper()
	_, err := h.conn.WriteToUDPAddrPort(fmt.Appendf(nil, "%s sip:b@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s\r\nFrom: <sip:h@h>;tag=h\r\n"+
		"To: <sip:b@b>%s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nContact: <sip:h@%s>\r\nContent-Length: 0\r\n\r\n",
		method, h.to.Addr(), h.conn.LocalAddr(), branch, toTag, h.id, seq, method, h.conn.LocalAddr()), h.to.addr)
	must(h.t, err)
}

// expect reads until a message begins with want.
func (h hand) expect(want string) string {
	h.t.Helper()
	must(h.t, h.conn.SetReadDeadline(time.Now().Add(5*time.Second)))
	buf := make([]byte, 4096)
	for {
		n, err := h.conn.Read(buf)
		if err != nil {
			h.t.Fatalf("wait for %s: %v", want, err)
		}
		if strings.HasPrefix(string(buf[:n]), want) {
			return string(buf[:n])
		}
	}
}

func byHand(t *testing.T, to *Phone) hand {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return hand{t, conn, to, newID()}
}

func TestTheAnswerIsRepeatedUntilTheACK(t *testing.T) {
	p := phone(t, Config{})
	h := byHand(t, p)
	h.send("INVITE", "1", "", 1) // without SDP: the phone offers
	in := wait(t, p.Incoming(), "call")
	answered := make(chan error, 1)
	go func() {
		_, err := in.Answer(t.Context())
		answered <- err
	}()
	first := h.expect("SIP/2.0 200")
	if again := h.expect("SIP/2.0 200"); again != first {
		t.Errorf("another answer:\n%s\nthan before:\n%s", again, first)
	}
	_, tag, _ := strings.Cut(first, "To: <sip:b@b>")
	tag, _, _ = strings.Cut(tag, "\r\n")
	h.send("ACK", "2", tag, 1) // and it has no answer in it
	if err := wait(t, answered, "result"); err == nil {
		t.Error("an ACK without SDP was taken as an answer to our offer")
	}
	h.expect("BYE")
}

func TestTheBYEOvertakesTheACK(t *testing.T) {
	p := phone(t, Config{AutoAnswer: time.Nanosecond})
	h := byHand(t, p)
	h.send("INVITE", "1", "", 1)
	_, tag, _ := strings.Cut(h.expect("SIP/2.0 200"), "To: <sip:b@b>")
	tag, _, _ = strings.Cut(tag, "\r\n")
	h.send("BYE", "2", tag, 2)
	h.expect("SIP/2.0 200")
	c, err := wait(t, p.Incoming(), "call").Call(within(t, 5*time.Second))
	must(t, err)
	wait(t, c.Done(), "end")
}

func TestCancelledTagsAreTheSame(t *testing.T) {
	p := phone(t, Config{})
	h := byHand(t, p)
	h.send("INVITE", "1", "", 1)
	in := wait(t, p.Incoming(), "call")
	must(t, in.Ring())
	tag := func(msg string) string {
		_, s, _ := strings.Cut(msg, ";tag=h")
		_, s, _ = strings.Cut(s, ";tag=")
		s, _, _ = strings.Cut(s, "\r\n")
		return s
	}
	ringing := h.expect("SIP/2.0 180")
	h.send("CANCEL", "1", "", 1)
	ended := h.expect("SIP/2.0 487")
	if tag(ringing) == "" || tag(ringing) != tag(ended) {
		t.Errorf("tags %q and %q", tag(ringing), tag(ended))
	}
	h.send("ACK", "1", ";tag="+tag(ended), 1)
	wait(t, in.Cancelled(), "CANCEL")
}
