// Package hours says when a service is open.
//
// Opening hours are data: a [Calendar] has a name, a time zone, weekly windows, and special dates (holidays, make-up
// working days, one long evening) that replace the weekly windows. [Calendar.Open] and [Calendar.Next] are pure.
//
// [Service] keeps every calendar in memory, so that a call never waits for the database, and follows changes made on
// other nodes. Numbers choose flows by calendar (package route), flows ask in the middle, and campaigns dial inside one.
package hours
