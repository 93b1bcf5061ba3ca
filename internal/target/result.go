package target

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/teknohole/jadwal"
)

// failure is the Result of a call that got no complete answer. The context
// decides first: a call that was cancelled or timed out breaks in many ways.
func failure(ctx context.Context, c Call, err error) Result {
	if cause := context.Cause(ctx); cause == errHungUp {
		return Result{State: jadwal.RunFailed, Reason: jadwal.ReasonNetwork, Message: brokeOff}
	} else if cause != nil {
		if cause == errTimeout || errors.Is(cause, context.DeadlineExceeded) {
			return Result{
				State: jadwal.RunFailed, Reason: jadwal.ReasonTimeout,
				Message: "No complete answer within " + jadwal.Duration(c.Timeout).String(),
				Reach:   Silent,
			}
		}
		reason := jadwal.ReasonRequested
		if named, ok := errors.AsType[Cancelled](cause); ok && named.Reason != "" {
			reason = named.Reason
		}
		return Result{State: jadwal.RunCancelled, Reason: reason, Message: "Cancelled while it ran"}
	}
	if refused, ok := errors.AsType[*jadwal.Refusal](err); ok {
		return Result{State: jadwal.RunFailed, Reason: jadwal.ReasonTargetRefused, Message: refusal(refused, c.Inherited)}
	}
	r := Result{State: jadwal.RunFailed, Reason: jadwal.ReasonNetwork, Message: trouble(err), Reach: Silent}
	if ourShortage(err) {
		r.Reach = Untold
	}
	return r
}

// ourShortage tells whether a call failed for want of something on this side.
func ourShortage(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

const brokeOff = "The connection broke before the answer was complete"

// refusal says why an address was not called, and who could have it called;
// inherited, that the job's owner could.
func refusal(r *jadwal.Refusal, inherited bool) string {
	const unless = " unless the operator of this server allows it"
	switch {
	case r.Kind == jadwal.Denied:
		return "The target is one that the operator of this server has denied"
	case r.Kind == jadwal.Own:
		return "The target is this server itself, which no job may call"
	case r.All:
		return "The target's address is a " + r.Kind + " one, which may not be called" + unless
	case inherited:
		return "The target's address is a " + r.Kind + " one, which only a superuser's job may call; this one's owner is a superuser, " +
			"but it was written by somebody who is none, and keeps the rules of such until a superuser edits it"
	}
	return "The target's address is a " + r.Kind + " one, which only a superuser's job may call" + unless
}

const noClientCert = "The target wants a client certificate, and the job has none that it accepts"

// alerts are those by which a target refuses a handshake (RFC 8446, section 6.2)
// for what a job can have otherwise, by their texts: one that was sent is of a
// type that crypto/tls does not export.
var alerts = map[string]string{
	tls.AlertError(42).Error():  noClientCert, // bad_certificate
	tls.AlertError(43).Error():  noClientCert, // unsupported_certificate
	tls.AlertError(44).Error():  "The target refused the job's client certificate: it has been revoked",
	tls.AlertError(45).Error():  "The target refused the job's client certificate: it has expired",
	tls.AlertError(46).Error():  noClientCert, // certificate_unknown
	tls.AlertError(48).Error():  noClientCert, // unknown_ca
	tls.AlertError(70).Error():  "The target speaks no version of TLS that may be spoken",
	tls.AlertError(116).Error(): noClientCert, // certificate_required
}

// trouble says in a sentence what broke. It never passes on an error's own
// text, which may name addresses of the server's network.
func trouble(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return "The target's host name was not found"
		}
		return "The target's host name could not be looked up"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "The target's certificate is for another host name"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "The target's certificate has expired or is not valid yet"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "The target's certificate is not one to trust"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "The target did not speak TLS"
	}
	if alert, ok := errors.AsType[*net.OpError](err); ok && alert.Op == "remote error" {
		if message := alerts[alert.Err.Error()]; message != "" {
			return message
		}
		return "The target refused the TLS handshake"
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "The target refused the connection"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "The target's network cannot be reached"
	case ourShortage(err):
		return "The server had no connection left to make the call with"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return brokeOff
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "No connection within " + jadwal.Duration(dialTimeout).String()
	}
	return "The target's answer was not valid HTTP, or the connection broke"
}

// statusText is a status as people read it: "503 Service Unavailable".
func statusText(code int) string {
	text := strconv.Itoa(code)
	if name := http.StatusText(code); name != "" {
		text += " " + name
	}
	return text
}

// retryAfter reads the field of that name: seconds or a date (RFC 9110,
// section 10.2.3). What is in the past, or neither, is 0; it is at most a day.
func retryAfter(field string, now time.Time) time.Duration {
	field = strings.TrimSpace(field)
	if field == "" {
		return 0
	}
	if strings.Trim(field, "0123456789") == "" {
		seconds, err := strconv.ParseInt(field, 10, 64)
		if err != nil || seconds > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(field)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
