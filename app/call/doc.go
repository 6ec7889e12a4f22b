// Package call is one live conversation: its legs, its state, and what becomes of it.
//
// Each [Call] is one goroutine that owns everything about it. The switch tells it what its legs do, a [Flow] says what to do
// while no person is on it, the queue brain offers it agents, and people give it orders over the API; all of that
// arrives in one mailbox and is handled one by one. What a call can go through is the table life in life.go.
//
// After every change the call writes its [Record] to the live store and tells the event stream; neither is waited for. When the process
// is gone and comes back, [Service.Recover] rebuilds every call from its record and from what the switch says is
// there. When a call ends, its record goes to the stream once more and becomes rows in SQL.
package call
