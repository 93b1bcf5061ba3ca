package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/teknohole/jadwal"
)

// onceKey is what a user calls a request that must have its effect once: the
// Idempotency-Key header.
type onceKey struct {
	userID int64
	key    string
}

// idempotencyKey is the key that a request has, "" for none.
func idempotencyKey(h http.Header) (string, error) {
	values := h["Idempotency-Key"]
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	ok := len(values) == 1 && key != "" && len(key) <= jadwal.MaxOnceKey
	for i := 0; ok && i < len(key); i++ {
		ok = key[i] >= ' ' && key[i] < 0x7f
	}
	if !ok {
		return "", jadwal.Invalid("Idempotency-Key", "invalid", "Idempotency-Key must be one of 1 to %d visible characters", jadwal.MaxOnceKey)
	}
	return key, nil
}

// requestKeys are the keys that requests are hashed with. A request may have
// been hashed with either; retiring is nil when no key retires.
type requestKeys struct{ active, retiring []byte }

// fingerprint is a keyed hash of a request: bodies hold passwords.
func (c *call) fingerprint(key, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(c.request.Method + " " + c.path + "\n"))
	h.Write(body)
	return h.Sum(nil)
}

// repeated is the answer that the request of c had before. It is nil when its
// effect is yet to come: then nobody else has it under the same key until
// release is called.
func (s *Server) repeated(c *call, body []byte) (a *answer, release func(), err error) {
	key, err := idempotencyKey(c.request.Header)
	if err != nil || key == "" {
		return nil, func() {}, err
	}
	k := onceKey{c.user.ID, key}
	if _, taken := s.inProgress.LoadOrStore(k, true); taken {
		return nil, nil, jadwal.ErrKeyInProgress
	}
	release = func() { s.inProgress.Delete(k) }
	request, saved, found, err := s.store.SavedAnswer(c, k.userID, k.key, c.now)
	keys := s.requestKeys.Load()
	active := c.fingerprint(keys.active, body)
	switch {
	case err != nil:
	case !found:
		c.once = &jadwal.Once{Key: key, Request: active}
		return nil, release, nil
	case !hmac.Equal(request, active) && !hmac.Equal(request, c.fingerprint(keys.retiring, body)):
		err = jadwal.Errorf(jadwal.CodeKeyReused, "This Idempotency-Key was used for another request")
	default:
		a, err = readAnswer(saved)
	}
	release()
	return a, nil, err
}

// once is who asks, for a write that the store is to save the answer of when
// the request has an Idempotency-Key. answer makes it of what was written.
func once[T, Out any](c *call, answer func(T) *reply[Out]) jadwal.Actor {
	by := c.actor()
	if c.once != nil {
		by.Once = &jadwal.Once{Key: c.once.Key, Request: c.once.Request, Answer: func(made any) ([]byte, error) {
			return writeAnswer(answer(made.(T)).answer())
		}}
	}
	return by
}

// savedAnswer is an answer as the store keeps it.
type savedAnswer struct {
	Status  int            `json:"status"`
	Message string         `json:"message"`
	Header  http.Header    `json:"header"`
	Data    jsontext.Value `json:"data"`
}

func writeAnswer(a *answer) ([]byte, error) {
	data, err := appendData(nil, a.data)
	if err != nil {
		return nil, err
	}
	return json.Marshal(savedAnswer{a.status, a.message, a.header, data})
}

func readAnswer(text []byte) (*answer, error) {
	var saved savedAnswer
	if err := json.Unmarshal(text, &saved); err != nil {
		return nil, err
	}
	a := &answer{status: saved.Status, message: saved.Message, header: saved.Header}
	if saved.Data.Kind() != 'n' {
		a.data = written(saved.Data.Clone())
	}
	if a.header == nil {
		a.header = http.Header{}
	}
	a.header["Idempotent-Replayed"] = []string{"true"}
	return a, nil
}

// written is data that was JSON already.
type written []byte

func (w written) appendJSON(b []byte) []byte { return append(b, w...) }
