package jadwal

import "time"

// Quota is how much somebody may do in a window of time: that much at once, and
// as much again in each window, evenly. It is a token bucket, kept as the time
// at which it is full again (the generic cell rate algorithm, ITU-T I.371,
// annex A).
type Quota struct {
	Most   int
	Window time.Duration
}

// PerMinute is a quota of that many a minute.
func PerMinute(most int) Quota { return Quota{most, time.Minute} }

// Allowance is what is left of a quota at a moment. Next is how long until there
// is one more, when Left is 0; Full how long until all of it is there again.
type Allowance struct {
	Left int
	Next time.Duration
	Full time.Duration
}

// each is how long one takes to come back.
func (q Quota) each() time.Duration { return q.Window / time.Duration(q.Most) }

// at is what is left at now of a quota that is full at that time.
func (q Quota) at(full, now time.Time) Allowance {
	owed := min(max(0, full.Sub(now)), q.Window)
	a := Allowance{Left: int((q.Window - owed) / q.each()), Full: owed}
	if a.Left = min(a.Left, q.Most); a.Left == 0 {
		a.Next = owed + q.each() - q.Window
	}
	return a
}

// maxMetered bounds how many a Meter remembers in a window, to some 20 MB in
// all.
const maxMetered = 100_000

// Meter counts what each of many does against one quota. Who has the whole
// quota is not remembered: two generations of entries take turns, each of which
// lasts for a window, and nothing is owed for longer. When there are more than
// 100,000 in a window the next generation begins at once, and the oldest of them
// are forgiven: so memory stays bounded, whoever comes.
//
// It is not safe for concurrent use.
type Meter[K comparable] struct {
	quota         Quota
	newer, older  map[K]time.Time // when the whole quota is there again
	turned        time.Time       // when newer began
	maxRemembered int
}

// NewMeter returns a Meter that has counted nothing; nil, for which there is no
// limit, when quota is of nothing.
func NewMeter[K comparable](quota Quota) *Meter[K] {
	if quota.Most <= 0 {
		return nil
	}
	return &Meter[K]{quota: quota, newer: map[K]time.Time{}, maxRemembered: maxMetered}
}

// Quota is what m counts against.
func (m *Meter[K]) Quota() Quota { return m.quota }

// Left tells what is left for who at now.
func (m *Meter[K]) Left(who K, now time.Time) Allowance {
	full, known := m.newer[who]
	if !known {
		full = m.older[who]
	}
	return m.quota.at(full, now)
}

// Count notes that who did n more at now, and tells what is left. More than
// there was left is forgiven.
func (m *Meter[K]) Count(who K, n int, now time.Time) Allowance {
	full := now.Add(m.Left(who, now).Full + time.Duration(n)*m.quota.each())
	if latest := now.Add(m.quota.Window); full.After(latest) {
		full = latest
	}
	if sinceTurn := now.Sub(m.turned); sinceTurn >= m.quota.Window || sinceTurn < 0 || len(m.newer) >= m.maxRemembered {
		m.older, m.newer, m.turned = m.newer, map[K]time.Time{}, now
	}
	m.newer[who] = full
	return m.quota.at(full, now)
}

// Take is Count of one, if there is one left; ok is false when there is not,
// and nothing is counted.
func (m *Meter[K]) Take(who K, now time.Time) (left Allowance, ok bool) {
	if left = m.Left(who, now); left.Left == 0 {
		return left, false
	}
	return m.Count(who, 1, now), true
}
