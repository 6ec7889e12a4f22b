// Package ari drives Asterisk 22 through its REST interface, ARI.
//
// [New] makes a [Switch], which is a pbx.Switch. [Switch.Run] holds one WebSocket to Asterisk, turns what Asterisk tells
// into pbx events, and comes back by itself after a break. Commands are REST requests on a link with a deadline for each.
//
//	link.go      REST: one request, its deadline, its errors    library.go   the ARI library, on our link
//	reader.go    the WebSocket and the reconnect                decode.go    one frame of it
//	legs.go      what we remember of each leg                   translate.go from ARI's events to pbx events
//	dial.go rooms.go park.go play.go record.go spy.go           the commands
//	snapshot.go provision.go objects.go resolve.go              what is there, what shall be there
//	audit.go     legs that ended without a word                 check.go     is this Asterisk fit for us
//
// # What Asterisk does and we hide
//
// A leg that arrives ends with StasisEnd and nothing else; one that we dial ends with ChannelDestroyed, and has had no
// StasisStart if nobody answered. Either way there is one Ended, and it comes last: recordings and playbacks of the leg
// are closed before it.
//
// Recording and listening use snoop channels. Their ids begin with "~", which no leg of ours can have, so their events
// never look like a leg's. A snoop can be used only after its own StasisStart.
//
// Music comes from one holding bridge for each music class. It outlives us, and is made anew after a restart of Asterisk.
// The music in it goes with the last leg that leaves, see [Switch.Park].
//
// Phones and trunks are PJSIP objects called "cp-<name>" in Asterisk's own database, written over ARI. The SIP user name of
// a phone is that id, see [SIPUser]. Lines come in on a second ARI application, "<app>-lines", over the same WebSocket: were
// the first one subscribed to endpoints, every event of every channel would come twice.
package ari
