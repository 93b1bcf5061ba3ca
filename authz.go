package jadwal

// Action is something that a caller wants to do. Every route of the API names
// exactly one.
type Action string

// The actions there are.
const (
	ActionPublic      Action = "public" // needs no sign-in
	ActionOwnAccount  Action = "account.own"
	ActionListUsers   Action = "user.list"
	ActionCreateUser  Action = "user.create"
	ActionDeleteUser  Action = "user.delete"
	ActionCreateJob   Action = "job.create"
	ActionReadJob     Action = "job.read"
	ActionOperateJob  Action = "job.operate"
	ActionEditJob     Action = "job.edit"
	ActionPreview     Action = "schedule.preview"
	ActionReadMetrics Action = "metrics.read"
	ActionListNodes   Action = "node.list"
)

// Object is what an action is done to. The zero Object stands for none yet:
// then Allow tells whether the caller may do such a thing at all.
type Object struct {
	OwnerID int64 // of a job or a run
}

// Allow is the one rule of who may do what. It returns nil, or an error with
// CodeForbidden for what the caller may not do, or CodeNotFound for what the
// caller may not even know of. The caller is signed in, except for
// ActionPublic.
func Allow(u User, action Action, on Object) error {
	if action == ActionPublic {
		return nil
	}
	if u.ID == 0 || !u.DisabledAt.IsZero() {
		return Errorf(CodeForbidden, "You may not do this")
	}
	switch action {
	case ActionOwnAccount, ActionCreateJob, ActionPreview:
		return nil
	case ActionListUsers, ActionCreateUser, ActionDeleteUser, ActionReadMetrics, ActionListNodes:
		if u.IsSuperuser {
			return nil
		}
		return Errorf(CodeForbidden, "Only a superuser may do this")
	case ActionReadJob, ActionOperateJob, ActionEditJob:
		if on.OwnerID == 0 || on.OwnerID == u.ID || u.IsSuperuser {
			return nil
		}
		return Errorf(CodeNotFound, "No such job or run")
	}
	return Errorf(CodeForbidden, "You may not do this")
}
