package jenkinstest

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"railyard/internal/jenkins/configxml"
)

// item is a folder or a job. The root of the tree is a folder without a name.
// Everything in it is guarded by controller.mu.
type item struct {
	name   string
	parent *item // nil: the root
	dir    string
	config *config
	kids   map[string]*item // of a folder
	next   int64            // number of the next build
	builds map[int64]*build
	order  []int64          // build numbers, ascending
	active int              // builds that hold the job: from pending to completed
	gone   bool             // deleted while a build of it was running
	views  map[string]*view // of a folder, besides the one that shows all
	branch string           // of a multibranch Pipeline: "feature/x"; "" otherwise
}

func (i *item) isFolder() bool {
	return i.parent == nil || i.config.class == classFolder || i.config.class == classMultibranch
}

// fullName is "deliver/hotel-api".
func (i *item) fullName() string {
	if i.parent == nil || i.parent.parent == nil {
		return i.name
	}
	return i.parent.fullName() + "/" + i.name
}

// path is the item's URL path without context path: "job/deliver/job/hotel-api/".
func (i *item) path() string {
	if i.parent == nil {
		return ""
	}
	return i.parent.path() + "job/" + escapeSegment(i.name) + "/"
}

func (i *item) children() []*item {
	names := slices.Sorted(maps.Keys(i.kids))
	out := make([]*item, len(names))
	for n, name := range names {
		out[n] = i.kids[name]
	}
	return out
}

// newest goes through the builds from the newest to the oldest.
func (i *item) newest() iter.Seq[*build] {
	return func(yield func(*build) bool) {
		for _, n := range slices.Backward(i.order) {
			if !yield(i.builds[n]) {
				return
			}
		}
	}
}

// permalinks name a build by what it was.
var permalinks = map[string]func(*build) bool{
	"lastBuild":             func(*build) bool { return true },
	"lastCompletedBuild":    func(b *build) bool { return !b.isBuilding() },
	"lastStableBuild":       func(b *build) bool { return !b.isBuilding() && b.Result == Success },
	"lastSuccessfulBuild":   func(b *build) bool { return !b.isBuilding() && (b.Result == Success || b.Result == Unstable) },
	"lastUnstableBuild":     func(b *build) bool { return !b.isBuilding() && b.Result == Unstable },
	"lastFailedBuild":       func(b *build) bool { return !b.isBuilding() && b.Result == Failure },
	"lastUnsuccessfulBuild": func(b *build) bool { return !b.isBuilding() && b.Result != Success },
}

func (i *item) permalink(name string) *build {
	match, ok := permalinks[name]
	if !ok {
		return nil
	}
	for b := range i.newest() {
		if match(b) {
			return b
		}
	}
	return nil
}

func (i *item) firstBuild() *build {
	if len(i.order) == 0 {
		return nil
	}
	return i.builds[i.order[0]]
}

// estimate is the mean duration of the last three successful builds; -1 without any.
func (i *item) estimate() time.Duration {
	var sum, n time.Duration
	for b := range i.newest() {
		if n == 3 {
			break
		}
		if !b.inProgress() && (b.Result == Success || b.Result == Unstable) {
			sum, n = sum+b.Duration, n+1
		}
	}
	if n == 0 {
		return -1
	}
	return sum / n
}

// find walks a full name down from the root; nil when there is no such item.
func (c *controller) find(fullName string) *item {
	at := c.root
	for _, name := range strings.Split(fullName, "/") {
		if at = at.kids[name]; at == nil {
			return nil
		}
	}
	return at
}

// userError is a mistake of the user: Jenkins answers 400 with it in X-Error.
type userError string

func (e userError) Error() string { return string(e) }

const badNameCharacters = `?*/\%!@#$^&|<>[]:;`

// checkName applies Jenkins' rule for names of new items.
func checkName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return userError("No name is specified")
	case name == "." || name == "..":
		return userError(fmt.Sprintf("“%s” is not an allowed name", name))
	}
	for _, r := range name {
		if strings.ContainsRune(badNameCharacters, r) {
			return userError(fmt.Sprintf("‘%c’ is an unsafe character", r))
		}
		if r < 0x20 {
			return userError("No control code is allowed")
		}
	}
	return nil
}

// create adds an item to a folder and saves it.
func (c *controller) create(in *item, name string, doc []byte) (*item, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if in.kids[name] != nil {
		return nil, userError(fmt.Sprintf("A job already exists with the name ‘%s’", name))
	}
	return c.add(in, name, doc)
}

// add is create for a name that nobody chose: that of a branch.
func (c *controller) add(in *item, name string, doc []byte) (*item, error) {
	conf, err := parseConfig(doc)
	if err != nil {
		return nil, err
	}
	drop(conf.doc, c.o.Drops)
	if slices.Contains(c.o.Without, pluginOf[conf.class]) {
		return nil, unknownClass(conf.doc.Name)
	}
	it := newItem(in, name, conf)
	if err := os.MkdirAll(it.dir, 0o755); err != nil {
		return nil, fmt.Errorf("create item %s: %w", name, err)
	}
	if err := c.saveConfig(it); err != nil {
		return nil, err
	}
	in.kids[name] = it
	return it, nil
}

// drop removes elements by name.
func drop(n *configxml.Node, names []string) {
	n.Kids = slices.DeleteFunc(n.Kids, func(k *configxml.Node) bool { return slices.Contains(names, k.Name) })
	for _, k := range n.Kids {
		drop(k, names)
	}
}

func newItem(in *item, name string, conf *config) *item {
	it := &item{
		name: name, parent: in, dir: filepath.Join(in.dir, "jobs", escapeSegment(name)), config: conf,
		kids: map[string]*item{}, builds: map[int64]*build{}, next: 1,
	}
	if in.parent != nil && in.config.class == classMultibranch {
		it.branch, _ = url.PathUnescape(name) // it was escaped here
	}
	return it
}

func (c *controller) saveConfig(it *item) error {
	return c.writeFile(filepath.Join(it.dir, "config.xml"), it.config.doc.Bytes())
}

// reconfigure replaces a job's configuration; its kind cannot change.
func (c *controller) reconfigure(it *item, doc []byte) error {
	conf, err := parseConfig(doc)
	if err != nil {
		return err
	}
	if conf.class != it.config.class {
		return fmt.Errorf("expecting class %s but got class %s instead", it.config.class, conf.class)
	}
	it.config = conf
	if err := c.saveConfig(it); err != nil {
		return err
	}
	c.maintain()
	return nil
}

// delete removes an item with all below it: queued items are cancelled and
// running builds stopped.
func (c *controller) delete(it *item) error {
	for _, kid := range it.children() {
		if err := c.delete(kid); err != nil {
			return err
		}
	}
	for _, q := range slices.Clone(c.queue) {
		if q.job == it {
			c.leave(q, true)
		}
	}
	for _, b := range it.builds {
		if b.inProgress() {
			b.stop(errStopped{"the deletion of the job"})
		}
	}
	delete(it.parent.kids, it.name)
	it.gone = true
	if err := os.RemoveAll(it.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("delete %s: %w", it.fullName(), err)
	}
	return nil
}
