package jadwal

import "slices"

// Action is something that a caller wants to do. Every route of the API names
// exactly one.
type Action string

// The actions there are.
const (
	ActionPublic       Action = "public"
	ActionReadSelf     Action = "account.read"
	ActionOwnAccount   Action = "account.own"
	ActionOwnSession   Action = "session.own"
	ActionOwnKey       Action = "key.own"
	ActionOwnSignature Action = "signature.own"
	ActionReadSecret   Action = "secret.read"
	ActionWriteSecret  Action = "secret.write"
	ActionReadUser     Action = "user.read"
	ActionCreateUser   Action = "user.create"
	ActionEditUser     Action = "user.edit"
	ActionDeleteUser   Action = "user.delete"
	ActionCreateJob    Action = "job.create"
	ActionReadJob      Action = "job.read"
	ActionOperateJob   Action = "job.operate"
	ActionEditJob      Action = "job.edit"
	ActionCloneJob     Action = "job.clone"
	ActionShareJob     Action = "job.share"
	ActionReadRun      Action = "run.read"
	ActionOperateRun   Action = "run.operate"
	ActionPreview      Action = "schedule.preview"
	ActionReadMetrics  Action = "metrics.read"
	ActionListNodes    Action = "node.list"
	ActionReadAudit    Action = "audit.read"
)

// Object is what an action is done to. The zero Object stands for none yet:
// then Allow tells whether the caller may do such a thing at all.
type Object struct {
	OwnerID int64 // of a session, a key, a job or a run
	Level   Level // of the caller's grant for a job of another owner
}

// rule says who may do something.
type rule int

const (
	nobody    rule = iota
	anybody        // needs no sign-in
	signedIn       // every user
	superuser      // every superuser
	owner          // who owns the object, and every superuser; others may not know of it
	viewer         // the owner, and whoever has a grant of that level or a higher one
	operator
	editor
)

// levels are the grants that a rule is content with.
var levels = map[rule]Level{viewer: LevelViewer, operator: LevelOperator, editor: LevelEditor}

// right is a rule, and the scope that an API key needs besides; none: no key
// may do it.
type right struct {
	rule  rule
	scope Scope
}

// rights is who may do what. An action that is not in it is forbidden.
var rights = map[Action]right{
	ActionPublic:       {anybody, anyScope},
	ActionReadSelf:     {signedIn, anyScope},
	ActionOwnAccount:   {signedIn, ""},
	ActionOwnSession:   {owner, ""},
	ActionOwnKey:       {owner, ""},
	ActionOwnSignature: {owner, ""},
	ActionReadSecret:   {owner, ScopeReadSecret},
	ActionWriteSecret:  {owner, ScopeWriteSecret},
	ActionReadUser:     {superuser, ScopeReadUser},
	ActionCreateUser:   {superuser, ""},
	ActionEditUser:     {superuser, ""},
	ActionDeleteUser:   {superuser, ""},
	ActionCreateJob:    {signedIn, ScopeWriteJob},
	ActionReadJob:      {viewer, ScopeReadJob},
	ActionOperateJob:   {operator, ScopeWriteJob},
	ActionEditJob:      {editor, ScopeWriteJob},
	ActionCloneJob:     {owner, ScopeWriteJob},
	ActionShareJob:     {owner, ""},
	ActionReadRun:      {viewer, ScopeReadRun},
	ActionOperateRun:   {operator, ScopeWriteRun},
	ActionPreview:      {signedIn, anyScope},
	ActionReadMetrics:  {superuser, ScopeReadMetrics},
	ActionReadAudit:    {superuser, ScopeReadAudit},
	ActionListNodes:    {superuser, ""},
}

// KeyNeeds returns the scope that an API key needs for an action, "" when any
// will do; ok is false when no key may do it.
func KeyNeeds(action Action) (scope Scope, ok bool) {
	scope = rights[action].scope
	if scope == anyScope {
		return "", true
	}
	return scope, scope != ""
}

// Allow is the one rule of who may do what. It returns nil, or an error with
// CodeForbidden for what the caller may not do, CodeInsufficientScope for what
// only the caller's API key may not, or CodeNotFound for what the caller may
// not even know of. The caller is signed in, except for ActionPublic.
func Allow(by Actor, action Action, on Object) error {
	u, rule := by.User, rights[action].rule
	switch {
	case rule == anybody:
		return nil
	case rule == nobody, u.ID == 0, !u.DisabledAt.IsZero():
		return Errorf(CodeForbidden, "You may not do this")
	}
	if by.Key != nil {
		switch scope, ok := KeyNeeds(action); {
		case !ok:
			return Errorf(CodeForbidden, "An API key may not do this: sign in")
		case scope != "" && !slices.Contains(by.Key.Scopes, scope):
			return &Error{Code: CodeInsufficientScope, Message: "The API key lacks the scope " + string(scope), Scope: scope}
		}
	}
	switch {
	case rule == signedIn, u.IsSuperuser:
		return nil
	case rule == superuser:
		return Errorf(CodeForbidden, "Only a superuser may do this")
	case on.OwnerID == 0, on.OwnerID == u.ID:
		return nil
	case on.Level.Includes(levels[rule]):
		return nil
	case on.Level != "":
		return Errorf(CodeForbidden, "As %s of this job you may not do this", on.Level)
	}
	return Errorf(CodeNotFound, "There is no such thing")
}
