// Package e2e proves the platform with real calls: the binary as it is shipped, a real Asterisk, and SIP telephones each of
// which sends a tone of its own, so that a test knows who hears whom.
//
// The tests need the build tag e2e, root, and a host that package sandbox can build its tree on:
//
//	go test -tags e2e ./app/e2e
//
// They share one server and work side by side, each in a [Centre] of its own: a unit, a trunk with an address of its own,
// numbers, queues and agents. A test that kills the server has one to itself. Each test names the requirements it proves
// in the comment above it.
package e2e
