package bus

import (
	"strings"

	"github.com/nats-io/nats.go"
)

const signalSubject = "cc.signal."

// Signal tells every node that listens to name to look. It is not stored: who is away does not get it.
func (b *Bus) Signal(name string) {
	_ = b.nc.Publish(signalSubject+token(name), nil) // away: the listeners poll
}

// OnSignal calls f on each Signal of name, also on our own, until stop is called. f must be quick.
func (b *Bus) OnSignal(name string, f func()) (stop func()) {
	sub, err := b.nc.Subscribe(signalSubject+token(name), func(*nats.Msg) { f() })
	if err != nil { // closed
		return func() {}
	}
	return func() { _ = sub.Unsubscribe() }
}

// token writes any text as one token of a subject.
func token(s string) string { return strings.ReplaceAll(escape(s), ".", "=2E") }

// Token writes any text as one token of a NATS subject; different texts give different tokens.
func Token(s string) string { return token(s) }
