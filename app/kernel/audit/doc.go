// Package audit is the log of who did what: append-only, in a hash chain, written in the transaction of the deed.
//
// A service that changes something adds an entry in the same transaction, as the last thing it does there (the
// chain's head stays locked until the transaction ends):
//
//	return audit.Add(ctx, tx, audit.Entry{
//		Action: "acd.queue.open", Object: "acd.queue", ObjectID: string(q.ID), Unit: q.Unit, Before: was, After: q,
//	})
//
// Who asked, from which address and in which request is taken from the context. Fields whose names say that they are
// secret are blotted out. What a handler does not record itself, package api does: see its options Audit and NoAudit.
//
// Each entry's hash covers its content and the hash before it, and the head keeps the last one: an entry that is
// changed, removed or put in later is found by [Service.Verify]. Whoever can write the database can also rewrite the
// whole chain; to be safe from that too, keep copies of the head elsewhere (Verify gives it).
package audit
