package jadwal

import (
	"slices"
	"time"
)

// Level is how much a user may do with another user's job.
type Level string

// The levels, from the lowest. Each includes those before it.
const (
	LevelViewer   Level = "viewer"   // see the job, its runs and its versions
	LevelOperator Level = "operator" // run it now, pause and resume it, cancel and repeat its runs
	LevelEditor   Level = "editor"   // change and delete it
)

// Levels are all levels, from the lowest.
var Levels = []Level{LevelViewer, LevelOperator, LevelEditor}

// Includes tells whether l gives all that other gives. What is no level gives
// nothing, and nothing includes it.
func (l Level) Includes(other Level) bool {
	least := slices.Index(Levels, other)
	return least >= 0 && slices.Index(Levels, l) >= least
}

// Grant is what a user may do with another user's job.
type Grant struct {
	JobID     int64
	UserID    int64
	Level     Level
	GrantedBy int64 // a user; 0: the operator
	CreatedAt time.Time
	UpdatedAt time.Time
}

// MaxGrants is how many grants a job has at most.
const MaxGrants = 100
