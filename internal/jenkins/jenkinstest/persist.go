package jenkinstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// savedQueue is the queue as it is on disk, like Jenkins' queue.xml: live items
// and the counter, but not the items that have left.
type savedQueue struct {
	Next  int64         `json:"next"`
	Items []savedQueued `json:"items"`
}

type savedQueued struct {
	ID     int64     `json:"id"`
	Job    string    `json:"job"` // "deliver/hotel-api"
	Params []param   `json:"params"`
	Causes []Cause   `json:"causes"`
	Since  time.Time `json:"since"`
	Due    time.Time `json:"due"`
}

const (
	queueFile = "queue.json"
	buildFile = "build.json"
	nextFile  = "nextBuildNumber"
)

func (c *controller) saveQueue() {
	saved := savedQueue{Next: c.nextQueueID}
	for _, q := range c.queue {
		saved.Items = append(saved.Items, savedQueued{q.id, q.job.fullName(), q.params, q.causes, q.since, q.due})
	}
	c.saveJSON(filepath.Join(c.o.Dir, queueFile), saved)
}

func (c *controller) saveBuild(b *build) {
	if b.job.gone {
		return
	}
	c.saveJSON(filepath.Join(b.dir(), buildFile), b.record)
	if err := c.writeFile(filepath.Join(b.job.dir, nextFile), []byte(strconv.FormatInt(b.job.next, 10))); err != nil {
		c.o.Log.WithError(err).Error("save the next build number")
	}
}

// saveJSON logs what it cannot save and goes on, as Jenkins does.
func (c *controller) saveJSON(path string, v any) {
	text, err := json.MarshalIndent(v, "", " ")
	if err == nil {
		err = c.writeFile(path, text)
	}
	if err != nil {
		c.o.Log.WithError(err).Error("save the state")
	}
}

// writeFile replaces a file in one step, so that a crash leaves the old or the new one.
func (c *controller) writeFile(path string, content []byte) error {
	if c.dead {
		return nil
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, content, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}

// load reads items, builds and queue from disk.
func (c *controller) load() error {
	if err := errors.Join(os.RemoveAll(c.scripts()), os.MkdirAll(c.scripts(), 0o755)); err != nil {
		return fmt.Errorf("clear the scripts: %w", err)
	}
	if err := c.loadFolder(c.root); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(c.o.Dir, queueFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("load the queue: %w", err)
	}
	var saved savedQueue
	if err := json.Unmarshal(text, &saved); err != nil {
		return fmt.Errorf("load the queue: %w", err)
	}
	c.nextQueueID = saved.Next
	for _, s := range saved.Items {
		if job := c.find(s.Job); job != nil {
			c.queue = append(c.queue, &queueItem{
				id: s.ID, job: job, params: s.Params, causes: s.Causes, since: s.Since, due: s.Due, state: stateWaiting,
			})
		}
	}
	return nil
}

func (c *controller) loadFolder(folder *item) error {
	if err := c.loadViews(folder); err != nil {
		return err
	}
	dirs, err := subdirectories(filepath.Join(folder.dir, "jobs"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		name, err := url.PathUnescape(dir)
		if err != nil {
			return fmt.Errorf("load item %q: %w", dir, err)
		}
		it := newItem(folder, name, nil)
		doc, err := os.ReadFile(filepath.Join(it.dir, "config.xml"))
		if errors.Is(err, fs.ErrNotExist) {
			continue // its creation was cut off
		}
		if err != nil {
			return fmt.Errorf("load item %s: %w", name, err)
		}
		if it.config, err = parseConfig(doc); err != nil {
			return fmt.Errorf("load item %s: %w", name, err)
		}
		folder.kids[name] = it
		if err := c.loadBuilds(it); err != nil {
			return err
		}
		if err := c.loadFolder(it); err != nil {
			return err
		}
	}
	return nil
}

func (c *controller) loadBuilds(it *item) error {
	if text, err := os.ReadFile(filepath.Join(it.dir, nextFile)); err == nil {
		if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			it.next = n
		}
	}
	dirs, err := subdirectories(filepath.Join(it.dir, "builds"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		text, err := os.ReadFile(filepath.Join(it.dir, "builds", dir, buildFile))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		b := &build{job: it}
		if err == nil {
			err = json.Unmarshal(text, &b.record)
		}
		if err != nil {
			return fmt.Errorf("load build %s of %s: %w", dir, it.fullName(), err)
		}
		c.settle(b)
		it.builds[b.Number] = b
		it.order = append(it.order, b.Number)
		it.next = max(it.next, b.Number+1)
	}
	slices.Sort(it.order)
	return nil
}

// settle completes a build that was cut off by a crash. Jenkins takes a record
// without a result for a failure. A Pipeline is resumed in its place.
func (c *controller) settle(b *build) {
	if b.State == stateBuilding && b.job.config.class == classPipeline && c.o.Engine != nil {
		var err error
		if b.console, err = createConsole(b.dir(), c.secrets()); err == nil {
			b.resumed = true
			return
		}
		c.o.Log.WithError(err).Errorf("%s #%d cannot be resumed", b.job.fullName(), b.Number)
	}
	b.console = openConsole(b.dir())
	if b.State == stateCompleted {
		return
	}
	killMarked(b.Cookie)
	b.State = stateCompleted
	if b.Result == "" {
		b.Result = Failure
	}
	c.saveBuild(b)
}

func subdirectories(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", filepath.Base(dir), err)
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out, nil
}
