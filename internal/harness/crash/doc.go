// Command crash kills a real server with SIGKILL again and again, at random
// moments, while clients create, edit, pause and delete jobs, ask for runs and
// cancel them, make and delete users and refresh a session, and a target that
// is slow and fails now and then records what reaches it. Then it looks for
// what was lost or doubled: by the store's own invariants, and by a reckoning
// of its own from what the API confirmed, what the API tells in the end, and
// what the target got.
//
// It ends with status 1 when anything is wrong, and with the seed that made
// the choices; the moments of the kills depend on the machine too. Of a job
// with which something is wrong it prints the whole story.
package main
