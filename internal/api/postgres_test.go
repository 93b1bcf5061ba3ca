package api

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// suite is every test that has a server: they run on SQLite, and by
// TestPostgres on PostgreSQL.
var suite = map[string]func(*testing.T){
	"TestABodyThatSaysNothingIsFineWhereNoneIsTaken":        TestABodyThatSaysNothingIsFineWhereNoneIsTaken,
	"TestABodyThatEndsEarlyIsAnswered":                      TestABodyThatEndsEarlyIsAnswered,
	"TestABodyThatIsTooSlowIsAnswered":                      TestABodyThatIsTooSlowIsAnswered,
	"TestAChangeIsAnsweredWhenItIsApplied":                  TestAChangeIsAnsweredWhenItIsApplied,
	"TestAChangeThatIsNotYetApplied":                        TestAChangeThatIsNotYetApplied,
	"TestAContentTypeThatIsRefusedSaysWhatToSend":           TestAContentTypeThatIsRefusedSaysWhatToSend,
	"TestADisabledUserIsNobody":                             TestADisabledUserIsNobody,
	"TestAFailureIsEnvelopedAndLogged":                      TestAFailureIsEnvelopedAndLogged,
	"TestAGrantGivesNoEgress":                               TestAGrantGivesNoEgress,
	"TestAKeyThatCannotBeLookedUp":                          TestAKeyThatCannotBeLookedUp,
	"TestAPanicIsEnvelopedAndLogged":                        TestAPanicIsEnvelopedAndLogged,
	"TestARepeatedChangeIsNotAnsweredBeforeTheFirst":        TestARepeatedChangeIsNotAnsweredBeforeTheFirst,
	"TestASessionThatEndsBeforeTheBodyIsThereWritesNothing": TestASessionThatEndsBeforeTheBodyIsThereWritesNothing,
	"TestAttacks":                                   TestAttacks,
	"TestAudit":                                     TestAudit,
	"TestBadInputIsRefusedAndChangesNothing":        TestBadInputIsRefusedAndChangesNothing,
	"TestBootstrapCredential":                       TestBootstrapCredential,
	"TestChangePassword":                            TestChangePassword,
	"TestCloneJob":                                  TestCloneJob,
	"TestContractTranscript":                        TestContractTranscript,
	"TestCreateJob":                                 TestCreateJob,
	"TestCreateUser":                                TestCreateUser,
	"TestDeleteJob":                                 TestDeleteJob,
	"TestDeleteUser":                                TestDeleteUser,
	"TestDisabledUsers":                             TestDisabledUsers,
	"TestDocsNeedNothingFromElsewhere":              TestDocsNeedNothingFromElsewhere,
	"TestFailedLogins":                              TestFailedLogins,
	"TestFailedLoginsAreLimited":                    TestFailedLoginsAreLimited,
	"TestGrants":                                    TestGrants,
	"TestHEADWorksWhereGETDoes":                     TestHEADWorksWhereGETDoes,
	"TestHandingOver":                               TestHandingOver,
	"TestHealth":                                    TestHealth,
	"TestIdempotencyKey":                            TestIdempotencyKey,
	"TestIdentityTranscript":                        TestIdentityTranscript,
	"TestJobTranscript":                             TestJobTranscript,
	"TestJobsOfOthers":                              TestJobsOfOthers,
	"TestJobsByStateAndTag":                         TestJobsByStateAndTag,
	"TestKeys":                                      TestKeys,
	"TestKeysWithoutAnEnd":                          TestKeysWithoutAnEnd,
	"TestLargeBodiesTogetherAreBounded":             TestLargeBodiesTogetherAreBounded,
	"TestLedgerAndWhy":                              TestLedgerAndWhy,
	"TestLogout":                                    TestLogout,
	"TestManyAtOnceGetNoMoreThanTheQuota":           TestManyAtOnceGetNoMoreThanTheQuota,
	"TestManyHeadersAndNamesToKeepAreRefusedAtOnce": TestManyHeadersAndNamesToKeepAreRefusedAtOnce,
	"TestMetrics":                                   TestMetrics,
	"TestNextOfJob":                                 TestNextOfJob,
	"TestNodes":                                     TestNodes,
	"TestNodesThatCannotBeRead":                     TestNodesThatCannotBeRead,
	"TestOldAndOddRequests":                         TestOldAndOddRequests,
	"TestPagesOfJobs":                               TestPagesOfJobs,
	"TestPagesOfListedOriginsReadAnswers":           TestPagesOfListedOriginsReadAnswers,
	"TestPasswordReset":                             TestPasswordReset,
	"TestPatchJob":                                  TestPatchJob,
	"TestPatchMe":                                   TestPatchMe,
	"TestPauseAndResume":                            TestPauseAndResume,
	"TestPreflights":                                TestPreflights,
	"TestPreview":                                   TestPreview,
	"TestPublicEndpointsIgnoreAnAuthorizationField": TestPublicEndpointsIgnoreAnAuthorizationField,
	"TestPutJob":                                    TestPutJob,
	"TestRefresh":                                   TestRefresh,
	"TestRequestsOfAUserAreLimited":                 TestRequestsOfAUserAreLimited,
	"TestRequestsOfNobodyAreLimitedBySource":        TestRequestsOfNobodyAreLimitedBySource,
	"TestRoleByRoute":                               TestRoleByRoute,
	"TestRootIsTheSameForEverybody":                 TestRootIsTheSameForEverybody,
	"TestRuns":                                      TestRuns,
	"TestRunsAcrossJobs":                            TestRunsAcrossJobs,
	"TestRunsThatSomebodyAskedFor":                  TestRunsThatSomebodyAskedFor,
	"TestScopeByRoute":                              TestScopeByRoute,
	"TestSecrets":                                   TestSecrets,
	"TestSecretsAreNeverShownAgain":                 TestSecretsAreNeverShownAgain,
	"TestSendingATest":                              TestSendingATest,
	"TestSentTestsAreBounded":                       TestSentTestsAreBounded,
	"TestSessionsAreListedAndEnded":                 TestSessionsAreListedAndEnded,
	"TestSignInsBeyondTheQueueAreToldToComeBack":    TestSignInsBeyondTheQueueAreToldToComeBack,
	"TestSignatureKeys":                             TestSignatureKeys,
	"TestStorms":                                    TestStorms,
	"TestSuperuserCallsAreForbiddenToOthersWhateverTheySend": TestSuperuserCallsAreForbiddenToOthersWhateverTheySend,
	"TestTLSOfATarget":                               TestTLSOfATarget,
	"TestTLSOfATargetThatIsRefused":                  TestTLSOfATargetThatIsRefused,
	"TestTheEndOfKeys":                               TestTheEndOfKeys,
	"TestTheLastSuperuserStaysWhateverHappensAtOnce": TestTheLastSuperuserStaysWhateverHappensAtOnce,
	"TestTheOldestSessionGivesWay":                   TestTheOldestSessionGivesWay,
	"TestTokens":                                     TestTokens,
	"TestVersions":                                   TestVersions,
	"TestVersionsThatAreNotKept":                     TestVersionsThatAreNotKept,
	"TestSecretsThatAreNotSentAgain":                 TestSecretsThatAreNotSentAgain,
	"TestWhatIsReadCanBeSentBack":                    TestWhatIsReadCanBeSentBack,
	"TestWhatOnlyTheServerSets":                      TestWhatOnlyTheServerSets,
	"TestWhatIsWrongIsToldInTheOrderOfTheMembers":    TestWhatIsWrongIsToldInTheOrderOfTheMembers,
	"TestWithoutLimitsNothingIsCounted":              TestWithoutLimitsNothingIsCounted,
	"TestWithoutTheSettingNoPageReadsAnything":       TestWithoutTheSettingNoPageReadsAnything,
}

func TestPostgres(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(suite)) {
		t.Run(name, suite[name])
	}
}

// onPostgres tells whether t is part of TestPostgres.
func onPostgres(t testing.TB) bool { return strings.HasPrefix(t.Name(), "TestPostgres/") }

func TestTheSuiteIsComplete(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(fn.Name.Name, "Test") || fn.Recv != nil {
				continue
			}
			served := false
			ast.Inspect(fn, func(n ast.Node) bool {
				id, ok := n.(*ast.Ident)
				served = served || ok && id.Name == "newServer"
				return true
			})
			if _, there := suite[fn.Name.Name]; served && !there {
				t.Errorf("%s is not in the suite", fn.Name.Name)
			}
		}
	}
}
