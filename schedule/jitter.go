package schedule

import "time"

// Jitter returns how much later than at a run of a job starts: a whole number
// of milliseconds in [0, max], always the same for the same job and instant, and
// less than the distance to next, the instant after at (zero: there is none).
// Nominal time and jitter stay apart: at remains the name of the occurrence.
func Jitter(max time.Duration, job int64, at, next time.Time) time.Duration {
	limit := max.Milliseconds()
	if !next.IsZero() {
		limit = min(limit, milli(next)-milli(at)-1)
	}
	if limit <= 0 {
		return 0
	}
	hash := mix(mix(uint64(job)+0x9e3779b97f4a7c15) ^ uint64(milli(at)))
	return time.Duration(hash%uint64(limit+1)) * time.Millisecond
}
