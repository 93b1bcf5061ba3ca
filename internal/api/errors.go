package api

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/teknohole/jadwal"
)

// statuses is the one table of which code is answered with which status.
var statuses = map[jadwal.Code]int{
	jadwal.CodeValidation:        http.StatusBadRequest,
	jadwal.CodeMalformed:         http.StatusBadRequest,
	jadwal.CodeUnauthenticated:   http.StatusUnauthorized,
	jadwal.CodeInvalidToken:      http.StatusUnauthorized,
	jadwal.CodeInvalidLogin:      http.StatusUnauthorized,
	jadwal.CodeForbidden:         http.StatusForbidden,
	jadwal.CodeInsufficientScope: http.StatusForbidden,
	jadwal.CodeLastSuperuser:     http.StatusForbidden,
	jadwal.CodeOwnAccount:        http.StatusForbidden,
	jadwal.CodeWrongPassword:     http.StatusForbidden,
	jadwal.CodeQuotaExceeded:     http.StatusForbidden,
	jadwal.CodeNotFound:          http.StatusNotFound,
	jadwal.CodeMethodNotAllowed:  http.StatusMethodNotAllowed,
	jadwal.CodeTimeout:           http.StatusRequestTimeout,
	jadwal.CodeConflict:          http.StatusConflict,
	jadwal.CodeNameTaken:         http.StatusConflict,
	jadwal.CodeKeyReused:         http.StatusConflict,
	jadwal.CodeKeyInProgress:     http.StatusConflict,
	jadwal.CodeVersionMismatch:   http.StatusPreconditionFailed,
	jadwal.CodeNoMasterKey:       http.StatusConflict,
	jadwal.CodeTooLarge:          http.StatusRequestEntityTooLarge,
	jadwal.CodeURITooLong:        http.StatusRequestURITooLong,
	jadwal.CodeUnsupportedType:   http.StatusUnsupportedMediaType,
	jadwal.CodeRateLimited:       http.StatusTooManyRequests,
	jadwal.CodeBusy:              http.StatusServiceUnavailable,
	jadwal.CodeUnavailable:       http.StatusServiceUnavailable,
	jadwal.CodeNotYetApplied:     http.StatusServiceUnavailable,
	jadwal.CodeInternal:          http.StatusInternalServerError,
}

// problem is the data of an error.
type problem struct {
	Code   jadwal.Code         `json:"code" doc:"What went wrong, for programs."`
	Errors []jadwal.FieldError `json:"errors,omitempty" doc:"The parts of the request that are not valid."`
}

func (p *problem) appendJSON(b []byte) []byte {
	b = append(b, `{"code":`...)
	b = appendString(b, string(p.Code))
	for i, e := range p.Errors {
		if i == 0 {
			b = append(b, `,"errors":[`...)
		} else {
			b = append(b, ',')
		}
		b = append(b, `{"field":`...)
		b = appendString(b, e.Field)
		b = append(b, `,"code":`...)
		b = appendString(b, e.Code)
		b = append(b, `,"message":`...)
		b = appendString(b, e.Message)
		b = append(b, '}')
	}
	if len(p.Errors) > 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

const (
	challenge      = `Bearer realm="jadwal"`
	challengeToken = challenge + `, error="invalid_token"`
	challengeScope = challenge + `, error="insufficient_scope", scope="` // RFC 6750, section 3.1
)

// refuse is the answer of an error, and whether it is one that only the
// server's log may tell of.
func refuse(err error) (a *answer, internal bool) {
	e, ok := errors.AsType[*jadwal.Error](err)
	switch {
	case ok && statuses[e.Code] != 0 && e.Code != jadwal.CodeInternal:
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e = &jadwal.Error{Code: jadwal.CodeUnavailable, Message: "The request was given up before it was answered", RetryAfter: time.Second}
	default:
		internal = true
		e = jadwal.Errorf(jadwal.CodeInternal, "The server failed; X-Request-Id finds the reason in its log")
	}
	a = &answer{status: statuses[e.Code], message: e.Message, data: &problem{e.Code, e.Fields}, header: http.Header{}}
	switch a.status {
	case http.StatusUnauthorized:
		value := challenge
		if e.Code == jadwal.CodeInvalidToken {
			value = challengeToken
		}
		a.header["Www-Authenticate"] = []string{value}
	case http.StatusForbidden:
		if e.Code == jadwal.CodeInsufficientScope {
			a.header["Www-Authenticate"] = []string{challengeScope + string(e.Scope) + `"`}
		}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		a.header["Retry-After"] = []string{strconv.FormatInt(retrySeconds(e.RetryAfter), 10)}
	case http.StatusRequestTimeout, http.StatusRequestEntityTooLarge:
		a.header["Connection"] = headerClose // the rest of the body is not read
	}
	return a, internal
}

// retrySeconds is d in whole seconds, rounded up, at least one.
func retrySeconds(d time.Duration) int64 {
	return max(1, int64(math.Ceil(d.Seconds())))
}
