// Package agent knows who is signed in to take calls, on which phone, in which state, and with which skills.
//
// An agent is a user with a phone. Signing in binds the two for as long as the agent likes; signing in elsewhere moves
// the agent there. [Service] keeps every agent's [Presence] in memory, where the queue brain reads it, writes each
// change to the live store (so that it outlives a restart), and tells it to the event stream, from which the state
// history in SQL is made: one row for each interval, with its exact start and end.
//
// What an agent may go through is the table life in presence.go.
package agent
