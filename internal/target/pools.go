package target

import (
	"container/list"
	"crypto/sha256"
	"crypto/tls"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/teknohole/jadwal"
)

const (
	// ownPools bounds how many pools of connections there are for targets with
	// a TLS configuration of their own.
	ownPools = 64
	// ownIdle is how many connections one of them keeps open.
	ownIdle = 64
)

// pools are the connections that are kept and used again. Nothing is shared
// by calls that are not under the same egress rules and the same TLS
// configuration: what was agreed on when a connection was made holds for all
// calls that it carries.
type pools struct {
	o                  Options
	limited, unlimited *http.Transport

	mu    sync.Mutex
	own   map[poolKey]*list.Element // of *ownPool
	order *list.List                // used last first
}

// A poolKey tells pools for TLS configurations apart.
type poolKey struct {
	limited bool
	sum     [sha256.Size]byte
}

type ownPool struct {
	key       poolKey
	transport *http.Transport
}

func newPools(o Options) *pools {
	return &pools{
		o: o, limited: newTransport(o, true), unlimited: newTransport(o, false),
		own: map[poolKey]*list.Element{}, order: list.New(),
	}
}

// of returns the transport for calls under these rules. The error, that of a
// configuration which is not valid, tells nothing of it.
func (p *pools) of(c jadwal.TargetTLS, limited bool) (*http.Transport, error) {
	switch {
	case c != (jadwal.TargetTLS{}):
	case limited:
		return p.limited, nil
	default:
		return p.unlimited, nil
	}
	key := poolKey{limited, sumOf(c)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.own[key]; at != nil {
		p.order.MoveToFront(at)
		return at.Value.(*ownPool).transport, nil
	}
	t, err := ownTransport(p.o, c, limited)
	if err != nil {
		return nil, err
	}
	p.own[key] = p.order.PushFront(&ownPool{key, t})
	if p.order.Len() > ownPools {
		gone := p.order.Remove(p.order.Back()).(*ownPool)
		delete(p.own, gone.key)
		gone.transport.CloseIdleConnections() // those in use are closed when they would be kept
	}
	return t, nil
}

// sumOf is a hash of all of a configuration, its parts told apart by their
// lengths.
func sumOf(c jadwal.TargetTLS) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, part := range []string{c.CA, c.MinVersion, c.ClientCert, c.ClientKey} {
		io.WriteString(h, strconv.Itoa(len(part))+":")
		io.WriteString(h, part)
	}
	h.Sum(sum[:0])
	return sum
}

func ownTransport(o Options, c jadwal.TargetTLS, limited bool) (*http.Transport, error) {
	authorities, err := c.Authorities()
	if err != nil {
		return nil, err
	}
	pair, err := c.Certificate()
	if err != nil {
		return nil, err
	}
	o.MaxIdle = min(o.MaxIdle, ownIdle)
	t := newTransport(o, limited)
	t.TLSClientConfig.RootCAs = authorities
	t.TLSClientConfig.MinVersion = tls.VersionTLS12
	if c.MinVersion == "1.3" {
		t.TLSClientConfig.MinVersion = tls.VersionTLS13
	}
	if pair != nil {
		t.TLSClientConfig.Certificates = []tls.Certificate{*pair}
	}
	return t, nil
}

func (p *pools) close() {
	p.limited.CloseIdleConnections()
	p.unlimited.CloseIdleConnections()
	p.mu.Lock()
	defer p.mu.Unlock()
	for at := p.order.Front(); at != nil; at = at.Next() {
		at.Value.(*ownPool).transport.CloseIdleConnections()
	}
}
