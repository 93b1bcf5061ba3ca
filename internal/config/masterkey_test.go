package config

import (
	"strings"
	"testing"
)

func TestMasterKeysFromCommands(t *testing.T) {
	key := strings.Repeat("k", 32)
	for _, tt := range []struct {
		rule, line, want, wrong string
	}{
		{"what it prints is the key", "printf " + key, key, ""},
		{"a line end is none of it", "echo " + key, key, ""},
		{"it is a line of sh", "x=" + key[:31] + "; test -n \"$x\" && echo ${x}k", key, ""},
		{"what it says to people is none of it", "echo asking >&2; echo " + key, key, ""},
		{"one that fails is an error, whatever it printed", "echo " + key + "; exit 3", "", "the command has failed: exit status 3"},
		{"one that is not there is an error", "/nowhere/at/all", "", "the command has failed: exit status 127"},
		{"nothing is no key", "true", "", "the command has printed nothing; it must print the key on its standard output"},
		{"nor is a line end", "echo", "", "the command has printed nothing"},
		{"what is printed has an end", "head -c 9000 /dev/zero", "", "the command has printed more than 8192 bytes"},
		{"what is printed is checked", "echo short", "", "has 5 bytes, needs 32 to 4096"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			c, err := Flags{}.Read(environment(map[string]string{"JADWAL_MASTER_KEY_COMMAND": tt.line}))
			switch {
			case tt.wrong == "" && (err != nil || string(c.MasterKey) != tt.want):
				t.Errorf("got %q, %v", c.MasterKey, err)
			case tt.wrong != "" && (err == nil || !strings.HasPrefix(err.Error(), "JADWAL_MASTER_KEY") || !strings.Contains(err.Error(), tt.wrong)):
				t.Errorf("got %v, want %s", err, tt.wrong)
			case err != nil && (strings.Contains(err.Error(), tt.line) && tt.line != "true" && tt.line != "echo" || strings.Contains(err.Error(), key)):
				t.Errorf("the error tells the line, or what it printed: %v", err)
			}
		})
	}
}
