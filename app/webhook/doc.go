// Package webhook tells other systems what happened, by HTTP.
//
// An [Endpoint] is an address that gets the events of its unit and below, as soon as they are in the stream. Each is a POST of
// a [Payload], signed as standardwebhooks.com says: headers webhook-id (the event's id), webhook-timestamp and
// webhook-signature. Any 2xx answer within the time limit is a delivery.
//
// Events of one key (a call, an agent) arrive in order: a later one is not sent before the one before it was delivered or
// given up. Keys do not wait for each other. What fails is tried again, later and later, for 24 hours; Retry-After is
// kept to. While a host does not answer at all, it is probed by one request at a time. An endpoint at which nothing was
// delivered for 24 hours is switched off, and keeps its place in the stream, so that nothing is lost when it is switched
// on within the week that events are kept.
//
// Each endpoint has one courier, on one node, that reads the stream with its own position. What takes longer than a moment it
// writes to the table of waiting events and goes on, so a crash loses nothing; it may repeat what was under way, under
// the same id.
package webhook
