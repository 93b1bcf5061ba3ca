// Package schedule plans instants.
package schedule

// Spec is one schedule as a user wrote it: exactly one member is set.
type Spec struct {
	Cron  string `json:"cron,omitempty"`
	Every string `json:"every,omitempty"`
	At    string `json:"at,omitempty"`
	RRule string `json:"rrule,omitempty"`
}
