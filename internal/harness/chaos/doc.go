// Command chaos disturbs three nodes that share one PostgreSQL, while clients
// create, edit, pause and delete jobs of several users, ask for runs, repeat and
// cancel them through any node, and a target that is slow and fails now and then
// records what reaches it. At random a node is killed, stopped past its lease and
// continued, told to end, cut from the database for a moment or for longer than
// its lease, and the database itself is killed. fsync is on. In the end nothing
// may be lost or recorded twice: by the store's own invariants, and by the
// reckoning of package people.
//
// It ends with status 1 when anything is wrong, and prints the seed that made
// the choices; when they strike depends on the machine too.
//
// A delivery of an old epoch is excused when it came right after a node was
// continued that had been stopped: a process that does not run cannot notice
// that its lease has ended (docs/explanation/firing.md). It is counted.
package main
