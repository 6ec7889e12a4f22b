package call

import "callplane/app/kernel/auth"

// The permissions of the module. An agent's reach is their own calls.
var (
	permRead      = auth.Define("call:read", "see calls, live and past", auth.Supervisor, auth.Agent, auth.QA, auth.Auditor, auth.Integrator)
	permControl   = auth.Define("call:control", "hold, transfer and hang up calls, send digits, write notes", auth.Supervisor, auth.Agent, auth.Integrator)
	permDial      = auth.Define("call:dial", "place calls", auth.Supervisor, auth.Agent, auth.Integrator)
	permAbandoned = auth.Define("call:abandoned", "see who gave up waiting, and call them back", auth.Supervisor, auth.Agent.At(auth.Team))
	permRecord    = auth.Define("call:record", "start and stop recording on demand", auth.Supervisor, auth.Agent)
)
