package schedule

import (
	"archive/zip"
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// The zone database is our own copy, so that every node of a cluster plans the
// same instants whatever its operating system has installed. It is the file
// lib/time/zoneinfo.zip of the Go distribution; the data is in the public domain
// (https://www.iana.org/time-zones).
var (
	//go:embed zoneinfo/zoneinfo.zip
	zoneZip string
	//go:embed zoneinfo/VERSION
	zoneVersion string
)

// ZoneVersion returns the release of the embedded zone database: "2025c".
func ZoneVersion() string { return strings.TrimSpace(zoneVersion) }

// zoneFiles is the directory of the database.
var zoneFiles = sync.OnceValues(func() (map[string]*zip.File, []string) {
	r, err := zip.NewReader(strings.NewReader(zoneZip), int64(len(zoneZip)))
	if err != nil {
		panic(fmt.Sprintf("schedule: the embedded zone database is broken: %v", err))
	}
	files := make(map[string]*zip.File, len(r.File))
	var names []string
	for _, f := range r.File {
		if !strings.HasSuffix(f.Name, "/") {
			files[f.Name] = f
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	return files, names
})

// locations keeps every location that was loaded, so that a name is always the
// same pointer. There are no more of them than names in the database.
var locations sync.Map // string → *time.Location

// maxZoneLen is longer than every name of the database.
const maxZoneLen = 64

// ZoneNames returns the names of the database, sorted.
func ZoneNames() []string {
	_, names := zoneFiles()
	return slices.Clone(names)
}

// LoadZone returns the location of an IANA name, such as "Asia/Jakarta", from
// the embedded database; two calls with one name return the same pointer. The
// error is an *Error whose Field is "timezone". "Local" and "" are refused: what
// they mean would depend on the machine.
func LoadZone(name string) (*time.Location, error) {
	switch {
	case name == "UTC":
		return time.UTC, nil
	case len(name) > maxZoneLen:
		return nil, &Error{"timezone", CodeTooLong, fmt.Sprintf("timezone must have at most %d characters, got %d", maxZoneLen, len(name))}
	}
	if loc, ok := locations.Load(name); ok {
		return loc.(*time.Location), nil
	}
	files, names := zoneFiles()
	file := files[name]
	if file == nil {
		return nil, &Error{"timezone", CodeUnknownZone, unknownZone(name, names)}
	}
	loc, err := readZone(file)
	if err != nil {
		panic(fmt.Sprintf("schedule: zone %s of the embedded database: %v", name, err))
	}
	kept, _ := locations.LoadOrStore(name, loc)
	return kept.(*time.Location), nil
}

func readZone(file *zip.File) (*time.Location, error) {
	r, err := file.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return time.LoadLocationFromTZData(file.Name, data)
}

// commonZones are names that people write and the database does not have.
var commonZones = map[string]string{
	"wib": "Asia/Jakarta", "wita": "Asia/Makassar", "wit": "Asia/Jayapura", "jakarta": "Asia/Jakarta",
	"ist": "Asia/Kolkata", "jst": "Asia/Tokyo", "kst": "Asia/Seoul", "sgt": "Asia/Singapore", "hkt": "Asia/Hong_Kong",
	"bst": "Europe/London", "cest": "Europe/Berlin", "eest": "Europe/Athens", "edt": "America/New_York", "cst": "America/Chicago",
	"cdt": "America/Chicago", "mdt": "America/Denver", "pst": "America/Los_Angeles", "pdt": "America/Los_Angeles",
	"aest": "Australia/Sydney", "aedt": "Australia/Sydney", "nzst": "Pacific/Auckland", "z": "UTC",
}

// unknownZone explains why a name is none, with what was probably meant.
func unknownZone(name string, names []string) string {
	switch {
	case name == "":
		return `timezone is empty: write an IANA name, such as "Asia/Jakarta", or "UTC"`
	case strings.EqualFold(name, "local"):
		return `timezone "Local" would depend on the machine: write an IANA name, such as "Asia/Jakarta", or "UTC"`
	}
	hint := commonZones[strings.ToLower(name)]
	if hint == "" {
		hint = offsetZone(name, names)
	}
	under := strings.ReplaceAll(name, " ", "_")
	for _, known := range names {
		_, city, _ := strings.Cut(known, "/")
		if hint == "" && (strings.EqualFold(under, known) || len(city) > 3 && strings.EqualFold(under, city)) {
			hint = known
		}
	}
	if hint == "" {
		hint = nearest(under, names)
	}
	if hint == "" {
		return fmt.Sprintf(`unknown timezone %s: write an IANA name, such as "Asia/Jakarta"`, quote(name))
	}
	return fmt.Sprintf("unknown timezone %s: did you mean %q?", quote(name), hint)
}

// offsetZone returns the zone of a fixed offset, such as "UTC+7" or "+07:00",
// whose sign in the database is that of POSIX: Etc/GMT-7 is east of Greenwich.
func offsetZone(name string, names []string) string {
	text := strings.ToUpper(name)
	for _, prefix := range []string{"UTC", "GMT"} {
		text = strings.TrimPrefix(text, prefix)
	}
	if len(text) < 2 || text[0] != '+' && text[0] != '-' {
		return ""
	}
	hours, _, _ := strings.Cut(text[1:], ":")
	n, ok := number(strings.TrimSuffix(hours, "00"))
	if !ok || strings.HasSuffix(text, ":30") || strings.HasSuffix(text, ":45") {
		return ""
	}
	sign := "-"
	if text[0] == '-' {
		sign = "+"
	}
	if zone := fmt.Sprintf("Etc/GMT%s%d", sign, n); slices.Contains(names, zone) {
		return zone
	}
	return ""
}
