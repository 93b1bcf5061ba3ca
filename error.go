package jadwal

import (
	"errors"
	"fmt"
	"time"
)

// Code says what went wrong, for programs. Codes never change their meaning.
type Code string

// The codes of errors. The API maps each to one HTTP status, in one table.
const (
	CodeValidation        Code = "validation_failed"
	CodeMalformed         Code = "malformed"
	CodeUnauthenticated   Code = "unauthenticated"
	CodeInvalidToken      Code = "invalid_token"
	CodeInvalidLogin      Code = "invalid_credentials"
	CodeForbidden         Code = "forbidden"
	CodeInsufficientScope Code = "insufficient_scope"
	CodeLastSuperuser     Code = "last_superuser"
	CodeOwnAccount        Code = "own_account"
	CodeWrongPassword     Code = "wrong_password"
	CodeQuotaExceeded     Code = "quota_exceeded"
	CodeNotFound          Code = "not_found"
	CodeMethodNotAllowed  Code = "method_not_allowed"
	CodeTimeout           Code = "request_timeout"
	CodeConflict          Code = "conflict"
	CodeNameTaken         Code = "name_taken"
	CodeKeyReused         Code = "idempotency_key_reused"
	CodeKeyInProgress     Code = "idempotency_key_in_progress"
	CodeVersionMismatch   Code = "version_mismatch"
	CodeNoMasterKey       Code = "no_master_key"
	CodeTooLarge          Code = "too_large"
	CodeURITooLong        Code = "uri_too_long"
	CodeUnsupportedType   Code = "unsupported_media_type"
	CodeRateLimited       Code = "rate_limited"
	CodeBusy              Code = "busy"
	CodeUnavailable       Code = "unavailable"
	CodeNotYetApplied     Code = "not_yet_applied"
	CodeInternal          Code = "internal"
)

// FieldError is one thing that is wrong with one part of a request. Field is a
// path such as "schedules[0].cron"; Code is for programs, Message for people.
type FieldError struct {
	Field   string `json:"field"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Error is every failure that a caller can react to. Message is one sentence
// and tells nothing internal. RetryAfter, when positive, is how long to wait
// before the same call may succeed. Scope, with CodeInsufficientScope, is what
// the caller's API key lacks.
type Error struct {
	Code       Code
	Message    string
	Fields     []FieldError
	RetryAfter time.Duration
	Scope      Scope
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// ErrKeyInProgress is that a request with the same Idempotency-Key has not
// been answered yet.
var ErrKeyInProgress = Errorf(CodeKeyInProgress, "A request with this Idempotency-Key is in progress; ask again for its answer")

// Errorf makes an Error with a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes the error for one field that is not valid.
func Invalid(field, code, format string, args ...any) *Error {
	return InvalidFields(*fieldError(field, code, format, args...))
}

func fieldError(field, code, format string, args ...any) *FieldError {
	return &FieldError{field, code, fmt.Sprintf(format, args...)}
}

// indexed is the path of the i-th element of a list.
func indexed(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// InvalidFields makes the error for several fields that are not valid; its
// message is that of the first. It returns nil for no fields.
func InvalidFields(fields ...FieldError) *Error {
	if len(fields) == 0 {
		return nil
	}
	return &Error{Code: CodeValidation, Message: fields[0].Message, Fields: fields}
}

// CodeOf returns the code of err: "" for nil, CodeInternal for an error that
// is not an Error.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
