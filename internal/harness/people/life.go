package people

import "time"

// Life is what happened to one process of a server.
type Life struct {
	Started time.Time
	Ready   time.Time // when it was seen to answer; zero: it was killed before
	Ended   time.Time // when it was killed, or asked to stop; zero: it is the last one
	Asked   bool      // it was asked to stop
	Gone    time.Time // when the process was gone
}

func (l Life) String() string {
	text := clock(l.Started) + " started"
	if !l.Ready.IsZero() {
		text += ", " + clock(l.Ready) + " ready"
	}
	switch {
	case l.Ended.IsZero():
		return text
	case l.Asked:
		text += ", " + clock(l.Ended) + " asked to stop"
	default:
		text += ", " + clock(l.Ended) + " killed"
	}
	return text + ", " + clock(l.Gone) + " gone"
}
