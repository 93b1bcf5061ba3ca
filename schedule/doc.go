// Package schedule plans instants: it turns what a user wrote (cron, every, at,
// rrule) into a Plan that answers which instant comes next, which came before,
// and what the whole means in words.
//
// The package is pure. It reads no clock, no file and no environment: the time
// and the zone are arguments, and the zone database is embedded. All instants
// are whole milliseconds, all searches are bounded, and a Plan never changes
// after Compile, so that any number of goroutines may share one.
//
// # Daylight saving
//
// A cron schedule at fixed times has neither a `*` nor a step in its second,
// minute and hour fields; lists and ranges count as fixed. When its local time
// is skipped by the clock (a gap), it runs once at the first instant after the
// gap; when its local time comes twice (an overlap), it runs on the first pass.
// Every other cron schedule follows real time: it runs on both passes, and
// nothing is added after a gap. These are the rules of Vixie cron (cron(8),
// "Daylight Saving Time and other time changes") and of Cronos; DST chooses
// others. A local day that does not exist at all (Apia, 2011-12-30) is left out.
package schedule
