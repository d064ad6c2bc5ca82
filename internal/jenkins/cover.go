package jenkins

import (
	"cmp"
	"slices"
	"strings"
)

// query is one request for the newest builds of jobs: those of a folder and of
// the folders in it down to some level, or those of one job.
type query struct {
	at     string   // "deliver"; "" is the controller's top
	levels int      // how far below at the deepest job is; 0: at is the job itself
	depth  int      // newest builds of each job
	jobs   []string // that it is made for; there may be others
}

// cover makes at most limit queries that show every job to the depth it needs.
// Jobs of one folder share a query. When there are too many folders, the two that
// have most of their path in common are asked through the folder above both. A
// job that needs a far deeper look than the others gets a query of its own as
// long as there is room.
func cover(need map[string]int, limit int) []query {
	var out []query
	if job, deep := deepest(need); deep && limit > 1 {
		out = append(out, query{at: job, depth: need[job], jobs: []string{job}})
		limit--
	}
	folders := map[string]*query{}
	for job, depth := range need {
		if len(out) > 0 && job == out[0].at {
			continue
		}
		folder := parent(job)
		q := folders[folder]
		if q == nil {
			q = &query{at: folder, levels: 1}
			folders[folder] = q
		}
		q.depth, q.jobs = max(q.depth, depth), append(q.jobs, job)
	}
	var groups []query
	for _, q := range folders {
		slices.Sort(q.jobs)
		if len(q.jobs) == 1 {
			q.at, q.levels = q.jobs[0], 0
		}
		groups = append(groups, *q)
	}
	slices.SortFunc(groups, func(a, b query) int { return cmp.Compare(a.at, b.at) })
	for len(groups) > limit {
		groups = joinNearest(groups)
	}
	return append(out, groups...)
}

// deepest is the job that needs the deepest look, and whether that is far deeper
// than any other job does.
func deepest(need map[string]int) (job string, far bool) {
	second := 0
	for j, depth := range need {
		switch {
		case job == "" || depth > need[job] || depth == need[job] && j < job:
			if job != "" {
				second = max(second, need[job])
			}
			job = j
		default:
			second = max(second, depth)
		}
	}
	return job, second > 0 && need[job] > 4*second
}

// joinNearest joins the neighbours with the longest common path; groups are in order.
func joinNearest(groups []query) []query {
	best, length := 0, -1
	for i := range len(groups) - 1 {
		if n := len(split(common(groups[i].at, groups[i+1].at))); n > length {
			best, length = i, n
		}
	}
	a, b := groups[best], groups[best+1]
	at := common(a.at, b.at)
	if a.levels == 0 && at == a.at || b.levels == 0 && at == b.at {
		at = parent(at)
	}
	joined := query{at: at, depth: max(a.depth, b.depth), jobs: append(slices.Clone(a.jobs), b.jobs...)}
	for _, job := range joined.jobs {
		joined.levels = max(joined.levels, len(split(job))-len(split(at)))
	}
	return append(append(slices.Clone(groups[:best]), joined), groups[best+2:]...)
}

// parent is the folder of a job: "deliver" for "deliver/hotel-api".
func parent(name string) string {
	at := strings.LastIndexByte(name, '/')
	return name[:max(at, 0)]
}

// common is the folder that two names share: "a/b" for "a/b/c" and "a/b/d/e".
func common(a, b string) string {
	x, y := split(a), split(b)
	n := 0
	for n < len(x) && n < len(y) && x[n] == y[n] {
		n++
	}
	return strings.Join(x[:n], "/")
}

func split(name string) []string {
	if name == "" {
		return nil
	}
	return strings.Split(name, "/")
}
