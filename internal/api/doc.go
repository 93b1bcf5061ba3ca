// Package api is the HTTP side of the server: it reads requests strictly,
// checks them in one fixed order, and answers every one of them, good or bad,
// in the same envelope.
//
// A reader finds a route in routes.go, its handler in the file of its noun, the
// order of checks in server.go, and the shape of an answer in envelope.go.
package api
