package jadwal

import "time"

// AuditLine tells who did what to what, when, from where and by which means.
// Nothing in it is looked up later: it tells names as they were.
type AuditLine struct {
	ID        int64
	At        time.Time
	ActorID   int64  // a user; 0: the operator's command line or the server itself
	Actor     string // the user's name, "operator" or "server"
	Means     string // "session/ID", "key/ID", "password", "code", "command"; "": the server itself
	Action    string // one of AuditActions
	Object    string // such as "job/5"
	Detail    RawJSON
	Source    string // the address it was asked from; "": none
	RequestID string // finds the request in the log; "": none
}

// AuditActions is every action that a line of the audit log tells of.
var AuditActions = []string{
	"session.start", "session.end", "session.evict", "session.theft",
	"user.create", "user.update", "user.delete", "user.password", "user.reset", "user.disable", "user.enable",
	"key.create", "key.delete",
	"signature-key.create", "signature-key.delete",
	"secret.create", "secret.update", "secret.delete",
	"job.create", "job.edit", "job.delete", "job.pause", "job.resume", "job.owner", "job.run", "job.test",
	"run.retry", "run.cancel",
	"grant.set", "grant.remove",
	"signing.rotate",
}
