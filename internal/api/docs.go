package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
)

// openAPI describes the API in OpenAPI 3.1. It is generated from the route
// table and the types of its handlers; a test holds it to them.
//
//go:embed openapi.json
var openAPI []byte

// docsPage is openAPI as a page, made by the same test.
//
//go:embed docs.html
var docsPage []byte

var (
	openAPIFile = &file{contentType: headerJSON, body: openAPI}
	docsFile    = &file{
		contentType: []string{"text/html; charset=utf-8"},
		policy:      []string{docsPolicy(docsPage)},
		body:        docsPage,
	}
)

// getOpenAPI answers GET /openapi.json.
func (s *Server) getOpenAPI(context.Context, *none) (*reply[none], error) {
	return &reply[none]{status: http.StatusOK, file: openAPIFile}, nil
}

// getDocs answers GET /docs.
func (s *Server) getDocs(context.Context, *none) (*reply[none], error) {
	return &reply[none]{status: http.StatusOK, file: docsFile}, nil
}

// docsPolicy is the Content-Security-Policy of the page: its own style, by
// hash (CSP level 3, section 2.3.1), and nothing else.
func docsPolicy(page []byte) string {
	_, style, _ := bytes.Cut(page, []byte("<style>"))
	style, _, _ = bytes.Cut(style, []byte("</style>"))
	sum := sha256.Sum256(style)
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
