package agent

import "callplane/app/kernel/auth"

// The permissions of the module. An agent's reach is their own state.
var (
	PermRead   = auth.Define("agent:read", "see agents and their states", auth.Supervisor, auth.Agent.At(auth.Team), auth.QA, auth.Auditor, auth.Integrator)
	PermWork   = auth.Define("agent:work", "sign in as an agent and set one's own state", auth.Supervisor.At(auth.Own), auth.Agent)
	PermManage = auth.Define("agent:manage", "set the state and skills of agents, change skills and break reasons", auth.Supervisor, auth.Integrator)
)
