package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestConn(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/chunked" {
			w.(http.Flusher).Flush()
			return
		}
		answer := fmt.Sprintf("%s %s %q %q %s", r.Method, r.URL, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), b)
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		w.WriteHeader(201)
		io.WriteString(w, answer)
	}))
	defer srv.Close()
	c, err := Dial(strings.TrimPrefix(srv.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, tt := range []struct {
		rule    string
		request []byte
		want    string
	}{
		{"neither token nor body", Request("GET", "/a?b=c", "", ""), `GET /a?b=c "" "" `},
		{"a token and a body", Request("POST", "/d", "abc", `{"n":1}`), `POST /d "Bearer abc" "application/json" {"n":1}`},
		{"a longer answer than the one before", Request("POST", "/d", "", strings.Repeat("x", 5000)), `POST /d "" "application/json" ` + strings.Repeat("x", 5000)},
		{"a shorter one", Request("GET", "/", "", ""), `GET / "" "" `},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			status, body, err := c.Do(tt.request)
			if status != 201 || string(body) != tt.want || err != nil {
				t.Errorf("%d %q %v", status, body, err)
			}
		})
	}
	t.Run("an answer without a length is an error", func(t *testing.T) {
		if _, _, err := c.Do(Request("GET", "/chunked", "", "")); !errors.Is(err, errBadAnswer) {
			t.Errorf("%v", err)
		}
	})
}

func TestClient(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, data := 200, ""
		switch r.URL.Path + "?" + r.URL.RawQuery {
		case "/login?":
			data = `{"access_token":"a","refresh_token":"r"}`
		case "/list?":
			w.Header().Set("Link", `</list?cursor=2>; rel="next"`)
			data = `[1,2]`
		case "/list?cursor=2":
			data = `[3]`
		case "/auth?":
			data = `"` + r.Header.Get("Authorization") + `"`
		case "/broken?":
			io.WriteString(w, "not JSON")
			return
		default:
			status, data = 404, `{"code":"not_found"}`
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"success":%v,"status":%d,"message":"m","data":%s}`, status == 200, status, data)
	}))
	defer srv.Close()
	c := NewClient(srv.URL)
	if err := c.SignIn("x", "y"); err != nil || c.Access != "a" || c.Refresh != "r" {
		t.Fatalf("%+v, %v", c, err)
	}
	t.Run("the token is sent", func(t *testing.T) {
		var got string
		if _, err := c.Call("GET", "/auth", nil, &got); err != nil || got != "Bearer a" {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("a list is read to its end", func(t *testing.T) {
		var got []int
		if err := List(c, "/list", func(page []int) { got = append(got, page...) }); err != nil || fmt.Sprint(got) != "[1 2 3]" {
			t.Errorf("%v, %v", got, err)
		}
	})
	t.Run("a list that is refused is an error", func(t *testing.T) {
		if err := List(c, "/nothing", func([]int) {}); err == nil {
			t.Error("no error")
		}
	})
	t.Run("an error has its code and leaves out alone", func(t *testing.T) {
		out := json.RawMessage("as before")
		a, err := c.Call("GET", "/nothing", nil, &out)
		if err != nil || a.OK() || a.Code() != "not_found" || string(out) != "as before" {
			t.Errorf("%v, %v, %s", a, err, out)
		}
	})
	t.Run("what is no envelope is an error", func(t *testing.T) {
		if a, err := c.Call("GET", "/broken", nil, nil); err == nil {
			t.Errorf("%v", a)
		}
	})
}

func TestReadings(t *testing.T) {
	t.Run("a process that works uses processor time", func(t *testing.T) {
		before, err := ProcessorTime(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		for after := before; after-before < 30*time.Millisecond; {
			if after, err = ProcessorTime(os.Getpid()); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("a process that is not there is an error", func(t *testing.T) {
		if _, err := ProcessorTime(1 << 30); err == nil {
			t.Error("no error")
		}
		if _, _, err := Memory(1 << 30); err == nil {
			t.Error("no error")
		}
	})
	t.Run("memory that is used counts, and its peak stays", func(t *testing.T) {
		before, _, err := Memory(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		const size = 64 << 20
		used, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < size; i += 4096 {
			used[i] = 1
		}
		between, _, _ := Memory(os.Getpid())
		if err := syscall.Munmap(used); err != nil {
			t.Fatal(err)
		}
		after, peak, _ := Memory(os.Getpid())
		if between-before < size/2 || between-after < size/2 || peak-after < size/2 {
			t.Errorf("%d, then %d, then %d, peak %d", before, between, after, peak)
		}
	})
	t.Run("the share of stolen time is of the time between", func(t *testing.T) {
		if got := (Stolen{steal: 15, all: 300}).Since(Stolen{steal: 5, all: 100}); got != 0.05 {
			t.Errorf("got %v", got)
		}
		if got := (Stolen{}).Since(Stolen{}); got != 0 {
			t.Errorf("got %v", got)
		}
	})
	t.Run("others had what was neither idle, nor stolen, nor our own", func(t *testing.T) {
		before, after := Stolen{steal: 10, idle: 1000, all: 2000}, Stolen{steal: 60, idle: 1150, all: 2400}
		if got := after.Others(before, time.Second); got != 0.25 {
			t.Errorf("got %v", got)
		}
		if got := after.Others(before, time.Minute); got != 0 {
			t.Errorf("more than all is our own: got %v", got)
		}
		if got := (Stolen{}).Others(Stolen{}, 0); got != 0 {
			t.Errorf("got %v", got)
		}
	})
}
