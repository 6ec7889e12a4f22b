// Package sipphone is SIP telephones in Go, for tests, the demo, chaos and benchmarks.
//
// A [Phone] owns one UDP socket. It registers, calls ([Phone.Call]), is called ([Phone.Incoming]), and can act as
// the far end of a trunk: it takes calls for any number, answers OPTIONS and accepts REGISTER. Each [Call] sends
// its own tone and has an [Ear] that measures which tones it hears, so a test can prove who hears whom.
// [FindIn] finds a prompt in what was heard.
//
// Signalling is UDP with digest, CANCEL, hold, REFER and 2xx repetition; the transactions are sipgo's, the dialogs
// our own. Audio is PCMU (G.711 µ-law), 8 kHz, frames of 20 ms, with digits as RFC 4733 events. One clock
// goroutine sends for all phones of the process, so hundreds of talking phones fit on two cores. With
// Config.NoMedia a phone only signals.
//
// All methods may be called from any goroutine. Whoever makes a Phone closes it; Close waits for every goroutine
// of the phone.
package sipphone
