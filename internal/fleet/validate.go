package fleet

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"railyard/internal/yamlfile"
)

// checker collects everything that is wrong with a topology.
type checker struct {
	t     *Topology
	doc   *yamlfile.Document
	found yamlfile.Problems

	environments, sbus, repositories, pools, apps []string // known names, sorted

	shared  map[string][]sharedAt // "PROD box-1" → its entries
	unsound map[string]bool       // environments whose strategy has problems, so that nothing can be resolved with it
}

func validate(t *Topology, doc *yamlfile.Document) error {
	c := &checker{
		t: t, doc: doc,
		unsound:      map[string]bool{},
		shared:       map[string][]sharedAt{},
		environments: sortedKeys(t.index.environments),
		sbus:         sortedKeys(t.index.sbus),
		repositories: sortedKeys(t.index.repositories),
		pools:        sortedKeys(t.index.pools),
		apps:         sortedKeys(t.index.apps),
	}
	c.checkEnvironments()
	c.checkSBUs()
	c.checkRepositories()
	c.checkPools()
	c.checkOrder()
	c.checkApps()
	c.checkApprovals()
	c.checkCalendar()
	c.checkIndicators()
	c.checkCapacities()
	return c.found.Err()
}

// say notes a problem of a subject (`pool "hotel-api"`) at a path of the file.
func (c *checker) say(path, subject, what, fix string) {
	if subject != "" {
		what = subject + ": " + what
	}
	c.found = append(c.found, c.doc.Problem(path, what, fix))
}

// called names a thing of the file: by its name, or by its place when it has none.
func called(kind, name, path string) string {
	if name == "" {
		return strings.TrimPrefix(path, "$.")
	}
	return fmt.Sprintf("%s %q", kind, name)
}

// Names become parts of paths, labels and ids.
var (
	plainName      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
	repositoryName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}(/[A-Za-z0-9][A-Za-z0-9._-]{0,62})*$`)
)

// name checks that a thing has a well-formed name that no thing before it has.
func (c *checker) name(path, kind, name string, form *regexp.Regexp, seen map[string]bool) {
	switch {
	case name == "":
		c.say(path+".name", called(kind, name, path), "it has no name", "write name: and a name")
	case !form.MatchString(name):
		c.say(path+".name", called(kind, name, path), "the name is not usable in paths and labels",
			"begin with a letter or digit; letters, digits, '.', '_' and '-', at most 63")
	case seen[name]:
		c.say(path+".name", called(kind, name, path), "the name is used twice", "give one of them another name")
	}
	seen[name] = true
}

// ref checks that a field names a known thing of a kind.
func (c *checker) ref(path, subject, field, kind, name string, known []string) bool {
	if name == "" {
		c.say(path, subject, field+" is missing", yamlfile.Choose("", known))
		return false
	}
	if _, ok := slices.BinarySearch(known, name); !ok {
		c.say(path, subject, fmt.Sprintf("%s: unknown %s %q", field, kind, name), yamlfile.Choose(name, known))
		return false
	}
	return true
}

// refs checks a list of names.
func (c *checker) refs(path, subject, field, kind string, names, known []string) {
	for i, name := range names {
		at := fmt.Sprintf("%s.%s[%d]", path, field, i)
		if c.ref(at, subject, field, kind, name, known) && slices.Contains(names[:i], name) {
			c.say(at, subject, fmt.Sprintf("%s: %q is given twice", field, name), "keep one of the two")
		}
	}
}

// oneOf checks a value against those that exist, which are listed in their order.
func (c *checker) oneOf(path, subject, field, value string, known ...string) bool {
	switch {
	case value == "":
		c.say(path, subject, field+" is missing", yamlfile.Choose("", known))
	case !slices.Contains(known, value):
		c.say(path, subject, fmt.Sprintf("%s: unknown value %q", field, value), yamlfile.Choose(value, known))
	default:
		return true
	}
	return false
}

func (c *checker) checkEnvironments() {
	if len(c.t.Environments) == 0 {
		c.say("$.environments", "", "there are no environments", "list them in the order a Coach passes them: FAT, UAT, PROD")
	}
	seen := map[string]bool{}
	production := ""
	for i, env := range c.t.Environments {
		path := fmt.Sprintf("$.environments[%d]", i)
		c.name(path, "environment", env.Name, plainName, seen)
		if production != "" && !env.Production {
			c.say(path, called("environment", env.Name, path),
				fmt.Sprintf("it stands behind %s, which is production, so a Coach would reach production first", production),
				"list environments in the order a Coach passes them, production last")
		}
		if env.Production {
			production = env.Name
		}
		before := len(c.found)
		c.checkStrategy(path+".strategy", called("environment", env.Name, path), env.Strategy, env.Production)
		c.unsound[env.Name] = len(c.found) > before
	}
}

func (c *checker) checkSBUs() {
	seen := map[string]bool{}
	for i, sbu := range c.t.SBUs {
		c.name(fmt.Sprintf("$.sbus[%d]", i), "SBU", sbu.Name, plainName, seen)
	}
}

func (c *checker) checkCapacities() {
	seen := map[string]bool{}
	for i, stock := range c.t.Capacities {
		at := fmt.Sprintf("$.capacities[%d]", i)
		c.name(at, "capacity", stock.Name, plainName, seen)
		if stock.Servers < 1 {
			c.say(at+".servers", called("capacity", stock.Name, at), fmt.Sprintf("%d servers", stock.Servers), "write how many plans may book, 1 or more")
		}
	}
}

// checkOrder refuses pools that wait for each other. Each cycle is named once.
func (c *checker) checkOrder() {
	pools, at := slices.Clone(c.t.Pools), c.t.index.pools
	for {
		_, left := sortPools(pools, at)
		cycle := findCycle(pools, at, left)
		if cycle == nil {
			return
		}
		i := at[cycle[0]]
		entry := slices.Index(c.t.Pools[i].After, cycle[1])
		what := fmt.Sprintf("after: the pools wait for each other: %s", strings.Join(cycle, " after "))
		if len(cycle) == 2 {
			what = "after: the pool waits for itself"
		}
		c.say(fmt.Sprintf("$.pools[%d].after[%d]", i, entry), fmt.Sprintf("pool %q", cycle[0]), what, "remove one of these relations")
		pools[i].After = slices.DeleteFunc(slices.Clone(pools[i].After), func(name string) bool { return name == cycle[1] })
	}
}
