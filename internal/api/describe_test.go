package api

import (
	"cmp"
	stdjson "encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/teknohole/jadwal"
)

// describe makes the OpenAPI document of the route table.
func describe(t *testing.T) *huma.OpenAPI {
	huma.DefaultArrayNullable = false
	g := &generator{t: t, registry: huma.NewMapRegistry("#/components/schemas/", schemaName), responses: map[string]*huma.Response{}}
	for from, to := range map[reflect.Type]reflect.Type{
		reflect.TypeFor[stamp]():          reflect.TypeFor[time.Time](),
		reflect.TypeFor[local]():          reflect.TypeFor[time.Time](),
		reflect.TypeFor[instant]():        reflect.TypeFor[time.Time](),
		reflect.TypeFor[expiry]():         reflect.TypeFor[time.Time](),
		reflect.TypeFor[jadwal.RawJSON](): reflect.TypeFor[stdjson.RawMessage](),
	} {
		g.registry.RegisterTypeAlias(from, to)
	}
	api := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title:   "Jadwal",
			Version: "1",
			Description: "A job scheduler. Every answer is an envelope of success, status, message, path, timestamp and data; " +
				"data.code of an error is for programs. Sign in with POST /login and send the access token as Authorization: Bearer.",
			License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
		},
		Components: &huma.Components{
			Schemas:   g.registry,
			Responses: g.responses,
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"bearer": {Type: "http", Scheme: "bearer", Description: "An access token from POST /login, or an API key from POST /key."},
			},
		},
		Paths: map[string]*huma.PathItem{},
	}
	for _, tag := range []string{tagServer, tagSession, tagKey, tagSignature, tagSecret, tagUser, tagJob, tagRun, tagSchedule, tagAudit} {
		api.Tags = append(api.Tags, &huma.Tag{Name: tag})
	}
	for _, r := range routes() {
		item := api.Paths[r.pattern]
		if item == nil {
			item = &huma.PathItem{}
			api.Paths[r.pattern] = item
		}
		op := g.operation(r)
		switch r.method {
		case "GET":
			item.Get = op
		case "POST":
			item.Post = op
		case "PUT":
			item.Put = op
		case "PATCH":
			item.Patch = op
		case "DELETE":
			item.Delete = op
		default:
			t.Fatalf("%s is no method of a route", r.method)
		}
	}
	return api
}

type generator struct {
	t         *testing.T
	registry  huma.Registry
	responses map[string]*huma.Response
}

// schemaName names a type as clients should: jobView is Job.
func schemaName(t reflect.Type, hint string) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := t.Name()
	name = strings.TrimSuffix(name, "View")
	if name == "" {
		return hint // a list or a map: it is written in place
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

func successOf(r *route) int { return cmp.Or(r.doc.status, 200) }

func (g *generator) operation(r *route) *huma.Operation {
	op := &huma.Operation{
		OperationID: r.doc.id, Summary: r.doc.summary, Description: r.doc.detail, Tags: []string{r.doc.tag},
		Responses: map[string]*huma.Response{},
	}
	if r.action != jadwal.ActionPublic {
		op.Security = []map[string][]string{{"bearer": {}}}
		switch scope, ok := jadwal.KeyNeeds(r.action); {
		case !ok:
			op.Description += " Not with an API key."
		case scope != "":
			op.Description += " An API key needs the scope `" + string(scope) + "`."
		}
		op.Description = strings.TrimSpace(op.Description)
	}
	g.parameters(r, op)
	g.success(r, op)
	for status, codes := range g.failures(r) {
		op.Responses[strconv.Itoa(status)] = g.failure(status, codes)
	}
	return op
}

func (g *generator) parameters(r *route, op *huma.Operation) {
	in := r.input
	add := func(where string, p param, required bool) {
		param := &huma.Param{
			Name: p.name, In: where, Required: required,
			Schema: parameterSchema(in.typ.Field(p.index).Type), Description: parameterText[in.typ.Field(p.index).Type],
		}
		if param.Schema.Type == "array" {
			joined := false
			param.Style, param.Explode = "form", &joined // separated by commas
		}
		op.Parameters = append(op.Parameters, param)
	}
	for _, p := range in.path {
		add("path", p, true)
	}
	for _, p := range in.query {
		add("query", p, in.typ.Field(p.index).Type == reflect.TypeFor[requiredTime]())
	}
	for _, p := range in.headers {
		add("header", p, false)
	}
	if r.doc.once {
		limit := jadwal.MaxOnceKey
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: "string", MaxLength: &limit},
			Description: "A name for this request, such as a random UUID. For 24 hours after it had its effect, the same request with the same key " +
				"does nothing and gets the same answer.",
		})
	}
	if in.body < 0 {
		return
	}
	types := []string{"application/json"}
	if in.mergePatch {
		types = append(types, "application/merge-patch+json")
	}
	op.RequestBody = &huma.RequestBody{Required: !in.bodyOptional, Content: map[string]*huma.MediaType{}}
	for _, typ := range types {
		op.RequestBody.Content[typ] = &huma.MediaType{Schema: g.body(in.typ.Field(in.body).Type)}
	}
}

func (g *generator) body(t reflect.Type) *huma.Schema {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[jobPatch]():
		return g.patchOf("JobPatch", reflect.TypeFor[jobBody]())
	case reflect.TypeFor[keyBody]():
		s := g.schema(t)
		g.registry.SchemaFromRef(s.Ref).Properties["expires_at"].Nullable = true
		return s
	case reflect.TypeFor[jobPut]():
		s := g.schema(t)
		full := g.registry.SchemaFromRef(s.Ref)
		full.Required = slices.DeleteFunc(slices.Clone(full.Required), func(name string) bool { return name == "name" })
		return s
	}
	return g.schema(t)
}

// nestedBodies are the objects within a body that a merge patch can change in
// part.
var nestedBodies = map[string]reflect.Type{
	"Target": reflect.TypeFor[targetBody](), "Expect": reflect.TypeFor[expectBody](), "Dst": reflect.TypeFor[dstBody](), "Retry": reflect.TypeFor[retryBody](), "Tls": reflect.TypeFor[tlsBody](),
}

// patchOf is the schema of a merge patch of what t describes: nothing is
// required, and null stands for the default.
func (g *generator) patchOf(name string, t reflect.Type) *huma.Schema {
	g.schema(t)
	full := *g.registry.Map()[schemaName(t, "")]
	full.Required = nil
	full.Properties = maps.Clone(full.Properties)
	for member, s := range full.Properties {
		s := *s
		s.Default = nil
		if nested, ok := nestedBodies[strings.TrimSuffix(s.Ref[strings.LastIndexByte(s.Ref, '/')+1:], "Body")]; ok {
			s = *g.patchOf(strings.TrimSuffix(schemaName(nested, ""), "Body")+"Patch", nested)
		}
		if values, ok := s.AdditionalProperties.(*huma.Schema); ok {
			nullable := *values
			s.AdditionalProperties = orNull(&nullable)
		}
		full.Properties[member] = orNull(&s)
	}
	g.registry.Map()[name] = &full
	return &huma.Schema{Ref: "#/components/schemas/" + name}
}

// orNull is s, or null.
func orNull(s *huma.Schema) *huma.Schema {
	switch {
	case s.Ref != "":
		return &huma.Schema{Description: s.Description, AnyOf: []*huma.Schema{{Ref: s.Ref}, {Type: "null"}}}
	case s.Type != "":
		s.Nullable = true
		if s.Enum != nil && !slices.Contains(s.Enum, nil) {
			s.Enum = append(slices.Clone(s.Enum), nil)
		}
	}
	return s
}

// schema is the schema of t with its nullable members marked as such.
func (g *generator) schema(t reflect.Type) *huma.Schema {
	s := g.registry.Schema(t, true, "")
	g.markNulls(t, map[reflect.Type]bool{})
	if p, ok := reflect.New(t).Interface().(preset); ok {
		p.preset()
		var defaults map[string]any
		if err := stdjson.Unmarshal(indented(g.t, p), &defaults); err != nil {
			g.t.Fatal(err)
		}
		g.setDefaults(s, defaults)
	}
	return s
}

// setDefaults tells what members that are left out stand for.
func (g *generator) setDefaults(s *huma.Schema, defaults map[string]any) {
	s = g.registry.SchemaFromRef(s.Ref)
	for name, value := range defaults {
		member := s.Properties[name]
		if nested, ok := value.(map[string]any); ok && member.Ref != "" {
			g.setDefaults(member, nested)
			continue
		}
		if !slices.Contains(s.Required, name) {
			member.Default = value
		}
	}
}

func (g *generator) markNulls(t reflect.Type, seen map[reflect.Type]bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return
	}
	seen[t] = true
	s := g.registry.Map()[schemaName(t, "")]
	if s == nil {
		return
	}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Type == reflect.TypeFor[jsontext.Value]() {
			s.Properties[name] = g.asAnswered(name)
			continue
		}
		member := s.Properties[name]
		if member == nil {
			continue
		}
		switch {
		case f.Type == reflect.TypeFor[*instant]() || f.Type == reflect.TypeFor[*jadwal.Duration]():
			member.Nullable = true
		case options != "":
			member.Nullable = false // left out instead
		case f.Type.Kind() == reflect.Pointer && member.AnyOf == nil:
			s.Properties[name] = orNull(member)
		}
		g.markNulls(f.Type, seen)
	}
}

// asAnswered is the schema of a member of a job that only the server sets.
func (g *generator) asAnswered(name string) *huma.Schema {
	answered := *g.registry.SchemaFromRef(g.schema(reflect.TypeFor[jobView]()).Ref).Properties[name]
	answered.ReadOnly = true
	answered.Description = strings.TrimSpace("Only the server sets it. " + answered.Description)
	return &answered
}

// success describes the envelope of a route's success, or its document.
func (g *generator) success(r *route, op *huma.Operation) {
	status := successOf(r)
	media := map[string]*huma.MediaType{}
	switch r.pattern {
	case "/openapi.json":
		media["application/json"] = &huma.MediaType{Schema: &huma.Schema{Type: "object"}}
	case "/metrics":
		media["text/plain"] = &huma.MediaType{Schema: &huma.Schema{Type: "string"}}
	case "/docs":
		media["text/html"] = &huma.MediaType{Schema: &huma.Schema{Type: "string"}}
	default:
		envelope := envelopeSchema(true, status)
		if r.output != nil {
			envelope.Properties["data"] = g.schema(r.output)
			envelope.Required = append(envelope.Required, "data")
		}
		media["application/json"] = &huma.MediaType{Schema: envelope}
	}
	response := &huma.Response{Description: http.StatusText(status), Content: media, Headers: map[string]*huma.Param{}}
	names := r.doc.headers
	if r.doc.once {
		names = append(slices.Clone(names), "Idempotent-Replayed")
	}
	for _, name := range names {
		response.Headers[name] = &huma.Param{Description: headerText[name], Schema: &huma.Schema{Type: "string"}}
	}
	op.Responses[strconv.Itoa(status)] = response
	if r.doc.also != 0 {
		other := *r
		other.doc.status, other.doc.also = r.doc.also, 0
		g.success(&other, op)
	}
}

func envelopeSchema(success bool, status int) *huma.Schema {
	return &huma.Schema{
		Type: "object",
		Properties: map[string]*huma.Schema{
			"success":   {Type: "boolean", Enum: []any{success}},
			"status":    {Type: "integer", Enum: []any{status}},
			"message":   {Type: "string", Description: "One sentence for a person."},
			"path":      {Type: "string", Description: "The path of the request as it came."},
			"timestamp": {Type: "string", Format: "date-time", Description: "Now, in UTC, in whole seconds."},
		},
		Required:             []string{"success", "status", "message", "path", "timestamp"},
		AdditionalProperties: false,
	}
}

// failures are the codes that a route may fail with, by status: those of its
// form and those that it names.
func (g *generator) failures(r *route) map[int][]jadwal.Code {
	codes := append([]jadwal.Code{jadwal.CodeInternal}, r.doc.fails...)
	in := r.input
	if r.action != jadwal.ActionPublic {
		codes = append(codes, jadwal.CodeUnauthenticated, jadwal.CodeInvalidToken, jadwal.CodeForbidden)
		if scope, ok := jadwal.KeyNeeds(r.action); ok && scope != "" {
			codes = append(codes, jadwal.CodeInsufficientScope)
		}
	}
	if !r.doc.uncounted {
		codes = append(codes, jadwal.CodeRateLimited)
	}
	if in.body >= 0 {
		codes = append(codes, jadwal.CodeUnsupportedType, jadwal.CodeTooLarge, jadwal.CodeTimeout, jadwal.CodeMalformed, jadwal.CodeValidation)
	}
	if in.body < 0 && !in.fixed && r.method != "GET" {
		codes = append(codes, jadwal.CodeTimeout)
	}
	if in.path != nil {
		codes = append(codes, jadwal.CodeValidation, jadwal.CodeNotFound)
	}
	if !in.fixed {
		codes = append(codes, jadwal.CodeMalformed, jadwal.CodeValidation) // of the query
	}
	if r.doc.once {
		codes = append(codes, jadwal.CodeValidation, jadwal.CodeKeyReused, jadwal.CodeKeyInProgress)
	}
	if in.headers != nil {
		codes = append(codes, jadwal.CodeValidation, jadwal.CodeVersionMismatch)
	}
	if r.action != jadwal.ActionPublic || in.body >= 0 {
		codes = append(codes, jadwal.CodeUnavailable)
	}
	byStatus := map[int][]jadwal.Code{}
	slices.Sort(codes)
	for _, code := range slices.Compact(codes) {
		byStatus[statuses[code]] = append(byStatus[statuses[code]], code)
	}
	return byStatus
}

// failure refers to the description of a failure; there is one for each
// status and set of codes.
func (g *generator) failure(status int, codes []jadwal.Code) *huma.Response {
	name := ""
	for _, code := range codes {
		for word := range strings.SplitSeq(string(code), "_") {
			name += strings.ToUpper(word[:1]) + word[1:]
		}
	}
	if g.responses[name] == nil {
		problem := g.schema(reflect.TypeFor[problem]())
		envelope := envelopeSchema(false, status)
		var texts []string
		var values []any
		for _, code := range codes {
			texts = append(texts, string(code))
			values = append(values, string(code))
		}
		envelope.Properties["data"] = &huma.Schema{AllOf: []*huma.Schema{problem, {Properties: map[string]*huma.Schema{"code": {Enum: values}}}}}
		envelope.Required = append(envelope.Required, "data")
		r := &huma.Response{
			Description: fmt.Sprintf("%s: %s", http.StatusText(status), strings.Join(texts, ", ")),
			Content:     map[string]*huma.MediaType{"application/json": {Schema: envelope}},
			Headers:     map[string]*huma.Param{},
		}
		for _, header := range map[int][]string{401: {"WWW-Authenticate"}, 429: {"Retry-After"}, 503: {"Retry-After"}}[status] {
			r.Headers[header] = &huma.Param{Description: headerText[header], Schema: &huma.Schema{Type: "string"}}
		}
		if slices.Contains(codes, jadwal.CodeInsufficientScope) {
			r.Headers["WWW-Authenticate"] = &huma.Param{Description: headerText["WWW-Authenticate"], Schema: &huma.Schema{Type: "string"}}
		}
		g.responses[name] = r
	}
	return &huma.Response{Ref: "#/components/responses/" + name}
}

var headerText = map[string]string{
	"ETag":                "The version, for If-Match.",
	"Idempotent-Replayed": "true: nothing was done, this is the answer of the first time.",
	"Link":                `The next page, rel="next"; none on the last.`,
	"Location":            "The new resource.",
	"Retry-After":         "Seconds to wait before the same call may succeed.",
	"WWW-Authenticate":    `Bearer realm="jadwal", with error="invalid_token" when a token was sent, or error="insufficient_scope" and the scope that an API key lacks.`,
	"X-Total-Count":       "With count=true: how many there are in all, counted up to 10,000, and among as many as a page looks at.",
	"X-Total-Count-Exact": "false when there may be more than were counted.",
}

var parameterText = map[reflect.Type]string{
	reflect.TypeFor[id]():           "The id of a user.",
	reflect.TypeFor[ofUser]():       "The id of the user whose they are, for superusers; without it they are the caller's.",
	reflect.TypeFor[ofOwner]():      "Only jobs of the user of this id.",
	reflect.TypeFor[actorRef]():     "The id of the user who did it; 0: the operator or the server itself.",
	reflect.TypeFor[actionWord]():   "What was done, such as job.edit.",
	reflect.TypeFor[objectWord]():   "What it was done to, such as job/5.",
	reflect.TypeFor[auditCursor]():  "Where the page begins: as the Link header of the page before says.",
	reflect.TypeFor[keyRef]():       "The id of an API key.",
	reflect.TypeFor[sessionRef]():   "The id of a session.",
	reflect.TypeFor[jobRef]():       "The id of a job, or the caller's own name for it.",
	reflect.TypeFor[runRef]():       "The id of a run.",
	reflect.TypeFor[limit]():        "How many there are on a page.",
	reflect.TypeFor[after]():        "Where the page begins: as the Link header of the page before says.",
	reflect.TypeFor[before]():       "Where the page begins: as the Link header of the page before says.",
	reflect.TypeFor[runStates]():    "In one of these states.",
	reflect.TypeFor[jobStates]():    "In one of these states.",
	reflect.TypeFor[jobTags]():      "With all of these tags.",
	reflect.TypeFor[runReasons]():   "For one of these reasons.",
	reflect.TypeFor[runTriggers]():  "Made by one of these.",
	reflect.TypeFor[requiredTime](): "The instant, in RFC 3339.",
	reflect.TypeFor[onlyNew]():      "*: only if there is no such job yet.",
	reflect.TypeFor[versionRef]():   "The number of a version.",
	reflect.TypeFor[occurrence]():   "How many occurrences.",
	reflect.TypeFor[queryTime]():    "An instant in RFC 3339.",
	reflect.TypeFor[boolean]():      "Whether to tell in X-Total-Count how many there are in all.",
	reflect.TypeFor[precondition](): "The ETag of the version that is meant.",
}

func parameterSchema(t reflect.Type) *huma.Schema {
	number := func(f float64) *float64 { return &f }
	switch t {
	case reflect.TypeFor[actorRef]():
		return &huma.Schema{Type: "integer", Format: "int64", Minimum: number(0)}
	case reflect.TypeFor[actionWord]():
		return wordsSchema(jadwal.AuditActions).Items
	case reflect.TypeFor[objectWord]():
		return &huma.Schema{Type: "string", Pattern: objectPattern.String()}
	case reflect.TypeFor[keyRef]():
		return &huma.Schema{Type: "string", Pattern: "^[0-9A-Za-z]{11}$"}
	case reflect.TypeFor[sessionRef]():
		return &huma.Schema{Type: "string", Pattern: "^[1-9][0-9]*$"}
	case reflect.TypeFor[id](), reflect.TypeFor[after](), reflect.TypeFor[ofUser](), reflect.TypeFor[ofOwner]():
		return &huma.Schema{Type: "integer", Format: "int64", Minimum: number(1)}
	case reflect.TypeFor[limit]():
		return &huma.Schema{Type: "integer", Minimum: number(1), Maximum: number(jadwal.MaxPage), Default: jadwal.DefaultPage}
	case reflect.TypeFor[versionRef]():
		return &huma.Schema{Type: "integer", Format: "int64", Minimum: number(1)}
	case reflect.TypeFor[occurrence]():
		return &huma.Schema{Type: "integer", Minimum: number(1), Maximum: number(jadwal.MaxPreview), Default: defaultOccurrences}
	case reflect.TypeFor[queryTime](), reflect.TypeFor[requiredTime]():
		return &huma.Schema{Type: "string", Format: "date-time"}
	case reflect.TypeFor[runStates]():
		return wordsSchema(jadwal.RunStates)
	case reflect.TypeFor[jobStates]():
		return wordsSchema(jadwal.JobStates)
	case reflect.TypeFor[jobTags]():
		most := jadwal.MaxTags
		return &huma.Schema{Type: "array", MaxItems: &most, Items: &huma.Schema{Type: "string", Pattern: "^[a-z0-9][a-z0-9._:-]{0,62}$"}}
	case reflect.TypeFor[runReasons]():
		return wordsSchema(jadwal.Reasons)
	case reflect.TypeFor[runTriggers]():
		return wordsSchema(jadwal.Triggers)
	case reflect.TypeFor[onlyNew]():
		return &huma.Schema{Type: "string", Enum: []any{"*"}}
	case reflect.TypeFor[boolean]():
		return &huma.Schema{Type: "boolean", Default: false}
	case reflect.TypeFor[runRef](), reflect.TypeFor[before]():
		return &huma.Schema{Type: "string", Pattern: "^[0-9a-v]{29}$"}
	}
	return &huma.Schema{Type: "string"}
}

// wordsSchema is a list of words, separated by commas.
func wordsSchema[T ~string](known []T) *huma.Schema {
	s := &huma.Schema{Type: "array", Items: &huma.Schema{Type: "string"}}
	for _, word := range known {
		s.Items.Enum = append(s.Items.Enum, string(word))
	}
	return s
}
