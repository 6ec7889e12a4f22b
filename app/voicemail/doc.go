// Package voicemail keeps the messages that callers leave, and the tasks that follow from them.
//
// When a call ends in which the caller was asked for a message, there is something to do, and a [Task] with a due time says
// what: hear the [Message], or, when they left none, call the number back. The task is there as soon as the call is over;
// the audio follows when package recording has fetched it from the switch. Somebody claims the task, and says when it is
// done. A task that is open after its due time raises the event [EventOverdue], once.
package voicemail
