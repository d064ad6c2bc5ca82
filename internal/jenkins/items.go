package jenkins

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"railyard/internal/jenkins/configxml"
)

// Item names a job, a folder, or a view of a folder.
type Item struct {
	Name string // "deliver/hotel-api"; of a view its folder and its name
	View bool
}

func (i Item) String() string {
	if i.View {
		return "view " + i.Name
	}
	return i.Name
}

// path is the item's URL path.
func (i Item) path() string {
	if !i.View {
		return jobPath(i.Name)
	}
	return i.folder() + "/view/" + url.PathEscape(i.short())
}

// folder is the URL path of the folder that the item is in.
func (i Item) folder() string {
	if p := parent(i.Name); p != "" {
		return jobPath(p)
	}
	return ""
}

func (i Item) short() string {
	names := split(i.Name)
	return names[len(names)-1]
}

// Config reads the configuration of an item. ErrNotFound: there is none.
func (c *Controller) Config(ctx context.Context, i Item) (*configxml.Node, error) {
	var doc *configxml.Node
	var err error
	if i.View {
		doc, err = c.viewConfig(ctx, i)
	} else {
		doc, err = c.config(ctx, i.Name)
	}
	if err != nil {
		return nil, c.failed("read the configuration of "+i.String(), err)
	}
	return doc, nil
}

func (c *Controller) viewConfig(ctx context.Context, i Item) (*configxml.Node, error) {
	text, err := c.xml(ctx, http.MethodGet, i.path()+"/config.xml", nil)
	if err != nil {
		return nil, err
	}
	doc, err := configxml.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotJenkins, err)
	}
	return doc, nil
}

// Create makes an item; its folder must be there. That somebody else has just
// made a job of the name is no error.
func (c *Controller) Create(ctx context.Context, i Item, config []byte) error {
	var err error
	if i.View {
		_, err = c.xml(ctx, http.MethodPost, i.folder()+"/createView?name="+url.QueryEscape(i.short()), config)
	} else {
		err = c.create(ctx, i.Name, string(config))
	}
	if err != nil {
		return c.failed("create "+i.String(), err)
	}
	return nil
}

// Update replaces the configuration of an item, whose kind cannot change.
func (c *Controller) Update(ctx context.Context, i Item, config []byte) error {
	var err error
	if i.View {
		_, err = c.xml(ctx, http.MethodPost, i.path()+"/config.xml", config)
	} else {
		err = c.update(ctx, i.Name, string(config))
	}
	if err != nil {
		return c.failed("change "+i.String(), err)
	}
	return nil
}

// xml sends the document of a view, or none, and returns the answer.
func (c *Controller) xml(ctx context.Context, method, path string, doc []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(doc))
	if err != nil {
		return nil, err
	}
	if doc != nil {
		// Without a charset Jenkins reads ISO-8859-1.
		r.Header.Set("Content-Type", "application/xml;charset=utf-8")
	}
	answer, err := c.client.Do(r)
	if err != nil {
		return nil, clean(err)
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}

// absentPlugin adds to Jenkins' most general error what it most likely means.
func absentPlugin(err error, xml string) error {
	var refused *RefusedError
	if errors.As(err, &refused) && refused.Status >= 500 {
		// Jenkins does not say why: its page for unknown classes is that of every mishap.
		refused.Hint = "its log has the reason; most likely a plugin is absent" + pluginOf(xml)
	}
	return err
}
