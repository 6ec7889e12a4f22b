// Package pbxtest is a telephone switch in memory, and the tests that every driver of [pbx.Switch] must pass.
//
// [New] makes the switch. It keeps the whole contract of the port, runs under testing/synctest as well as in real time,
// and carries ten thousand calls without a goroutine for any of them. Tests play the far ends:
//
//	sw := pbxtest.New()
//	sw.AddPhone("1001").OnCall(pbxtest.AnswerAfter(2 * time.Second))
//	go sw.Run(ctx)                                    // the control plane under test reads sw.Events()
//	caller := sw.CallIn(pbxtest.Inbound{From: "13800138000", To: "4001"})
//	time.Sleep(time.Minute)                           // fake time
//	caller.Hears()                                    // ["1001"]
//	caller.Press("1")
//	caller.Hangup()
//
// What goes wrong in practice can be made to go wrong here: [Switch.Cut], [Switch.Restart], [Switch.FailNext],
// [Switch.Delay], [Switch.DiskFull], [Phone.Crash]. [Switch.Detach] and [Switch.Attach] put a new control plane in the
// place of one that died, with the calls still up.
//
// [Run] is the conformance suite; a driver's test hands it a [Rig] that can play phones and callers for its switch.
package pbxtest
