package api

import (
	"context"

	"github.com/teknohole/jadwal"
)

// The tags that routes are sorted by in the documentation.
const (
	tagServer   = "Server"
	tagSession  = "Sessions"
	tagUser     = "Users"
	tagJob      = "Jobs"
	tagRun      = "Runs"
	tagSchedule = "Schedules"
)

// shortPages is what the lists of runs tell about filters.
const shortPages = "Runs are told by when they were due: from is included, to is not. A page looks at 20,000 runs at most: " +
	"where few of them are asked for it is shorter, even empty, and the Link header leads on."

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
			id: "getLive", tag: tagServer,
			summary: "Tell that the process answers",
		}),
		endpoint("GET", "/health/ready", jadwal.ActionPublic, (*Server).getReady, doc{
			id: "getReady", tag: tagServer,
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

		endpoint("GET", "/user/me", jadwal.ActionOwnAccount, (*Server).getMe, doc{
			id: "getMe", tag: tagUser, fixed: true,
			summary: "The user who asks",
		}),
		endpoint("PATCH", "/user/me", jadwal.ActionOwnAccount, (*Server).patchMe, doc{
			id: "patchMe", tag: tagUser, fixed: true,
			summary: "Change the user who asks",
			detail:  "All of it or nothing. The last superuser cannot be demoted.",
			fails:   []jadwal.Code{jadwal.CodeLastSuperuser},
		}),
		endpoint("GET", "/user", jadwal.ActionListUsers, (*Server).listUsers, doc{
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
			detail:  "The user's sessions are dead at once. The user's jobs are paused and go to the caller; a name that is taken gets a suffix.",
			fails:   []jadwal.Code{jadwal.CodeOwnAccount, jadwal.CodeLastSuperuser},
		}),

		endpoint("GET", "/job", jadwal.ActionReadJob, (*Server).listJobs, doc{
			id: "listJobs", tag: tagJob,
			headers: []string{"Link", "X-Total-Count", "X-Total-Count-Exact"},
			summary: "The caller's jobs, by id",
			detail:  "A superuser gets the jobs of all users.",
		}),
		endpoint("POST", "/job", jadwal.ActionCreateJob, (*Server).createJob, doc{
			id: "createJob", tag: tagJob, once: true, status: 201, headers: []string{"ETag", "Location"},
			summary: "Create a job",
			detail:  "An `at` that is at most an hour late runs at once; an older one is refused.",
			fails:   []jadwal.Code{jadwal.CodeNameTaken},
		}),
		endpoint("GET", "/job/{job}", jadwal.ActionReadJob, (*Server).getJob, doc{
			id: "getJob", tag: tagJob, headers: []string{"ETag"},
			summary: "One job",
		}),
		endpoint("PUT", "/job/{job}", jadwal.ActionEditJob, (*Server).putJob, doc{
			id: "putJob", tag: tagJob, headers: []string{"ETag", "Location"}, also: 201,
			summary: "Create or replace a job",
			detail: "A name that the caller has no job of creates one. Otherwise the body takes the place of the whole definition: what it leaves out has its default, " +
				"and secret headers that it leaves out are gone. The state stays; the definition that the job has already changes nothing. " +
				"After the answer no run starts from the old definition. A name in the body is that of the path; where the path has an id, it renames.",
			fails: []jadwal.Code{jadwal.CodeNameTaken, jadwal.CodeConflict, jadwal.CodeNotYetApplied},
		}),
		endpoint("PATCH", "/job/{job}", jadwal.ActionEditJob, (*Server).patchJob, doc{
			id: "patchJob", tag: tagJob, headers: []string{"ETag"},
			summary: "Change a job",
			detail: "The body is a merge patch (RFC 7396): null puts a member back to its default. After the answer no run starts from the old definition. " +
				"Secret headers that are not sent stay, while the origin of the target's URL does.",
			fails: []jadwal.Code{jadwal.CodeNameTaken, jadwal.CodeConflict, jadwal.CodeNotYetApplied},
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

		endpoint("POST", "/job/{job}/clone", jadwal.ActionEditJob, (*Server).cloneJob, doc{
			id: "cloneJob", tag: tagJob, once: true, status: 201, headers: []string{"ETag", "Location"},
			summary: "Make a new job with the same definition",
			detail:  "Secret headers included. The new job is the caller's, has no history, and is enabled unless paused is true.",
			fails:   []jadwal.Code{jadwal.CodeNameTaken},
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
			fails:   []jadwal.Code{jadwal.CodeNameTaken, jadwal.CodeConflict, jadwal.CodeNotYetApplied},
		}),

		endpoint("GET", "/job/{job}/run", jadwal.ActionReadJob, (*Server).listRuns, doc{
			id: "listRuns", tag: tagRun, headers: []string{"Link"},
			summary: "The runs of a job, newest first",
			detail:  shortPages,
		}),
		endpoint("GET", "/run", jadwal.ActionReadJob, (*Server).listAllRuns, doc{
			id: "listAllRuns", tag: tagRun, headers: []string{"Link"},
			summary: "The runs of all of the caller's jobs, newest first",
			detail: "Of up to 1,000 jobs; whoever has more names one with job. A superuser gets the runs of all jobs, deleted ones included; " +
				"job by its id may be a deleted one for its owner, too. " + shortPages,
			fails: []jadwal.Code{jadwal.CodeNotFound},
		}),
		endpoint("POST", "/job/{job}/run", jadwal.ActionOperateJob, (*Server).runJob, doc{
			id: "runJob", tag: tagRun, status: 201, once: true, headers: []string{"Location"},
			summary: "Run a job now",
			detail: "As soon as the run that is running has ended, even while the job is paused or completed. It is never skipped, " +
				"and does not count for max_runs.",
			fails: []jadwal.Code{jadwal.CodeConflict},
		}),
		endpoint("POST", "/run/{id}/cancel", jadwal.ActionOperateJob, (*Server).cancelRun, doc{
			id: "cancelRun", tag: tagRun,
			summary: "Cancel a run that has not ended",
			detail:  "One that runs, waits, waits for its next attempt, or is due. One that ends by itself meanwhile stays as it ended.",
			fails:   []jadwal.Code{jadwal.CodeConflict, jadwal.CodeNotYetApplied},
		}),
		endpoint("POST", "/run/{id}/retry", jadwal.ActionOperateJob, (*Server).retryRun, doc{
			id: "retryRun", tag: tagRun, status: 201, once: true, headers: []string{"Location"},
			summary: "Repeat a run that has ended",
			detail:  "As a new run, whatever became of the old one, of the job as it is now.",
			fails:   []jadwal.Code{jadwal.CodeConflict},
		}),
		endpoint("GET", "/run/{id}/attempt", jadwal.ActionReadJob, (*Server).listAttempts, doc{
			id: "listAttempts", tag: tagRun,
			summary: "The attempts of a run, the first one first",
		}),
		endpoint("GET", "/run/{id}", jadwal.ActionReadJob, (*Server).getRun, doc{
			id: "getRun", tag: tagRun,
			summary: "One run",
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
