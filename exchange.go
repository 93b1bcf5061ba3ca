package jadwal

import "time"

// Test is a request of a job's target that is sent once, because somebody asks
// for it, as an attempt of a run would send it. It is no run: nothing of it is
// in the history, and no schedule knows of it.
type Test struct {
	Key       RunKey      // makes the id, which TestID writes
	Job       *Definition // as it is, or as an edit would have it
	Limited   bool        // a normal user's egress rules apply
	Inherited bool        // they do although the owner is a superuser: somebody else wrote it
	Signer    *Signer
	OwnerID   int64         // of the job
	Secrets   []SecretValue // that the job names
	Timeout   time.Duration
}

// The limits of tests.
const (
	MaxTestTimeout = 30 * time.Second // an answer of the API may take a minute, the reading of its request included
	MaxTests       = 32               // at once
	MaxTestsOfUser = 4                // at once, by one user
	MaxTestHeaders = 16 << 10         // bytes of an answer's header that are shown
	OutputOfTest   = MaxOutput        // bytes of an answer's body that are shown, whatever the job keeps
)

// TestID is what stands in the place of a run id in a test. It is the id of no
// run, since it is none that RunKey.ID writes.
func TestID(k RunKey) string { return "test-" + k.ID() }

// Exchange is what a test sent and what came back. It holds no value of a
// secret header, and no secret that the job names.
type Exchange struct {
	State    RunState // succeeded, failed or cancelled, as the run would have been
	Reason   Reason
	Message  string
	Took     time.Duration
	Request  Sent // the zero one when none could be made
	Answered bool
	Answer   Answer // when it was Answered
}

// Sent is the first request of a test, before any redirect.
type Sent struct {
	Method string
	URL    string
	Header []HeaderField
	Body   []byte
}

// Answer is what a target answered in the end.
type Answer struct {
	URL     string // of the request that it is the answer to: another than the first one's after redirects
	Proto   string // such as "HTTP/1.1"
	TLS     string // such as "TLS 1.3"; "": none
	Status  int
	Header  []HeaderField
	Body    []byte
	CutOff  bool // there was more in its header or body than is here
	Follows int  // redirects that were followed to it
}

// HeaderField is one field of a header. A value that is never shown again is
// "" and Secret.
type HeaderField struct {
	Name   string
	Value  string
	Secret bool
}
