// Package api serves HTTP: typed handlers, one guard for each route, problems, paging, and the OpenAPI document.
//
// A module registers its routes in one place, and its handlers stay thin:
//
//	func (s *Service) Routes(r *api.Router) {
//		api.Get(r, "/acd/queues", s.getQueues, auth.Can(read))
//		api.Post(r, "/acd/queues/{id}/open", s.postOpen, auth.Can(manage), api.Summary("Open a queue"))
//	}
//
//	func (s *Service) postOpen(ctx context.Context, in *struct{ ID QueueID `path:"id"` }) (Queue, error)
//
// A path "/acd/queues" is served as /api/acd/queues. The input is a struct with huma's tags (path, query, header;
// a field Body is the JSON body; default needs required:"false"); the output is sent as it is. [None] as output
// means 204. Every route has exactly one guard ([auth.Can], [auth.SignedIn], [auth.Limited], [auth.Public]);
// registering one without panics, at start. What does not fit (audio with ranges, event streams, WebSockets, uploads)
// goes through [Raw] and is documented all the same.
//
// A handler returns an error and is done: a [problem.Problem] is sent as RFC 9457 JSON, gorm.ErrRecordNotFound as
// not_found, anything else is logged once and sent as "internal" with the request id.
//
// The API has a version. Answers carry it in the header Callplane-Api; a request may name the one it was written
// for in the same header, and gets the problem api_version if it is not served.
//
// Changes are audited: a request of an unsafe method that succeeds and whose handler wrote no entry by audit.Add gets
// a plain one, named after the route. [Audit] names it, and also audits a safe method (playback, export); such an entry
// is written before the handler runs, so that nothing is heard or read without it. [NoAudit] is for the everyday work
// of calls and agents, which has its own history.
package api
