package api

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	stdjson "encoding/json"
	"fmt"
	"html/template"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// renderDocs makes the page /docs of an OpenAPI document. The page needs no
// script and nothing from elsewhere.
func renderDocs(t *testing.T, document []byte) []byte {
	t.Helper()
	var spec openAPIDocument
	if err := stdjson.Unmarshal(document, &spec); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := template.Must(template.ParseFiles("docs.tmpl")).Execute(&b, spec.page()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDocsNeedNothingFromElsewhere(t *testing.T) {
	s := newServer(t)
	get := func(path string) (http.Header, string) {
		resp, err := s.http.Client().Get(s.http.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin"} {
			if resp.Header.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, resp.Header[name])
			}
		}
		if !requestID.MatchString(resp.Header.Get("X-Request-Id")) {
			t.Errorf("%s: X-Request-Id is %q", path, resp.Header["X-Request-Id"])
		}
		return resp.Header, string(body)
	}
	h, document := get("/openapi.json")
	if h.Get("Content-Type") != "application/json" || document != string(openAPI) {
		t.Errorf("openapi.json is %s", h.Get("Content-Type"))
	}
	h, page := get("/docs")
	if h.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("docs is %s", h.Get("Content-Type"))
	}
	if opener := h.Get("Cross-Origin-Opener-Policy"); opener != "same-origin" {
		t.Errorf("a page that opens it keeps a hold on it: %q", opener)
	}
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(page)
	sum := sha256.Sum256([]byte(style[1]))
	if policy := h.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Errorf("the policy is %s", policy)
	}
	if found := regexp.MustCompile(`(?i)<script|\sstyle=|\son\w+=|<link|<img|@import|url\(|\ssrc=|href="(?:https?:)?//`).FindString(page); found != "" {
		t.Errorf("the page has %q", found)
	}
	for _, r := range routes() {
		if !strings.Contains(page, `id="`+r.doc.id+`"`) {
			t.Errorf("the page lacks %s", r.doc.id)
		}
	}
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`id="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if anchors[m[1]] {
			t.Errorf("the id %s is there twice", m[1])
		}
		anchors[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if !anchors[m[1]] {
			t.Errorf("#%s leads nowhere", m[1])
		}
	}
}

// openAPIDocument is as much of an OpenAPI document as the page shows.
type openAPIDocument struct {
	OpenAPI string
	Info    struct{ Title, Description string }
	Tags    []struct{ Name string }
	Paths   map[string]map[string]struct {
		OperationID, Summary, Description string
		Tags                              []string
		Security                          []any
		Parameters                        []struct {
			Name, In, Description string
			Schema                schemaDocument
		}
		RequestBody *struct {
			Required bool
			Content  map[string]struct{ Schema schemaDocument }
		}
		Responses map[string]responseDocument
	}
	Components struct {
		Schemas   map[string]schemaDocument
		Responses map[string]responseDocument
	}
}

type responseDocument struct {
	Ref         string `json:"$ref"`
	Description string
	Content     map[string]struct{ Schema schemaDocument }
}

type schemaDocument struct {
	Ref                  string `json:"$ref"`
	Type                 any
	Format, Description  string
	Pattern              string
	Enum                 []any
	Default              any
	Minimum, Maximum     *float64
	MinLength, MaxLength *int
	MaxItems             *int
	Items                *schemaDocument
	AnyOf                []schemaDocument
	Properties           map[string]schemaDocument
	Required             []string
	AdditionalProperties any
}

type docsPageData struct {
	OpenAPI  string
	Info     struct{ Title, Description string }
	Sections []docsSection
	Schemas  []docsSchema
}

type docsSection struct {
	Tag        string
	Operations []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary, Description string
	SignedIn                               bool
	Parameters                             []docsMember
	Body                                   template.HTML
	Responses                              []docsResponse
}

type docsResponse struct {
	Status, Description string
	Data                template.HTML
}

type docsSchema struct {
	Name    string
	Members []docsMember
}

type docsMember struct {
	Name, In, Description string
	Type                  template.HTML
	Required              bool
}

func (d *openAPIDocument) page() docsPageData {
	page := docsPageData{OpenAPI: d.OpenAPI, Info: d.Info}
	for _, tag := range d.Tags {
		page.Sections = append(page.Sections, docsSection{Tag: tag.Name, Operations: d.operations(tag.Name)})
	}
	for _, name := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		s := d.Components.Schemas[name]
		schema := docsSchema{Name: name}
		for _, member := range slices.Sorted(maps.Keys(s.Properties)) {
			p := s.Properties[member]
			schema.Members = append(schema.Members, docsMember{
				Name: member, Type: p.html(), Description: p.Description, Required: slices.Contains(s.Required, member),
			})
		}
		page.Schemas = append(page.Schemas, schema)
	}
	return page
}

func (d *openAPIDocument) operations(tag string) (all []docsOperation) {
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[path])) {
			op := d.Paths[path][method]
			if op.Tags[0] != tag {
				continue
			}
			o := docsOperation{
				ID: op.OperationID, Method: strings.ToUpper(method), Path: path, Summary: op.Summary,
				Description: op.Description, SignedIn: len(op.Security) > 0,
			}
			for _, p := range op.Parameters {
				o.Parameters = append(o.Parameters, docsMember{Name: p.Name, In: p.In, Type: p.Schema.html(), Description: p.Description})
			}
			if op.RequestBody != nil {
				schema := op.RequestBody.Content["application/json"].Schema
				o.Body = schema.html()
				if !op.RequestBody.Required {
					o.Body += ", may be left out"
				}
			}
			for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
				r := op.Responses[status]
				if name, ok := strings.CutPrefix(r.Ref, "#/components/responses/"); ok {
					r = d.Components.Responses[name]
				}
				row := docsResponse{Status: status, Description: r.Description}
				if data, ok := r.Content["application/json"].Schema.Properties["data"]; ok && status < "4" {
					row.Data = data.html()
				}
				o.Responses = append(o.Responses, row)
			}
			all = append(all, o)
		}
	}
	return all
}

// html says what a schema is, in words, with a link to each type.
func (s schemaDocument) html() template.HTML {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		return template.HTML(fmt.Sprintf(`<a href="#type-%s">%s</a>`, name, name))
	}
	if len(s.AnyOf) > 0 {
		var parts []string
		for _, one := range s.AnyOf {
			parts = append(parts, string(one.html()))
		}
		return template.HTML(strings.Join(parts, " or "))
	}
	var words []string
	switch t := s.Type.(type) {
	case string:
		words = append(words, t)
	case []any:
		for i, one := range t {
			if i > 0 {
				words = append(words, "or")
			}
			words = append(words, fmt.Sprint(one))
		}
	default:
		words = append(words, "any JSON")
	}
	text := template.HTMLEscapeString(strings.Join(words, " "))
	if s.Items != nil {
		text += " of " + string(s.Items.html())
	}
	var more []string
	add := func(format string, v any) { more = append(more, fmt.Sprintf(format, v)) }
	if s.Format == "date-time" {
		add("%s", s.Format)
	}
	var values []string
	for _, v := range s.Enum {
		values = append(values, fmt.Sprint(cmp.Or(v, any("null"))))
	}
	if values != nil {
		add("%s", strings.Join(values, ", "))
	}
	if s.Minimum != nil && s.Maximum != nil {
		more = append(more, fmt.Sprintf("%v to %v", *s.Minimum, *s.Maximum))
	}
	if s.MaxLength != nil {
		add("at most %d bytes", *s.MaxLength)
	}
	if s.MaxItems != nil {
		add("at most %d", *s.MaxItems)
	}
	if s.Default != nil {
		add("default %v", s.Default)
	}
	if len(more) > 0 {
		text += ` <span class="muted">(` + template.HTMLEscapeString(strings.Join(more, "; ")) + ")</span>"
	}
	return template.HTML(text)
}
