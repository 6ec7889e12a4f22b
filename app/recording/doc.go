// Package recording keeps what was said in calls.
//
// While people talk, the switch records each leg alone. When the call has ended, a job fetches these tracks, puts them on one
// time line as one stereo WAV (the customer left; agents, third parties and supervisors right), stores the file with its
// digest, and only then lets the switch forget them. The job goes on for as long as it takes: with the switch away or the
// disk full, it tries again later, and the tracks wait.
//
// A full disk makes a switch end a recording early and call it complete. So each track's length is compared with the time its
// party was connected; a [Recording] that is short of it by more than a second is [Truncated], and an event says so.
//
// Messages that callers leave take the same way, and belong to package voicemail.
package recording
