// Package acd decides which agent is offered which waiting call.
//
// Callers wait in a [Queue]. When a call joins, an agent becomes free, or a requirement is relaxed, the [Brain] looks
// for a pair and the call is offered: the agent's phone rings until they accept, or until the ring time is over and
// the caller is back at the front. After talking, the agent has the queue's wrap-up time to write the call down.
//
// The Brain is a pure value: it knows no clock, switch or database, and each of its answers says why. [Service] owns it in
// one goroutine, feeds it what happens and carries out what it decides.
package acd
