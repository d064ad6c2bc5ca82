package jenkinstest

import (
	"fmt"
	"maps"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"railyard/internal/jenkins/configxml"
	"railyard/internal/jenkins/jenkinstest/export"
)

// view is a list view of a folder. Guarded by controller.mu.
type view struct {
	name string
	doc  *configxml.Node
}

const classListView = "hudson.model.ListView"

// parseView reads a view's XML. Its errors are those that make Jenkins answer 500.
func parseView(name string, doc []byte) (*view, error) {
	root, err := configxml.Parse(doc)
	if err != nil {
		return nil, err
	}
	if root.Name != classListView {
		return nil, unknownClass(root.Name)
	}
	if expr := root.Value("includeRegex"); expr != "" {
		if _, err := regexp.Compile(expr); err != nil {
			return nil, fmt.Errorf("includeRegex: %w", err)
		}
	}
	if n := root.Child("name"); n != nil {
		n.Text = name
	} else {
		root.Kids = append([]*configxml.Node{{Name: "name", Text: name}}, root.Kids...)
	}
	return &view{name, root}, nil
}

func viewFile(in *item, name string) string {
	return filepath.Join(in.dir, "views", escapeSegment(name)+".xml")
}

func (c *controller) saveView(in *item, v *view) error {
	if err := os.MkdirAll(filepath.Join(in.dir, "views"), 0o755); err != nil {
		return fmt.Errorf("save view %s: %w", v.name, err)
	}
	if err := c.writeFile(viewFile(in, v.name), v.doc.Bytes()); err != nil {
		return err
	}
	if in.views == nil {
		in.views = map[string]*view{}
	}
	in.views[v.name] = v
	return nil
}

// loadViews reads the views of a folder from disk.
func (c *controller) loadViews(in *item) error {
	files, err := filepath.Glob(filepath.Join(in.dir, "views", "*.xml"))
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("load a view: %w", err)
		}
		root, err := configxml.Parse(text)
		if err != nil {
			return fmt.Errorf("load view %s: %w", filepath.Base(file), err)
		}
		v, err := parseView(root.Value("name"), text)
		if err == nil {
			err = c.saveView(in, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// createView is [folder]/createView?name=X with XML.
func (q *request) createView(in *item) {
	if !q.post() || !q.allowed(viewCreate) {
		return
	}
	name := q.r.Form.Get("name")
	mediaType, _, _ := mime.ParseMediaType(q.r.Header.Get("Content-Type"))
	switch err := checkName(name); {
	case err != nil:
		q.failure(err.Error())
	case name == "all" || in.views[name] != nil:
		q.failure(fmt.Sprintf("A view already exists with the name “%s”", name))
	case mediaType != "application/xml" && mediaType != "text/xml":
		q.failure("No mode given")
	default:
		q.putView(in, name)
	}
}

func (q *request) putView(in *item, name string) {
	v, err := parseView(name, q.body)
	if err == nil {
		err = q.c.saveView(in, v)
	}
	if err != nil {
		q.oops(http.StatusInternalServerError, err.Error())
		return
	}
	q.w.WriteHeader(http.StatusOK)
}

// view is what is below view/NAME of a folder.
func (q *request) view(in *item, v *view) {
	if q.isAPI() {
		q.json(q.viewBean(in, v, 1))
		return
	}
	switch q.next() {
	case "":
		q.folderPage(in)
	case "config.xml":
		if q.r.Method != http.MethodPost {
			q.w.Header().Set("Content-Type", "application/xml")
			_, _ = q.w.Write(v.doc.Bytes()) // into memory
			return
		}
		if q.allowed(viewConfigure) {
			q.putView(in, v.name)
		}
	case "doDelete":
		if !q.post() || !q.allowed(viewDelete) {
			return
		}
		delete(in.views, v.name)
		if err := os.Remove(viewFile(in, v.name)); err != nil {
			q.oops(http.StatusInternalServerError, err.Error())
			return
		}
		q.redirect(in.path())
	default:
		q.notFound()
	}
}

// viewBeans lists a folder's views, with the one that shows all.
func (q *request) viewBeans(in *item) (all *export.Object, list []*export.Object) {
	all = obj("hudson.model.AllView", export.ShowAt(2, "name", "all"), export.ShowAt(2, "url", q.urlBase()+in.path()))
	list = []*export.Object{all}
	for _, name := range slices.Sorted(maps.Keys(in.views)) {
		list = append(list, q.viewBean(in, in.views[name], 2))
	}
	return all, list
}

func (q *request) viewBean(in *item, v *view, visibility int) *export.Object {
	return obj(classListView,
		export.Show("description", orNull(v.doc.Value("description"))),
		export.Show("jobs", func() any {
			var out []*export.Object
			for _, it := range v.items(in) {
				out = append(out, q.itemBean(it))
			}
			return out
		}),
		export.ShowAt(visibility, "name", v.name),
		export.ShowAt(visibility, "url", q.urlBase()+in.path()+"view/"+escapeSegment(v.name)+"/"))
}

// items are the jobs that a view of the folder shows: those it names, and those
// whose name, relative to the folder, matches its expression.
func (v *view) items(in *item) []*item {
	named := map[string]bool{}
	if names := v.doc.Child("jobNames"); names != nil {
		for _, n := range names.Kids {
			named[n.Text] = n.Name == "string"
		}
	}
	expr, _ := regexp.Compile("^(?:" + v.doc.Value("includeRegex") + ")$") // parseView has checked it
	var out []*item
	var walk func(at *item, prefix string)
	walk = func(at *item, prefix string) {
		for _, it := range at.children() {
			name := strings.TrimPrefix(prefix+"/"+it.name, "/")
			if named[name] || v.doc.Value("includeRegex") != "" && expr.MatchString(name) {
				out = append(out, it)
			}
			if isTrue(v.doc.Value("recurse")) {
				walk(it, name)
			}
		}
	}
	walk(in, "")
	return out
}
