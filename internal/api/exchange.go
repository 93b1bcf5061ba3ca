package api

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/teknohole/jadwal"
)

// Tester sends a test and tells what came of it.
type Tester func(context.Context, jadwal.Test) jadwal.Exchange

// testsWait is until another test may be tried when there is no room for one.
const testsWait = time.Second

// tests counts the tests that are on their way. It is safe for concurrent use.
type tests struct {
	mu  sync.Mutex
	all int
	of  map[int64]int // by user; nobody with none
}

// enter makes room for a test of a user; leave gives it back. CodeRateLimited:
// the user has as many as one may; CodeBusy: all users have.
func (t *tests) enter(user int64) (leave func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.of[user] >= jadwal.MaxTestsOfUser:
		return nil, &jadwal.Error{Code: jadwal.CodeRateLimited, Message: "You have other tests on their way; wait for their answers", RetryAfter: testsWait}
	case t.all >= jadwal.MaxTests:
		return nil, &jadwal.Error{Code: jadwal.CodeBusy, Message: "The server has too many tests on their way; try again", RetryAfter: testsWait}
	}
	if t.of == nil {
		t.of = map[int64]int{}
	}
	t.all++
	t.of[user]++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.all--
		if t.of[user]--; t.of[user] == 0 {
			delete(t.of, user)
		}
	}, nil
}

// exchangeView is a test in an answer.
type exchangeView struct {
	ID         string          `json:"id" doc:"What the target got in the place of a run id. No run has it." pattern:"^test-[0-9a-v]{29}$"`
	State      jadwal.RunState `json:"state" doc:"What a run would have ended as, were it not attempted again." enum:"succeeded,failed,cancelled"`
	Reason     *jadwal.Reason  `json:"reason" doc:"Why it failed; null for a success."`
	Message    string          `json:"message" doc:"What went wrong, for people."`
	DurationMS int64           `json:"duration_ms"`
	Request    *sentView       `json:"request" doc:"The first one, before any redirect; null when none could be made."`
	Response   *answerView     `json:"response" doc:"Null when no answer came."`
}

type sentView struct {
	Method  string       `json:"method"`
	URL     string       `json:"url"`
	Headers []headerView `json:"headers" doc:"By name; Host and Content-Length besides."`
	Body    string       `json:"body" doc:"Bytes that are not UTF-8 are replaced."`
}

type answerView struct {
	Status    int          `json:"status"`
	URL       string       `json:"url" doc:"Whose answer it is: another than the request's after redirects."`
	Redirects int          `json:"redirects" doc:"How many were followed."`
	Protocol  string       `json:"protocol" example:"HTTP/2.0"`
	TLS       *string      `json:"tls" doc:"Null: none." example:"TLS 1.3"`
	Headers   []headerView `json:"headers" doc:"By name, at most 16 KiB of them."`
	Body      string       `json:"body" doc:"The first 64 KiB; bytes that are not UTF-8 are replaced."`
	Truncated bool         `json:"truncated" doc:"There was more in the header or the body."`
}

type headerView struct {
	Name  string  `json:"name"`
	Value *string `json:"value" doc:"Null: it is secret."`
}

func viewHeader(fields []jadwal.HeaderField) []headerView {
	views := make([]headerView, len(fields))
	for i, f := range fields {
		views[i].Name = f.Name
		if !f.Secret {
			value := strings.ToValidUTF8(f.Value, "\uFFFD")
			views[i].Value = &value
		}
	}
	return views
}

func viewExchange(id string, e jadwal.Exchange) exchangeView {
	v := exchangeView{
		ID: id, State: e.State, Message: e.Message, DurationMS: e.Took.Milliseconds(),
	}
	if e.Request.Method != "" {
		v.Request = &sentView{e.Request.Method, e.Request.URL, viewHeader(e.Request.Header), strings.ToValidUTF8(string(e.Request.Body), "\uFFFD")}
	}
	if e.Reason != "" {
		v.Reason = &e.Reason
	}
	if e.Answered {
		a := e.Answer
		v.Response = &answerView{
			Status: a.Status, URL: a.URL, Redirects: a.Follows, Protocol: a.Proto, Headers: viewHeader(a.Header),
			Body: strings.ToValidUTF8(string(a.Body), "\uFFFD"), Truncated: a.CutOff,
		}
		if a.TLS != "" {
			v.Response.TLS = &a.TLS
		}
	}
	return v
}

type testJobInput struct {
	Job  jobRef `path:"job"`
	Body *jobPatch
}

// testJob answers POST /job/{job}/test with what a request of the job's target
// was, as it is or as a patch would have it, and what came back. That the
// target failed is no failure of the test.
func (s *Server) testJob(ctx context.Context, in *testJobInput) (*reply[exchangeView], error) {
	c := callOf(ctx)
	patched, action := in.Body != nil && !in.Body.isEmpty(), jadwal.ActionOperateRun
	if patched {
		action = jadwal.ActionEditJob
	}
	job, err := s.findJob(c, in.Job, action)
	if err != nil {
		return nil, err
	}
	var edited *jadwal.Definition
	if patched {
		after, err := in.Body.apply(&job)
		if err != nil {
			return nil, err
		}
		tried := job
		if err := redefine(c, &tried, after); err != nil && err != errNoChange {
			return nil, err
		}
		edited = &after
	}
	leave, err := s.tests.enter(c.user.ID)
	if err != nil {
		return nil, err
	}
	defer leave()
	key := jadwal.RunKey{DueAt: c.now.UnixMicro(), JobID: job.ID, N: uint16(rand.Uint32())}
	test, err := s.store.TestJob(ctx, c.actor(), key, edited, c.now)
	if jadwal.CodeOf(err) == jadwal.CodeNotFound {
		err = errNoJob
	}
	if err != nil {
		return nil, err
	}
	if test.Timeout = min(time.Duration(test.Job.Timeout), jadwal.MaxTestTimeout); test.Timeout <= 0 {
		test.Timeout = jadwal.DefaultTimeout
	}
	e := s.tester(ctx, test)
	ended := string(e.State)
	if e.Message != "" {
		ended += ": " + e.Message
	}
	return ok(viewExchange(jadwal.TestID(key), e), "Test of job %s %s", test.Job.Name, ended), nil
}
