package api

import (
	"context"

	"github.com/teknohole/jadwal"
)

// The tags that routes are sorted by in the documentation.
const (
	tagServer    = "Server"
	tagSession   = "Sessions"
	tagKey       = "API keys"
	tagSignature = "Signature keys"
	tagSecret    = "Secrets"
	tagUser      = "Users"
	tagJob       = "Jobs"
	tagRun       = "Runs"
	tagSchedule  = "Schedules"
	tagAudit     = "Audit"
)

// shortPages is what the lists of runs tell about filters.
const shortPages = "Runs are told by when they were due: from is included, to is not. A page looks at 20,000 runs at most: " +
	"where few of them are asked for it is shorter, even empty, and the Link header leads on."

// sentBack is what the changes of jobs tell about the members of answers.
const sentBack = "What GET answers can be sent back: what only the server sets is then as it was, and refused when it is not; version says, as If-Match does, " +
	"which version is meant. Of secret values, which answers do not have, those stay that target.secret_headers and target.tls.has_client_key name; " +
	"none is lost without a word."

// routes is everything that the API does.
func routes() []*route {
	return []*route{
		endpoint("GET", "/", jadwal.ActionPublic, (*Server).getRoot, doc{
			id: "getRoot", tag: tagServer, fixed: true,
			summary: "Tell that the API is up",
		}),
		endpoint("GET", "/openapi.json", jadwal.ActionPublic, (*Server).getOpenAPI, doc{
			id: "getOpenAPI", tag: tagServer,
			summary: "This description of the API",
		}),
		endpoint("GET", "/docs", jadwal.ActionPublic, (*Server).getDocs, doc{
			id: "getDocs", tag: tagServer,
			summary: "This description of the API as a page",
		}),

		endpoint("GET", "/health/live", jadwal.ActionPublic, (*Server).getLive, doc{
			id: "getLive", tag: tagServer, uncounted: true,
			summary: "Tell that the process answers",
		}),
		endpoint("GET", "/health/ready", jadwal.ActionPublic, (*Server).getReady, doc{
			id: "getReady", tag: tagServer, uncounted: true,
			summary: "Tell whether the store and the engine are well",
			detail:  "Looked at once a second at most.",
			fails:   []jadwal.Code{jadwal.CodeUnavailable},
		}),
		endpoint("GET", "/metrics", jadwal.ActionReadMetrics, (*Server).getMetrics, doc{
			id: "getMetrics", tag: tagServer,
			summary: "What the server measures, in the Prometheus text format",
		}),
		endpoint("GET", "/node", jadwal.ActionListNodes, (*Server).listNodes, doc{
			id: "listNodes", tag: tagServer,
			summary: "The servers that share the database, by id",
			detail:  "Each fires the jobs of its shards. On SQLite: this server, which has all of them.",
		}),

		endpoint("POST", "/login", jadwal.ActionPublic, (*Server).login, doc{
			id: "login", tag: tagSession, fixed: true,
			summary: "Sign in",
			detail:  "Failed sign-ins are limited: 30 a source address, refilled one a second, and 10 an account and source, refilled one every 5 seconds.",
			fails:   []jadwal.Code{jadwal.CodeInvalidLogin, jadwal.CodeRateLimited, jadwal.CodeBusy},
		}),
		endpoint("POST", "/refresh/token", jadwal.ActionPublic, (*Server).refresh, doc{
			id: "refreshToken", tag: tagSession, fixed: true,
			summary: "Trade a refresh token for a new pair",
			detail:  "The token before the last, sent again within 30 seconds of its rotation, gets the same successor. Anything older ends the session.",
			fails:   []jadwal.Code{jadwal.CodeInvalidToken},
		}),
		endpoint("POST", "/logout", jadwal.ActionOwnAccount, (*Server).logout, doc{
			id: "logout", tag: tagSession, fixed: true,
			summary: "Sign out",
			detail:  "Both tokens are dead before the answer leaves.",
		}),
		endpoint("GET", "/session", jadwal.ActionOwnSession, (*Server).listSessions, doc{
			id: "listSessions", tag: tagSession,
			summary: "The sign-ins of the user who asks that are alive, newest first",
			detail:  "A superuser may ask for those of another user. A user has 50 at most: one more ends the one that was refreshed least recently.",
			fails:   []jadwal.Code{jadwal.CodeNotFound},
		}),
		endpoint("DELETE", "/session/{id}", jadwal.ActionOwnSession, (*Server).deleteSession, doc{
			id: "deleteSession", tag: tagSession,
			summary: "End a sign-in",
			detail:  "Its tokens are dead before the answer leaves. A superuser may end anybody's.",
		}),

		endpoint("GET", "/key", jadwal.ActionOwnKey, (*Server).listKeys, doc{
			id: "listKeys", tag: tagKey,
			summary: "The API keys of the user who asks, newest first",
			detail:  "A superuser may ask for those of another user. Keys that have expired are there until the next one is made.",
			fails:   []jadwal.Code{jadwal.CodeNotFound},
		}),
		endpoint("POST", "/key", jadwal.ActionOwnKey, (*Server).createKey, doc{
			id: "createKey", tag: tagKey, status: 201,
			summary: "Make an API key",
			detail: "It is told here and never again, and is sent as Authorization: Bearer. It can do what its scopes say and its owner may at that moment. " +
				"A user has 50 at most.",
			fails: []jadwal.Code{jadwal.CodeConflict},
		}),
		endpoint("DELETE", "/key/{id}", jadwal.ActionOwnKey, (*Server).deleteKey, doc{
			id: "deleteKey", tag: tagKey,
			summary: "Delete an API key",
			detail:  "It is dead before the answer leaves. A superuser may delete anybody's.",
		}),

		endpoint("GET", "/signature-key", jadwal.ActionOwnSignature, (*Server).listSignatureKeys, doc{
			id: "listSignatureKeys", tag: tagSignature,
			summary: "The keys that sign the requests of the caller's jobs, or of one job, the active one first",
			detail:  "Of a job: its own ones, which sign in the place of its owner's. A superuser may ask for those of another user. The keys themselves are not told.",
			fails:   []jadwal.Code{jadwal.CodeNotFound},
		}),
		endpoint("POST", "/signature-key", jadwal.ActionOwnSignature, (*Server).createSignatureKey, doc{
			id: "createSignatureKey", tag: tagSignature, status: 201,
			summary: "Make a key that signs requests, or rotate it",
			detail: "It is told here and never again, in the form that Standard Webhooks has: give it to the receiver. The first one begins to sign all requests of the caller's jobs, " +
				"or of the job. Any other one takes the place of the active one, which signs beside it for `overlap` longer: receivers accept either signature. In force on every server within a second.",
			fails: []jadwal.Code{jadwal.CodeNotFound, jadwal.CodeConflict, jadwal.CodeNoMasterKey},
		}),
		endpoint("DELETE", "/signature-key/{id}", jadwal.ActionOwnSignature, (*Server).deleteSignatureKey, doc{
			id: "deleteSignatureKey", tag: tagSignature,
			summary: "Delete a key that signs requests",
			detail: "It signs nothing any more. When it is the only one, requests have no signature from then on; when it is the active one of two, the former one is active again. " +
				"A superuser may delete anybody's.",
		}),

		endpoint("GET", "/secret", jadwal.ActionReadSecret, (*Server).listSecrets, doc{
			id: "listSecrets", tag: tagSecret,
			summary: "The secrets of the user who asks, by name, without their values",
			detail:  "A superuser may ask for those of another user.",
			fails:   []jadwal.Code{jadwal.CodeNotFound},
		}),
		endpoint("POST", "/secret", jadwal.ActionWriteSecret, (*Server).createSecret, doc{
			id: "createSecret", tag: tagSecret, status: 201, headers: []string{"Location"},
			summary: "Store a secret",
			detail: "The jobs of its owner use it as {{secret \"name\"}} in the URL, the headers and the body of their targets. It is sent to its origins and nowhere else, " +
				"and nothing tells its value again. A user has 100 at most.",
			fails: []jadwal.Code{jadwal.CodeNameTaken, jadwal.CodeConflict, jadwal.CodeNoMasterKey},
		}),
		endpoint("GET", "/secret/{secret}", jadwal.ActionReadSecret, (*Server).getSecret, doc{
			id: "getSecret", tag: tagSecret,
			summary: "One secret, without its value",
		}),
		endpoint("PATCH", "/secret/{secret}", jadwal.ActionWriteSecret, (*Server).patchSecret, doc{
			id: "patchSecret", tag: tagSecret,
			summary: "Give a secret another value, or other origins",
			detail:  "After the answer no request gets the old value; on other servers some tenths of a second later. Jobs whose target is none of the new origins fail from then on.",
			fails:   []jadwal.Code{jadwal.CodeConflict, jadwal.CodeNoMasterKey},
		}),
		endpoint("DELETE", "/secret/{secret}", jadwal.ActionWriteSecret, (*Server).deleteSecret, doc{
			id: "deleteSecret", tag: tagSecret,
			summary: "Delete a secret",
			detail:  "Not while a job of its owner's names it.",
			fails:   []jadwal.Code{jadwal.CodeConflict},
		}),

		endpoint("GET", "/user/me", jadwal.ActionReadSelf, (*Server).getMe, doc{
			id: "getMe", tag: tagUser, fixed: true,
			summary: "The user who asks",
		}),
		endpoint("PATCH", "/user/me", jadwal.ActionOwnAccount, (*Server).patchMe, doc{
			id: "patchMe", tag: tagUser, fixed: true,
			summary: "Change the user who asks",
			detail:  "All of it or nothing. The last superuser cannot be demoted.",
			fails:   []jadwal.Code{jadwal.CodeLastSuperuser},
		}),
		endpoint("GET", "/user", jadwal.ActionReadUser, (*Server).listUsers, doc{
			id: "listUsers", tag: tagUser, fixed: true,
			summary: "All users, by id",
		}),
		endpoint("POST", "/user", jadwal.ActionCreateUser, (*Server).createUser, doc{
			id: "createUser", tag: tagUser, fixed: true, once: true, status: 201,
			summary: "Create a user",
			fails:   []jadwal.Code{jadwal.CodeBusy},
		}),
		endpoint("DELETE", "/user/{id}", jadwal.ActionDeleteUser, (*Server).deleteUser, doc{
			id: "deleteUser", tag: tagUser, fixed: true,
			summary: "Delete a user",
			detail:  "The user's sessions and API keys are dead at once. The user's jobs are paused and go to the caller; a name that is taken gets a suffix.",
			fails:   []jadwal.Code{jadwal.CodeOwnAccount, jadwal.CodeLastSuperuser},
		}),
		endpoint("POST", "/user/me/password", jadwal.ActionOwnAccount, (*Server).changePassword, doc{
			id: "changePassword", tag: tagUser,
			summary: "Change the password of the user who asks",
			detail: "All other sessions of the user end; this one goes on. API keys stay. A wrong current password counts as a failed sign-in, " +
				"under the same limits.",
			fails: []jadwal.Code{jadwal.CodeWrongPassword, jadwal.CodeRateLimited, jadwal.CodeBusy},
		}),
		endpoint("POST", "/user/password/reset", jadwal.ActionPublic, (*Server).redeemReset, doc{
			id: "redeemReset", tag: tagUser,
			summary: "Set a new password with a code",
			detail:  "The code is from POST /user/{id}/password/reset and good for one new password. All sessions of the user end.",
			fails:   []jadwal.Code{jadwal.CodeInvalidLogin, jadwal.CodeBusy},
		}),
		endpoint("GET", "/user/{id}", jadwal.ActionReadUser, (*Server).getUser, doc{
			id: "getUser", tag: tagUser,
			summary: "One user",
		}),
		endpoint("PATCH", "/user/{id}", jadwal.ActionEditUser, (*Server).patchUser, doc{
			id: "patchUser", tag: tagUser,
			summary: "Change a user",
			detail:  "All of it or nothing, as PATCH /user/me. The last superuser cannot be demoted.",
			fails:   []jadwal.Code{jadwal.CodeLastSuperuser},
		}),
		endpoint("GET", "/user/{id}/status", jadwal.ActionReadUser, (*Server).getUserStatus, doc{
			id: "getUserStatus", tag: tagUser,
			summary: "Whether a user may sign in, and with what the user has",
		}),
		endpoint("POST", "/user/{id}/disable", jadwal.ActionEditUser, (*Server).disableUser, doc{
			id: "disableUser", tag: tagUser,
			summary: "Take all rights from a user",
			detail: "The user's sessions end, API keys are dead until the user is enabled again, and what the user's jobs plan is skipped for the reason " +
				"owner_disabled. Disabling a disabled user changes nothing.",
			fails: []jadwal.Code{jadwal.CodeOwnAccount, jadwal.CodeLastSuperuser},
		}),
		endpoint("POST", "/user/{id}/enable", jadwal.ActionEditUser, (*Server).enableUser, doc{
			id: "enableUser", tag: tagUser,
			summary: "Give a disabled user all rights back",
			detail:  "The user signs in anew. Enabling an enabled user changes nothing.",
		}),
		endpoint("POST", "/user/{id}/password/reset", jadwal.ActionEditUser, (*Server).startReset, doc{
			id: "startReset", tag: tagUser, status: 201,
			summary: "Make a code that sets a user's password once",
			detail: "It is told here and never again; hand it to the user, who sends it to POST /user/password/reset. Until then the old password is good. " +
				"A new code takes the place of the one before.",
			fails: []jadwal.Code{jadwal.CodeOwnAccount},
		}),

		endpoint("GET", "/job", jadwal.ActionReadJob, (*Server).listJobs, doc{
			id: "listJobs", tag: tagJob,
			headers: []string{"Link", "X-Total-Count", "X-Total-Count-Exact"},
			summary: "The jobs that the caller owns or has a grant for, by id",
			detail: "A superuser gets the jobs of all users. With owner only those of that user, with state those in one of the states, with tag those with all of the tags. " +
				"A page looks at 20,000 jobs at most: where few of them are asked for it is shorter, even empty, and the Link header leads on. " +
				"An owner who does not exist is not found for a superuser, and has no jobs for anybody else.",
			fails: []jadwal.Code{jadwal.CodeNotFound},
		}),
		endpoint("POST", "/job", jadwal.ActionCreateJob, (*Server).createJob, doc{
			id: "createJob", tag: tagJob, once: true, status: 201, headers: []string{"ETag", "Location"},
			summary: "Create a job",
			detail:  "An `at` that is at most an hour late runs at once; an older one is refused.",
			fails:   []jadwal.Code{jadwal.CodeQuotaExceeded, jadwal.CodeNameTaken, jadwal.CodeNoMasterKey},
		}),
		endpoint("GET", "/job/{job}", jadwal.ActionReadJob, (*Server).getJob, doc{
			id: "getJob", tag: tagJob, headers: []string{"ETag"},
			summary: "One job",
		}),
		endpoint("PUT", "/job/{job}", jadwal.ActionEditJob, (*Server).putJob, doc{
			id: "putJob", tag: tagJob, headers: []string{"ETag", "Location"}, also: 201,
			summary: "Create or replace a job",
			detail: "A name that the caller has no job of creates one. Otherwise the body takes the place of the whole definition: what it leaves out has its default. " +
				"The state stays; the definition that the job has already changes nothing. " +
				"After the answer no run starts from the old definition. A name in the body is that of the path; where the path has an id, it renames. " + sentBack,
			fails: []jadwal.Code{jadwal.CodeQuotaExceeded, jadwal.CodeNameTaken, jadwal.CodeConflict, jadwal.CodeNotYetApplied, jadwal.CodeNoMasterKey},
		}),
		endpoint("PATCH", "/job/{job}", jadwal.ActionEditJob, (*Server).patchJob, doc{
			id: "patchJob", tag: tagJob, headers: []string{"ETag"},
			summary: "Change a job",
			detail: "The body is a merge patch (RFC 7396): null puts a member back to its default. After the answer no run starts from the old definition. " +
				"Secret headers that are not sent stay, while the origin of the target's URL does. " + sentBack,
			fails: []jadwal.Code{jadwal.CodeNameTaken, jadwal.CodeConflict, jadwal.CodeNotYetApplied, jadwal.CodeNoMasterKey},
		}),
		endpoint("DELETE", "/job/{job}", jadwal.ActionEditJob, (*Server).deleteJob, doc{
			id: "deleteJob", tag: tagJob,
			summary: "Delete a job",
			detail:  "Open runs are cancelled. The name is free again; the history stays until it is old enough.",
			fails:   []jadwal.Code{jadwal.CodeNotYetApplied},
		}),
		endpoint("POST", "/job/{job}/pause", jadwal.ActionOperateJob, (*Server).pauseJob, doc{
			id: "pauseJob", tag: tagJob, headers: []string{"ETag"},
			summary: "Pause a job",
			detail:  "Nothing starts any more; what runs goes on to its end, and what waits for another attempt is held. With `until` the pause ends by itself.",
			fails:   []jadwal.Code{jadwal.CodeConflict, jadwal.CodeNotYetApplied},
		}),
		endpoint("POST", "/job/{job}/resume", jadwal.ActionOperateJob, (*Server).resumeJob, doc{
			id: "resumeJob", tag: tagJob, headers: []string{"ETag"},
			summary: "Resume a paused job",
			detail:  "What was due meanwhile is recorded as skipped, but for what `catchup` lets run.",
			fails:   []jadwal.Code{jadwal.CodeConflict, jadwal.CodeNotYetApplied},
		}),

		endpoint("POST", "/job/{job}/clone", jadwal.ActionCloneJob, (*Server).cloneJob, doc{
			id: "cloneJob", tag: tagJob, once: true, status: 201, headers: []string{"ETag", "Location"},
			summary: "Make a new job with the same definition",
			detail:  "Secret headers included. The new job is the caller's, has no history, and is enabled unless paused is true.",
			fails:   []jadwal.Code{jadwal.CodeQuotaExceeded, jadwal.CodeNameTaken, jadwal.CodeNoMasterKey},
		}),
		endpoint("GET", "/job/{job}/grant", jadwal.ActionShareJob, (*Server).listGrants, doc{
			id: "listGrants", tag: tagJob,
			summary: "Who may do what with a job besides its owner, by user",
		}),
		endpoint("PUT", "/job/{job}/grant/{user}", jadwal.ActionShareJob, (*Server).putGrant, doc{
			id: "putGrant", tag: tagJob, also: 201,
			summary: "Share a job",
			detail: "A viewer sees the job and its runs. An operator also runs it now, pauses and resumes it, and cancels and repeats its runs. " +
				"An editor also changes and deletes it. Only the owner shares it, clones it and gives it away. 100 grants a job at most.",
			fails: []jadwal.Code{jadwal.CodeConflict},
		}),
		endpoint("DELETE", "/job/{job}/grant/{user}", jadwal.ActionShareJob, (*Server).deleteGrant, doc{
			id: "deleteGrant", tag: tagJob,
			summary: "Share a job no more with a user",
		}),
		endpoint("POST", "/job/{job}/owner", jadwal.ActionShareJob, (*Server).setOwner, doc{
			id: "setOwner", tag: tagJob, headers: []string{"ETag"},
			summary: "Give a job to another user",
			detail: "Its runs have that user's rights from then on, but what an owner who was no superuser wrote keeps that owner's egress rules until it is edited. " +
				"Grants stay. A name that the new owner has already is a conflict.",
			fails: []jadwal.Code{jadwal.CodeQuotaExceeded, jadwal.CodeNameTaken, jadwal.CodeNotYetApplied},
		}),
		endpoint("GET", "/job/{job}/next", jadwal.ActionReadJob, (*Server).nextOfJob, doc{
			id: "nextOfJob", tag: tagJob,
			summary: "What a job's schedules mean, and when they fire next",
			detail:  "Of a job that is paused or completed: when they would.",
		}),
		endpoint("GET", "/job/{job}/ledger", jadwal.ActionReadJob, (*Server).getLedger, doc{
			id: "getLedger", tag: tagJob, headers: []string{"Link"},
			summary: "Every planned instant of a job, past and coming, and what became of it",
			detail: "In order, from the instant from (a day ago unless it is given) to the instant to, which is excluded (a day after now or from). " +
				"Records that stand for many instants are expanded. An instant whose record is too old to be kept is unrecorded.",
		}),
		endpoint("GET", "/job/{job}/why", jadwal.ActionReadJob, (*Server).whyInstant, doc{
			id: "whyInstant", tag: tagJob,
			summary: "Why a job ran at an instant, or did not",
			detail:  "The evidence, step by step, up to what decided.",
		}),
		endpoint("GET", "/job/{job}/version", jadwal.ActionReadJob, (*Server).listVersions, doc{
			id: "listVersions", tag: tagJob, headers: []string{"Link"},
			summary: "The versions of a job, newest first, and what changed",
			detail:  "A page is shorter than asked for when the definitions on it are large.",
		}),
		endpoint("GET", "/job/{job}/version/{n}", jadwal.ActionReadJob, (*Server).getVersion, doc{
			id: "getVersion", tag: tagJob,
			summary: "A job as it was",
		}),
		endpoint("POST", "/job/{job}/version/{n}/restore", jadwal.ActionEditJob, (*Server).restoreVersion, doc{
			id: "restoreVersion", tag: tagJob, headers: []string{"ETag"},
			summary: "Put the definition of a version into force again",
			detail:  "As a new version, with its name and its secret headers. The state stays.",
			fails:   []jadwal.Code{jadwal.CodeNameTaken, jadwal.CodeConflict, jadwal.CodeNotYetApplied, jadwal.CodeNoMasterKey},
		}),

		endpoint("GET", "/job/{job}/run", jadwal.ActionReadRun, (*Server).listRuns, doc{
			id: "listRuns", tag: tagRun, headers: []string{"Link"},
			summary: "The runs of a job, newest first",
			detail:  shortPages,
		}),
		endpoint("GET", "/run", jadwal.ActionReadRun, (*Server).listAllRuns, doc{
			id: "listAllRuns", tag: tagRun, headers: []string{"Link"},
			summary: "The runs of all jobs that the caller owns or has a grant for, newest first",
			detail: "Of up to 1,000 jobs; whoever has more names one with job. A superuser gets the runs of all jobs, deleted ones included; " +
				"job by its id may be a deleted one for its owner, too. " + shortPages,
			fails: []jadwal.Code{jadwal.CodeNotFound},
		}),
		endpoint("POST", "/job/{job}/run", jadwal.ActionOperateRun, (*Server).runJob, doc{
			id: "runJob", tag: tagRun, status: 201, once: true, headers: []string{"Location"},
			summary: "Run a job now",
			detail: "As soon as the run that is running has ended, even while the job is paused or completed. It is never skipped, " +
				"and does not count for max_runs.",
			fails: []jadwal.Code{jadwal.CodeConflict},
		}),
		endpoint("POST", "/job/{job}/test", jadwal.ActionOperateRun, (*Server).testJob, doc{
			id: "testJob", tag: tagRun,
			summary: "Send the request of a job's target once, and see it and its answer",
			detail: "As a run would send it, with its signature and under the same rules, but marked by Jadwal-Test, within 30 seconds at most, and not attempted again. " +
				"It is no run: it is in no history and changes nothing of the job. With a body, a merge patch as of PATCH, the job is tested as it would be then, " +
				"which takes the rights to edit it. That the target fails is no failure of the test. A user may have four on their way at once.",
			fails: []jadwal.Code{jadwal.CodeConflict, jadwal.CodeRateLimited, jadwal.CodeBusy, jadwal.CodeVersionMismatch},
		}),
		endpoint("POST", "/run/{id}/cancel", jadwal.ActionOperateRun, (*Server).cancelRun, doc{
			id: "cancelRun", tag: tagRun,
			summary: "Cancel a run that has not ended",
			detail:  "One that runs, waits, waits for its next attempt, or is due. One that ends by itself meanwhile stays as it ended.",
			fails:   []jadwal.Code{jadwal.CodeConflict, jadwal.CodeNotYetApplied},
		}),
		endpoint("POST", "/run/{id}/retry", jadwal.ActionOperateRun, (*Server).retryRun, doc{
			id: "retryRun", tag: tagRun, status: 201, once: true, headers: []string{"Location"},
			summary: "Repeat a run that has ended",
			detail:  "As a new run, whatever became of the old one, of the job as it is now.",
			fails:   []jadwal.Code{jadwal.CodeConflict},
		}),
		endpoint("GET", "/run/{id}/attempt", jadwal.ActionReadRun, (*Server).listAttempts, doc{
			id: "listAttempts", tag: tagRun,
			summary: "The attempts of a run, the first one first",
		}),
		endpoint("GET", "/run/{id}", jadwal.ActionReadRun, (*Server).getRun, doc{
			id: "getRun", tag: tagRun,
			summary: "One run",
		}),

		endpoint("GET", "/audit", jadwal.ActionReadAudit, (*Server).listAudit, doc{
			id: "listAudit", tag: tagAudit, headers: []string{"Link"},
			summary: "Who did what, when, from where and by which means, newest first",
			detail: "A line is written in the transaction of what it tells: there is none without the other. from is included, to is not. " +
				"A page looks at 20,000 lines at most: where few of them are asked for it is shorter, even empty, and the Link header leads on.",
		}),

		endpoint("POST", "/schedule/preview", jadwal.ActionPreview, (*Server).previewSchedule, doc{
			id: "previewSchedule", tag: tagSchedule,
			summary: "What schedules mean, and when they fire",
		}),
	}
}

// getRoot answers GET / for everybody.
func (s *Server) getRoot(context.Context, *none) (*reply[none], error) {
	return done("Jadwal API is up and running").with("Vary", "Accept, Sec-Fetch-Mode"), nil
}
