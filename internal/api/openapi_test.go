package api

import (
	"bytes"
	stdjson "encoding/json"
	"flag"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestTheDocumentDescribesTheRoutes holds openapi.json and docs.html, which
// the server serves, to the route table and the types of the handlers.
func TestTheDocumentDescribesTheRoutes(t *testing.T) {
	document := indented(t, describe(t))
	page := renderDocs(t, document)
	if *update {
		writeFile(t, "openapi.json", document)
		writeFile(t, "docs.html", page)
		return
	}
	if !bytes.Equal(document, openAPI) {
		t.Error("openapi.json is not what the routes say: run go test ./internal/api -run Document -update")
	}
	if !bytes.Equal(page, docsPage) {
		t.Error("docs.html is not what openapi.json says: run go test ./internal/api -run Document -update")
	}
}

func TestEveryRouteIsInTheDocument(t *testing.T) {
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string                        `json:"operationId"`
			Responses   map[string]stdjson.RawMessage `json:"responses"`
		} `json:"paths"`
	}
	if err := stdjson.Unmarshal(openAPI, &document); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, r := range routes() {
		op, there := document.Paths[r.pattern][strings.ToLower(r.method)]
		if !there {
			t.Errorf("%s %s is not in openapi.json", r.method, r.pattern)
			continue
		}
		if ids[op.OperationID] {
			t.Errorf("operation id %s is there twice", op.OperationID)
		}
		ids[op.OperationID] = true
		if op.Responses[strconv.Itoa(successOf(r))] == nil || op.Responses["500"] == nil {
			t.Errorf("%s %s lacks its success or 500", r.method, r.pattern)
		}
	}
	for path, methods := range document.Paths {
		for method := range methods {
			if !slices.ContainsFunc(routes(), func(r *route) bool { return r.pattern == path && strings.EqualFold(r.method, method) }) {
				t.Errorf("%s %s is in openapi.json and is no route", method, path)
			}
		}
	}
}

func TestEveryReferenceInTheDocumentLeadsSomewhere(t *testing.T) {
	var document map[string]any
	if err := stdjson.Unmarshal(openAPI, &document); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				used[ref] = true
				at := any(document)
				for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
					m, _ := at.(map[string]any)
					at = m[step]
				}
				if at == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for name, member := range v {
				if name == "$schema" {
					t.Error("there is a $schema member")
				}
				walk(member)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(document)
	for _, kind := range []string{"schemas", "responses"} {
		for name := range document["components"].(map[string]any)[kind].(map[string]any) {
			if ref := "#/components/" + kind + "/" + name; !used[ref] {
				t.Errorf("%s is used nowhere", ref)
			}
		}
	}
}

func writeFile(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func indented(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := stdjson.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := stdjson.Indent(&out, bytes.TrimSpace(b.Bytes()), "", "  "); err != nil {
		t.Fatal(err)
	}
	return append(out.Bytes(), '\n')
}
