package jadwal

// Action is something that a caller wants to do. Every route of the API names
// exactly one.
type Action string

// The actions there are.
const (
	ActionPublic      Action = "public"
	ActionReadSelf    Action = "account.read"
	ActionOwnAccount  Action = "account.own"
	ActionOwnSession  Action = "session.own"
	ActionReadUser    Action = "user.read"
	ActionCreateUser  Action = "user.create"
	ActionEditUser    Action = "user.edit"
	ActionDeleteUser  Action = "user.delete"
	ActionCreateJob   Action = "job.create"
	ActionReadJob     Action = "job.read"
	ActionOperateJob  Action = "job.operate"
	ActionEditJob     Action = "job.edit"
	ActionReadRun     Action = "run.read"
	ActionOperateRun  Action = "run.operate"
	ActionPreview     Action = "schedule.preview"
	ActionReadMetrics Action = "metrics.read"
)

// Object is what an action is done to. The zero Object stands for none yet:
// then Allow tells whether the caller may do such a thing at all.
type Object struct {
	OwnerID int64 // of a session, a job or a run
}

// rule says who may do something.
type rule int

const (
	nobody    rule = iota
	anybody        // needs no sign-in
	signedIn       // every user
	superuser      // every superuser
	owner          // who owns the object, and every superuser; others may not know of it
)

// rights is who may do what. An action that is not in it is forbidden.
var rights = map[Action]rule{
	ActionPublic:      anybody,
	ActionReadSelf:    signedIn,
	ActionOwnAccount:  signedIn,
	ActionOwnSession:  owner,
	ActionReadUser:    superuser,
	ActionCreateUser:  superuser,
	ActionEditUser:    superuser,
	ActionDeleteUser:  superuser,
	ActionCreateJob:   signedIn,
	ActionReadJob:     owner,
	ActionOperateJob:  owner,
	ActionEditJob:     owner,
	ActionReadRun:     owner,
	ActionOperateRun:  owner,
	ActionPreview:     signedIn,
	ActionReadMetrics: superuser,
}

// Allow is the one rule of who may do what. It returns nil, or an error with
// CodeForbidden for what the caller may not do, or CodeNotFound for what the
// caller may not even know of. The caller is signed in, except for
// ActionPublic.
func Allow(by Actor, action Action, on Object) error {
	u, rule := by.User, rights[action]
	switch {
	case rule == anybody:
		return nil
	case rule == nobody, u.ID == 0, !u.DisabledAt.IsZero():
		return Errorf(CodeForbidden, "You may not do this")
	case rule == signedIn, u.IsSuperuser:
		return nil
	case rule == superuser:
		return Errorf(CodeForbidden, "Only a superuser may do this")
	case on.OwnerID == 0, on.OwnerID == u.ID:
		return nil
	}
	return Errorf(CodeNotFound, "There is no such thing")
}
