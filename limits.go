package jadwal

import "time"

// The limits of what a user may ask for. This is the one table; the docs print it.
const (
	MaxBody         = 1 << 20 // bytes of a request's body
	MaxURI          = 8 << 10 // bytes of a request's target
	MaxSchedules    = 16      // of a job
	MaxTags         = 32
	MaxDescription  = 4096     // bytes
	MaxTargetURL    = 2048     // bytes
	MaxHeaders      = 64       // of a target
	MaxHeaderBytes  = 16 << 10 // of a target, names and values together
	MaxTargetBody   = 256 << 10
	MaxExpectStatus = 128      // bytes
	MaxExpectBody   = 256      // bytes
	MaxExpectSearch = 64 << 10 // bytes of an answer in which what is expected is looked for
	MaxTargetCA     = 64 << 10 // bytes of target.tls.ca
	MaxClientCert   = 16 << 10 // bytes of a client certificate, and of its key
	MaxRedirects    = 10       // that an attempt follows
	MaxPauseReason  = 512      // bytes
	MaxTimeout      = 24 * time.Hour
	MinTimeout      = time.Second
	DefaultTimeout  = 30 * time.Second
	MaxPage         = 500
	DefaultPage     = 50
	MaxOnceKey      = 255            // bytes of an Idempotency-Key
	OnceFor         = 24 * time.Hour // how long it holds
	MaxPreview      = 1000           // instants of one preview
	MaxMergedJobs   = 1000           // whose runs are listed together
	MaxOutput       = 64 << 10       // bytes kept of an answer
	Shards          = 1024           // that jobs are divided into: fixed for ever, since a job's id alone tells its shard

	MaxSecrets       = 100      // of a user
	MinSecretValue   = 4        // bytes: less cannot be told from what only looks like it
	MaxSecretValue   = 64 << 10 // bytes
	MaxSecretOrigins = 16
	MaxExpressions   = 64       // of a target's templates
	MaxFilledURL     = 8 << 10  // bytes
	MaxFilledHeaders = 64 << 10 // bytes, of the values that are templates
	MaxFilledBody    = 1 << 20  // bytes

	MaxRuns               = 1_000_000_000 // max_runs
	MaxJitter             = 24 * time.Hour
	MaxAttempts           = 100 // of a run
	MinBackoff            = time.Second
	MaxBackoff            = 24 * time.Hour
	MaxRetryDuration      = 30 * 24 * time.Hour
	MaxConcurrent         = 100 // runs of a job at once, with overlap allow
	MaxQueued             = 100 // planned runs of a job that wait for their turn
	MaxAsked              = 100 // runs of a job that somebody asked for and that are not final
	MaxCatchup            = 100 // missed instants of a job that are caught up at once
	MaxCatchupWindow      = 365 * 24 * time.Hour
	MaxPauseAfterFailures = 1000
)
