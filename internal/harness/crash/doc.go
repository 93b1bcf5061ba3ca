// Command crash kills a real server with SIGKILL again and again, at random
// moments, while clients create, edit, pause and delete jobs, ask for runs,
// repeat and cancel them, make and delete users and refresh a session, and a
// target that is slow and fails now and then records what reaches it. Now and
// then an owner that was replaced sends what it still knows into the same
// database. Then the command looks for what was lost or doubled: by the store's
// own invariants, and by a reckoning of its own from what the API confirmed,
// what the API tells in the end, what the servers logged, and what the target
// got.
//
// It ends with status 1 when anything is wrong, and with the seed that made
// the choices; the moments of the kills depend on the machine too. Of a job
// with which something is wrong it prints the whole story.
//
// # What counts as an acknowledgement
//
// The answer to a call. Of a change whose answer was lost it is only known
// whether it is stored: a GET tells that. It need not be in force for that, so
// the call is repeated until it is answered. A deletion cannot be repeated; it
// is in force when the next server starts, since that one applies what it finds
// before it fires.
//
// # Planted mistakes
//
// Each of these mistakes is caught by one run of so many rounds. To see it,
// plant one, say "make crash ROUNDS=40", and take it out again.
//
//	the cursor moves on before the run is fired (40 rounds)
//	    engine/dispatch.go, plan: leave out "if !d.Start.IsZero() { to = micro(d.Start) }"
//	    caught as I1: instants without a record
//	a write is answered before its COMMIT (40)
//	    store/writer.go, transact, before COMMIT: for every part without an error call its hooks and drop
//	    them, send nil to its done, and give it a new done
//	    caught as jobs and sessions that are gone, and outcomes that the log says are dropped
//	an outcome does not look where the open run stands (40)
//	    store/hotcommit.go, commitOne: leave out standsAs
//	    caught as outcomes of a former owner that were recorded, or collide with a record
//	an instant is decided while the one before is only in memory (40)
//	    engine/dispatch.go, plan: leave out "if f := j.unstored(); f != nil { e.spill(f, now) }"
//	    caught as I1: instants without a record
//	an edit is answered before it is in force (40)
//	    api/job.go, waitApplied: return nil at once
//	    caught as runs that started after the answer
//	an entry of an open run looks like a planned instant (100)
//	    engine/job.go, kick: push the run's DueAt, and know it by that in decide and skips
//	    caught as outcomes that the log says are dropped, and deliveries that are not recorded
package main
