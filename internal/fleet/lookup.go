package fleet

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// SiteInfo is everything about one site in one place.
type SiteInfo struct {
	Ref         SiteRef
	Environment Environment
	Pool        Pool
	Site        Site
	Apps        []App       // hosted by the pool, sorted by name
	Strategy    Resolved    // StrategyFor(Ref)
	Neighbours  []Neighbour // the sites that share servers with it, by name
}

// Neighbour is a site that shares servers with another one.
type Neighbour struct {
	Ref      SiteRef
	Site     Site
	Strategy Resolved
}

// index finds things by name, and holds what is asked often and never changes.
type index struct {
	environments map[string]int
	sbus         map[string]int
	repositories map[string]int
	pools        map[string]int
	apps         map[string]int
	appsOf       map[string][]App // pool → apps, sorted by name
	order        []string         // pools, topologically
	sharing      map[string][]int // "PROD box-1" → the pools that share that server, by name
}

func newIndex(t *Topology) *index {
	x := &index{
		environments: positions(t.Environments, func(e Environment) string { return e.Name }),
		sbus:         positions(t.SBUs, func(s SBU) string { return s.Name }),
		repositories: positions(t.Repositories, func(r Repository) string { return r.Name }),
		pools:        positions(t.Pools, func(p Pool) string { return p.Name }),
		apps:         positions(t.Apps, func(a App) string { return a.Name }),
		appsOf:       map[string][]App{},
	}
	for _, name := range sortedKeys(x.apps) {
		app := t.Apps[x.apps[name]]
		x.appsOf[app.Pool] = append(x.appsOf[app.Pool], app)
	}
	x.order, _ = sortPools(t.Pools, x.pools)
	for _, name := range sortedKeys(x.pools) {
		for _, site := range t.Pools[x.pools[name]].Sites {
			for _, server := range site.Servers {
				if server.Shared {
					x.share(site.Environment+" "+server.Name, x.pools[name])
				}
			}
		}
	}
	return x
}

func (x *index) share(server string, pool int) {
	if x.sharing == nil {
		x.sharing = map[string][]int{}
	}
	x.sharing[server] = append(x.sharing[server], pool)
}

// neighbours are the sites that share servers with a site of a pool.
func (t *Topology) neighbours(x *index, pool string, env Environment, site Site) (found []Neighbour) {
	if len(x.sharing) == 0 {
		return nil
	}
	seen := map[int]bool{x.pools[pool]: true}
	for _, server := range site.Servers {
		if !server.Shared {
			continue
		}
		for _, i := range x.sharing[env.Name+" "+server.Name] {
			if seen[i] {
				continue
			}
			seen[i] = true
			for _, other := range t.Pools[i].Sites {
				if other.Environment == env.Name {
					name := t.Pools[i].Name
					balanced := SiteInfo{Site: other, Apps: x.appsOf[name]}.Balanced()
					found = append(found, Neighbour{Ref: SiteRef{Environment: env.Name, Pool: name}, Site: other, Strategy: resolve(env, other, balanced)})
				}
			}
		}
	}
	slices.SortFunc(found, func(a, b Neighbour) int { return strings.Compare(a.Ref.Pool, b.Ref.Pool) })
	return found
}

// positions maps names to their first place in items.
func positions[T any](items []T, name func(T) string) map[string]int {
	at := make(map[string]int, len(items))
	for i, item := range items {
		if _, seen := at[name(item)]; !seen {
			at[name(item)] = i
		}
	}
	return at
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Indexed prepares a Topology that was put together by hand for many look-ups, as Load does, and returns it. It may not change
// afterwards.
func Indexed(t *Topology) *Topology {
	t.index = newIndex(t)
	return t
}

func (t *Topology) find() *index {
	if t.index != nil {
		return t.index
	}
	return newIndex(t)
}

func pick[T any](items []T, at map[string]int, name string) (T, bool) {
	if i, ok := at[name]; ok {
		return items[i], true
	}
	var none T
	return none, false
}

// Environment finds an environment by its name: "PROD".
func (t *Topology) Environment(name string) (Environment, bool) {
	return pick(t.Environments, t.find().environments, name)
}

// SBU finds a business unit by its name: "hotel".
func (t *Topology) SBU(name string) (SBU, bool) { return pick(t.SBUs, t.find().sbus, name) }

// Controller is the Jenkins of an SBU.
func (t *Topology) Controller(sbu string) string {
	s, _ := t.SBU(sbu)
	return cmp.Or(s.Controller, defaultController)
}

// Repository finds a repository by the name the code host gives it: "hotel/hotel-api".
func (t *Topology) Repository(name string) (Repository, bool) {
	return pick(t.Repositories, t.find().repositories, name)
}

// Pool finds a pool by its name: "hotel-api".
func (t *Topology) Pool(name string) (Pool, bool) { return pick(t.Pools, t.find().pools, name) }

// App finds an application by its name: "hotel-api".
func (t *Topology) App(name string) (App, bool) { return pick(t.Apps, t.find().apps, name) }

// Capacity finds a stock of servers by its name: "standard". There are few of them.
func (t *Topology) Capacity(name string) (Capacity, bool) {
	for _, c := range t.Capacities {
		if c.Name == name {
			return c, true
		}
	}
	return Capacity{}, false
}

// AppsOf are the applications a pool hosts, sorted by name. They change together on a server.
func (t *Topology) AppsOf(pool string) []App { return slices.Clone(t.find().appsOf[pool]) }

// Site finds a pool in one environment.
func (t *Topology) Site(ref SiteRef) (SiteInfo, bool) {
	x := t.find()
	pool, ok := pick(t.Pools, x.pools, ref.Pool)
	if !ok {
		return SiteInfo{}, false
	}
	env, ok := pick(t.Environments, x.environments, ref.Environment)
	if !ok {
		return SiteInfo{}, false
	}
	for _, site := range pool.Sites {
		if site.Environment == ref.Environment {
			info := SiteInfo{
				Ref: ref, Environment: env, Pool: pool, Site: site,
				Apps: slices.Clone(x.appsOf[ref.Pool]), Neighbours: t.neighbours(x, ref.Pool, env, site),
			}
			info.Strategy = resolve(env, site, info.Balanced())
			return info, true
		}
	}
	return SiteInfo{}, false
}

// Follows reports whether a push to a branch of a repository is a delivery: the repository is known and one of its
// patterns (path.Match) matches. "release/*" follows release/1.4, not release/1.4/fix.
func (t *Topology) Follows(repository, branch string) bool {
	repo, ok := t.Repository(repository)
	return ok && slices.ContainsFunc(repo.Branches, func(pattern string) bool {
		matched, err := path.Match(pattern, branch)
		return err == nil && matched
	})
}

// PoolOrder lists all pools so that each comes behind the pools it is `after`; where `after` says nothing, by name.
func (t *Topology) PoolOrder() []string { return slices.Clone(t.find().order) }

// IndicatorsFor lists the indicators that judge a site in a stage ("smoke", "baking", "rolling", "watch"), in the
// order of the file.
func (t *Topology) IndicatorsFor(site SiteRef, stage string) []Indicator {
	var judged []Indicator
	for _, i := range t.Indicators {
		if anyOr(i.Pools, site.Pool) && anyOr(i.Environments, site.Environment) && anyOr(i.Stages, stage) && t.hosts(site.Pool, i.Kinds) {
			judged = append(judged, i)
		}
	}
	return judged
}

// hosts reports whether a pool hosts an app of one of the kinds; none given admits every pool.
func (t *Topology) hosts(pool string, kinds []Kind) bool {
	return len(kinds) == 0 || slices.ContainsFunc(t.find().appsOf[pool], func(a App) bool { return slices.Contains(kinds, a.Kind) })
}

// anyOr reports whether an optional restriction admits name: an empty one admits all.
func anyOr(names []string, name string) bool { return len(names) == 0 || slices.Contains(names, name) }
