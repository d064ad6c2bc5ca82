package jenkins

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/bndr/gojenkins"

	"railyard/internal/jenkins/configxml"
)

const folderXML = `<?xml version="1.0" encoding="UTF-8"?>
<com.cloudbees.hudson.plugins.folder.Folder><description/><properties/></com.cloudbees.hudson.plugins.folder.Folder>`

// EnsureJob makes the job fullName ("deliver/hotel-api") be what configXML says,
// and creates the folders above it. It compares by meaning and writes only what
// differs; changed tells whether it wrote. It is safe to repeat and to run twice
// at once.
func (c *Controller) EnsureJob(ctx context.Context, fullName string, configXML []byte) (changed bool, err error) {
	wanted, err := configxml.Parse(configXML)
	if err != nil {
		return false, c.failed("write job "+fullName, err)
	}
	names := strings.Split(fullName, "/")
	for depth := 1; depth < len(names); depth++ {
		folder := strings.Join(names[:depth], "/")
		_, err := c.config(ctx, folder)
		if errors.Is(err, ErrNotFound) {
			err = c.create(ctx, folder, folderXML)
			changed = changed || err == nil
		}
		if err != nil {
			return changed, c.failed("create folder "+folder, err)
		}
	}
	stored, err := c.config(ctx, fullName)
	switch {
	case errors.Is(err, ErrNotFound):
		err = c.create(ctx, fullName, string(configXML))
	case err != nil:
	case configxml.Covers(stored, wanted):
		return changed, nil
	default:
		err = c.update(ctx, fullName, string(configXML))
	}
	if err != nil {
		return changed, c.failed("write job "+fullName, err)
	}
	c.log.WithField("job", fullName).Info("wrote the job's configuration")
	return true, nil
}

// config reads the configuration of a job or folder.
func (c *Controller) config(ctx context.Context, fullName string) (*configxml.Node, error) {
	var text string
	err := guard(func() error {
		var err error
		text, err = c.object(fullName).GetConfig(ctx)
		return err
	})
	if err != nil {
		return nil, clean(err)
	}
	doc, err := configxml.Parse([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotJenkins, err)
	}
	return doc, nil
}

// create makes an item. That somebody else made it meanwhile is fine.
func (c *Controller) create(ctx context.Context, fullName, xml string) error {
	names := strings.Split(fullName, "/")
	var parents []string
	for _, p := range names[:len(names)-1] {
		parents = append(parents, url.PathEscape(p))
	}
	err := guard(func() error {
		_, err := c.library().CreateJobInFolder(ctx, xml, names[len(names)-1], parents...)
		return err
	})
	var refused *RefusedError
	if errors.As(err, &refused) && refused.Status == 400 {
		if _, e := c.config(ctx, fullName); e == nil {
			return nil
		}
	}
	return clean(absentPlugin(err, xml))
}

// plugins that the kinds of items come from.
var plugins = map[string]string{
	"flow-definition": "“Pipeline” (workflow-aggregator)",
	"com.cloudbees.hudson.plugins.folder.Folder":                            "“Folders” (cloudbees-folder)",
	"org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject": "“Pipeline: Multibranch” (workflow-multibranch)",
}

// pluginOf names the plugin that an item's kind comes from: ": install …".
func pluginOf(xml string) string {
	doc, err := configxml.Parse([]byte(xml))
	if err != nil || plugins[doc.Name] == "" {
		return ""
	}
	return ": install " + plugins[doc.Name] + " in Manage Jenkins › Plugins"
}

func (c *Controller) update(ctx context.Context, fullName, xml string) error {
	return clean(absentPlugin(guard(func() error { return c.object(fullName).UpdateConfig(ctx, xml) }), xml))
}

// object is a gojenkins job that sends nothing until asked to.
func (c *Controller) object(fullName string) *gojenkins.Job {
	return &gojenkins.Job{Jenkins: c.library(), Raw: new(gojenkins.JobResponse), Base: jobPath(fullName)}
}
