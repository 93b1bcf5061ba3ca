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
// Each of these mistakes must be caught. Plant one, run with -rounds 40, see
// what it says, and take the mistake out again.
//
//	the cursor moves on before the run is fired
//	    engine/dispatch.go, plan: leave out "if !d.Start.IsZero() { to = micro(d.Start) }"
//	    caught as: I1, an instant without a record
//	a write is answered before its COMMIT
//	    store/writer.go, transact: before COMMIT, call the hooks of every part without an error, send nil to
//	    its done, and give it a new done
//	    caught as: %s
//	an open run is ended without looking whether it is still in that attempt
//	    store/hotcommit.go, commitOne: leave out standsAs
//	    caught as: an outcome of a former owner that was recorded
//	an instant is decided while the one before is only in memory
//	    engine/dispatch.go, plan: leave out "if f := j.unstored(); f != nil { e.spill(f, now) }"
//	    caught as: %s
//	an edit is answered before it is in force
//	    api/job.go, waitApplied: return nil
//	    caught as: a start after the answer
//	a repeated change is answered before the first one is in force
//	    api/job.go, settled: return nil
//	    caught as: %s
//	an entry of an open run is taken for a planned instant
//	    engine/job.go, kick: push the run's DueAt instead of forOpen
//	    caught as: %s
package main
