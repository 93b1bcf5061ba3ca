package engine

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// onPostgres are the tests whose scenarios, or random sequences, run on
// PostgreSQL too.
var onPostgres = map[string]func(*testing.T){
	"TestAnySequence":                        TestAnySequence,
	"TestAnySequenceOfRaces":                 TestAnySequenceOfRaces,
	"TestCancelRun":                          TestCancelRun,
	"TestCatchup":                            TestCatchup,
	"TestCircuit":                            TestCircuit,
	"TestClockSteps":                         TestClockSteps,
	"TestCompletion":                         TestCompletion,
	"TestDelete":                             TestDelete,
	"TestEdit":                               TestEdit,
	"TestEgressRulesOfAnOwnerWhoLosesRights": TestEgressRulesOfAnOwnerWhoLosesRights,
	"TestFaults":                             TestFaults,
	"TestFiring":                             TestFiring,
	"TestFiringRules":                        TestFiringRules,
	"TestHealth":                             TestHealth,
	"TestHostLimits":                         TestHostLimits,
	"TestJitter":                             TestJitter,
	"TestKillAtEveryCommit":                  TestKillAtEveryCommit,
	"TestMaxRuns":                            TestMaxRuns,
	"TestMetrics":                            TestMetrics,
	"TestOverlap":                            TestOverlap,
	"TestOwnerDisabled":                      TestOwnerDisabled,
	"TestOwnersTakeTurns":                    TestOwnersTakeTurns,
	"TestPause":                              TestPause,
	"TestPauseAfterFailures":                 TestPauseAfterFailures,
	"TestQuotaOfFires":                       TestQuotaOfFires,
	"TestRestart":                            TestRestart,
	"TestRetry":                              TestRetry,
	"TestRetryRun":                           TestRetryRun,
	"TestRunNow":                             TestRunNow,
	"TestShards":                             TestShards,
	"TestSpareGoroutines":                    TestSpareGoroutines,
	"TestWhatSignsAnAttempt":                 TestWhatSignsAnAttempt,
	"TestWhatFillsAnAttemptIn":               TestWhatFillsAnAttemptIn,
	"TestWhoseEgressRulesApply":              TestWhoseEgressRulesApply,
}

// sqliteOnly are the others, and why.
var sqliteOnly = map[string]string{
	"TestRetention": "on PostgreSQL history goes by the day of its recording, not by hours: the store's tests of partitions and of retention are about that",
}

// Every scenario, on PostgreSQL. Fake time stands still while the database is
// asked: a goroutine that waits for a socket is not durably blocked.
func TestPostgres(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(onPostgres)) {
		t.Run(name, onPostgres[name])
	}
}

// What has scenarios runs on both databases.
func TestEveryScenarioRunsOnPostgres(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	names := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatchIndex(text, -1) {
			name, body := string(text[f[2]:f[3]]), string(text[f[1]:])
			if body, _, _ = strings.Cut(body, "\n}\n"); !strings.Contains(body, "\tscenario(t, ") && !strings.Contains(body, "\tsequences(t, ") {
				continue
			}
			if sqliteOnly[name] != "" {
				continue
			}
			if names++; onPostgres[name] == nil {
				t.Errorf("%s has scenarios and is not run on PostgreSQL", name)
			}
		}
	}
	if names != len(onPostgres) {
		t.Errorf("%d tests have scenarios, %d run on PostgreSQL", names, len(onPostgres))
	}
}
