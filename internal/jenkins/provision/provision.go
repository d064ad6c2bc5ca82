// Package provision makes the folders, jobs and views of a controller be those
// that the topology asks for.
//
// Compare reads what is there and says what differs; Apply writes that and reads
// it again. What Railyard has written carries Mark in its description, which
// Jenkins keeps however it stores the rest: an item of the same name without the
// mark belongs to somebody else and is left alone, unless it is adopted.
// Documents are compared by meaning (configxml), so a second run finds nothing to
// do. Nothing is ever deleted.
package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"railyard/internal/jenkins"
	"railyard/internal/jenkins/configxml"
)

// Mark in an item's description says that Railyard writes it.
const Mark = "Managed by Railyard: changes made here are overwritten."

// Want is an item as it shall be.
type Want struct {
	jenkins.Item
	Config []byte // its XML; Compare adds Mark to the description
}

// Action is what an item needs.
type Action string

// The actions.
const (
	Create  Action = "create"
	Update  Action = "update"
	Nothing Action = "nothing" // it is as it shall be
	Foreign Action = "foreign" // it differs, but is not Railyard's
)

// Change is an item and what it needs.
type Change struct {
	Want
	Action Action
	Diff   []configxml.Difference // of an Update, and of what is Foreign

	adopted bool
}

const folderXML = `<com.cloudbees.hudson.plugins.folder.Folder><description/><properties/></com.cloudbees.hudson.plugins.folder.Folder>`

// Compare says what the wanted items and the folders above them need, folders
// first and views last. Folders that are there are used as they are. Adopted are
// names of items that become Railyard's although they are not.
func Compare(ctx context.Context, c *jenkins.Controller, wanted []Want, adopted []string) ([]Change, error) {
	var out []Change
	for _, w := range inOrder(wanted) {
		doc, err := marked(w.Config)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w, err)
		}
		w.Config = doc.Bytes()
		change := Change{Want: w}
		stored, err := c.Config(ctx, w.Item)
		switch {
		case errors.Is(err, jenkins.ErrNotFound):
			change.Action = Create
		case err != nil:
			return nil, err
		case isFolder(doc) && isFolder(stored):
			change.Action = Nothing
		default:
			change.Diff, change.adopted = configxml.Diff(stored, doc), slices.Contains(adopted, w.Name)
			change.Action = decide(stored, change.Diff, change.adopted)
		}
		out = append(out, change)
	}
	return out, nil
}

// decide is the rule of ownership.
func decide(stored *configxml.Node, diff []configxml.Difference, adopted bool) Action {
	switch {
	case !owned(stored) && !adopted:
		return Foreign
	case len(diff) == 0:
		return Nothing
	}
	return Update
}

// Apply writes what is to be created or updated, in the order of Compare, and
// reads each again: Jenkins leaves out, without a word, what it has no plugin
// for. An item that stopped being Railyard's since is left alone. It goes on
// after an error and returns all of them.
func Apply(ctx context.Context, c *jenkins.Controller, changes []Change) error {
	var failures []error
	for _, change := range changes {
		if change.Action != Create && change.Action != Update {
			continue
		}
		if err := apply(ctx, c, change); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

func apply(ctx context.Context, c *jenkins.Controller, change Change) error {
	if err := write(ctx, c, change); err != nil {
		return err
	}
	stored, err := c.Config(ctx, change.Item)
	if err != nil {
		return err
	}
	wanted, err := configxml.Parse(change.Config)
	if err != nil {
		return err
	}
	if left := configxml.Diff(stored, wanted); len(left) > 0 {
		return fmt.Errorf("%s was written, but Jenkins keeps %s otherwise: the plugin for it is absent, or somebody changed it at the same moment", change.Item, left[0].Path)
	}
	return nil
}

func write(ctx context.Context, c *jenkins.Controller, change Change) error {
	if change.Action == Create {
		return c.Create(ctx, change.Item, change.Config)
	}
	stored, err := c.Config(ctx, change.Item)
	if err != nil {
		return err
	}
	if !owned(stored) && !change.adopted {
		return fmt.Errorf("%s is not Railyard's any more: somebody took the line %q out of its description meanwhile", change.Item, Mark)
	}
	return c.Update(ctx, change.Item, change.Config)
}

// inOrder adds the folders above the items, and sorts: folders from the top down,
// then jobs, then views.
func inOrder(wanted []Want) []Want {
	folders := map[string]bool{}
	var first, jobs, views []Want
	for _, w := range wanted {
		names := strings.Split(w.Name, "/")
		for n := 1; n < len(names); n++ {
			folder := strings.Join(names[:n], "/")
			if !folders[folder] {
				folders[folder] = true
				first = append(first, Want{jenkins.Item{Name: folder}, []byte(folderXML)})
			}
		}
		if w.View {
			views = append(views, w)
		} else {
			jobs = append(jobs, w)
		}
	}
	byName := func(a, b Want) int { return strings.Compare(a.Name, b.Name) }
	for _, list := range [][]Want{first, jobs, views} {
		slices.SortFunc(list, byName) // a folder's name is a prefix of those below it
	}
	return append(append(first, jobs...), views...)
}

// marked is the document with Mark in its description.
func marked(config []byte) (*configxml.Node, error) {
	doc, err := configxml.Parse(config)
	if err != nil {
		return nil, err
	}
	if !owned(doc) {
		doc.Set("description", strings.TrimSpace(doc.Value("description")+"\n"+Mark))
	}
	return doc, nil
}

func owned(doc *configxml.Node) bool { return strings.Contains(doc.Value("description"), Mark) }

func isFolder(doc *configxml.Node) bool {
	return doc.Name == "com.cloudbees.hudson.plugins.folder.Folder"
}
