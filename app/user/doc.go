// Package user keeps the organisation's units, the people in it and what they may do, and signs them in.
//
// Units form one tree of any depth; a root is a tenant. A [User] belongs to one unit and has roles: presets, whose
// permissions each module defines (see package auth), and the tenant's own. A [Key] lets another system in, with chosen
// permissions at a unit and below.
//
// People sign in with login and password, and a second factor if they set one up or a role asks for it. That opens a
// session: an opaque token of which only the hash is stored, sent as a cookie that scripts cannot read, and also
// usable as a bearer token. [Service.Authenticate] turns a token into an auth.Principal; what it answers may be old by
// [staleness] on other nodes, and is never old on the node where the change was made.
//
// Five wrong passwords or codes lock an account for a while, and do so as well for a login that does not exist.
// Every sign-in, good or bad, is in the audit log.
package user
