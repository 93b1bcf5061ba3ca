package engine

import "github.com/teknohole/jadwal"

// A definition is a job as its attempts need it.
type definition struct {
	job   jadwal.Job
	rules jadwal.Rules
	host  string // of the target: its origin
	bytes int

	templates *jadwal.Templates // nil: none
}

// compile makes a definition, with what read keeps of templates. Errors are
// those of schedule.Compile: the job was stored under rules that this program
// does not share.
func compile(job jadwal.Job, read *jadwal.TemplateCache) (*definition, error) {
	plan, err := job.Definition.Plan(job.CreatedAt, job.ID)
	if err != nil {
		return nil, err
	}
	return &definition{
		job: job, rules: job.Definition.Rules(plan, job.ID), host: job.Definition.Target.Origin(), bytes: size(&job.Definition),
		templates: read.Of(&job.Definition),
	}, nil
}

// size estimates the bytes of memory that a definition with its plan takes.
func size(d *jadwal.Definition) int {
	n := 1152 + len(d.Name) + len(d.Description) + len(d.Timezone) + 2*len(d.Target.URL) + 2*len(d.Target.Body) +
		len(d.Target.TLS.CA) + len(d.Target.TLS.ClientCert) + len(d.Target.TLS.ClientKey)
	for _, tag := range d.Tags {
		n += 16 + len(tag)
	}
	for _, secret := range d.Target.Secrets {
		n += 32 + len(secret.Name)
	}
	for name, value := range d.Target.Headers {
		n += 64 + len(name) + len(value)
	}
	return n + 256*len(d.Schedules)
}

// A cache keeps the definitions used last, bounded by bytes, in two
// generations: when the young one has half of the bytes it becomes the old
// one, and the old one goes. What is used moves to the young one.
type cache struct {
	limit      int
	young, old map[int64]*definition
	bytes      int // of young
}

func newCache(limit int) *cache {
	return &cache{limit: limit, young: map[int64]*definition{}, old: map[int64]*definition{}}
}

// get returns the definition of a job if it is of that version.
func (c *cache) get(jobID, version int64) *definition {
	d := c.young[jobID]
	if d == nil {
		if d = c.old[jobID]; d == nil {
			return nil
		}
		c.put(d)
	}
	if d.job.Version != version {
		return nil
	}
	return d
}

// put keeps d in place of any other version of its job. One with a limit of
// runs is not kept: it is read together with how many there were. Neither is one
// whose secret headers could not be opened: the master key may come.
func (c *cache) put(d *definition) {
	c.drop(d.job.ID)
	if d.rules.MaxRuns > 0 || d.job.Definition.Target.Locked {
		return
	}
	if c.bytes+d.bytes > c.limit/2 {
		c.young, c.old, c.bytes = map[int64]*definition{}, c.young, 0
	}
	c.young[d.job.ID] = d
	c.bytes += d.bytes
}

// drop forgets a job.
func (c *cache) drop(jobID int64) {
	if d := c.young[jobID]; d != nil {
		c.bytes -= d.bytes
		delete(c.young, jobID)
	}
	delete(c.old, jobID)
}
