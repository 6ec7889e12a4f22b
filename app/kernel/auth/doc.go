// Package auth knows who is asking, what they may do, and which rows they may see.
//
// A [Principal] travels in the context. It is a person, an API key, or the platform itself. It has grants: a
// [Permission] with a [Scope]. The permission says what one may do, the scope and the principal's unit say where.
//
// A module defines its permissions as package variables, and says which preset roles get them:
//
//	var manage = auth.Define("acd:manage", "create and change queues", auth.Admin, auth.Supervisor)
//	var listen = auth.Define("acd:read", "see queues", auth.Admin, auth.Agent.At(auth.Team))
//
//	api.Post(r, "/acd/queues", s.postQueue, auth.Can(manage))
//
// Every owned row carries a unit (a node of the organisation tree, see package user) and may carry an owner.
// [Visible] narrows a query to what the asker may see; [MayUse] asks the same of one thing in memory. What one
// may not see looks like what is not there: answer [problem.ErrNotFound], not ErrForbidden.
//
// A tenant is a root unit. No scope of a person or key reaches beyond its tenant; only [System] does.
package auth
