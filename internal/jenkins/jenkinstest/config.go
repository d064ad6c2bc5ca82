package jenkinstest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"railyard/internal/jenkins/configxml"
)

// Classes of items, as the remote API names them.
const (
	classFolder    = "com.cloudbees.hudson.plugins.folder.Folder"
	classFreestyle = "hudson.model.FreeStyleProject"
	classPipeline  = "org.jenkinsci.plugins.workflow.job.WorkflowJob"
)

// rootElements maps the root of a config.xml to the class it makes.
var rootElements = map[string]string{
	"project":         classFreestyle,
	"flow-definition": classPipeline,
	classFolder:       classFolder,
	classMultibranch:  classMultibranch,
}

// pluginOf are the plugins that classes come from.
var pluginOf = map[string]string{classPipeline: "workflow-job", classFolder: "cloudbees-folder", classMultibranch: "workflow-multibranch"}

func unknownClass(name string) error {
	return fmt.Errorf("com.thoughtworks.xstream.mapper.CannotResolveClassException: %s", name)
}

// config is what a config.xml says, as far as the stand-in acts on it.
type config struct {
	class       string
	description string
	disabled    bool
	concurrent  bool
	quietPeriod int // seconds; -1: the global one
	params      []paramDef
	shells      []shellStep
	script      string // of a Pipeline whose script stands in the job
	scm         *SCM   // of a Pipeline whose script is in a repository

	webhook *webhookTrigger // nil for none

	abortPrevious bool // a newer build supersedes the one that runs
	doc           *configxml.Node
}

// paramDef is one parameter definition.
type paramDef struct {
	kind        string // "StringParameterDefinition"
	name        string
	description string
	value       string   // default
	choices     []string // of a ChoiceParameterDefinition
	trim        bool
}

// shellStep is one "Execute shell" build step.
type shellStep struct {
	command        string
	unstableReturn int // exit code that means UNSTABLE; 0: none
}

// parseConfig reads a config.xml. Its errors are those that make Jenkins answer 500.
func parseConfig(doc []byte) (*config, error) {
	root, err := configxml.Parse(doc)
	if err != nil {
		return nil, err
	}
	class, known := rootElements[root.Name]
	if !known {
		return nil, unknownClass(root.Name)
	}
	c := &config{class: class, description: root.Value("description"), doc: root, quietPeriod: -1}
	c.disabled = isTrue(root.Value("disabled"))
	c.concurrent = class == classPipeline || isTrue(root.Value("concurrentBuild"))
	if q := root.Value("quietPeriod"); q != "" {
		if c.quietPeriod, err = strconv.Atoi(strings.TrimSpace(q)); err != nil {
			return nil, fmt.Errorf("quietPeriod: %w", err)
		}
	}
	if properties := root.Child("properties"); properties != nil {
		for _, p := range properties.Kids {
			c.readProperty(p)
		}
	}
	c.readDefinition(root)
	c.readTriggers(root)
	if builders := root.Child("builders"); builders != nil {
		for _, b := range builders.Kids {
			if b.Name != "hudson.tasks.Shell" {
				return nil, fmt.Errorf("the stand-in has no build step %s", b.Name)
			}
			step := shellStep{command: b.Value("command")}
			step.unstableReturn, _ = strconv.Atoi(strings.TrimSpace(b.Value("unstableReturn")))
			c.shells = append(c.shells, step)
		}
	}
	return c, nil
}

func (c *config) readProperty(p *configxml.Node) {
	switch p.Name {
	case propertyConcurrent:
		c.concurrent, c.abortPrevious = false, isTrue(p.Value("abortPrevious"))
	case propertyParameters:
		if defs := p.Child("parameterDefinitions"); defs != nil {
			for _, d := range defs.Kids {
				c.params = append(c.params, readParam(d))
			}
		}
	}
}

func readParam(d *configxml.Node) paramDef {
	p := paramDef{
		kind:        strings.TrimPrefix(d.Name, "hudson.model."),
		name:        strings.TrimSpace(d.Value("name")),
		description: d.Value("description"),
		value:       d.Value("defaultValue"),
		trim:        isTrue(d.Value("trim")),
	}
	if p.kind == "ChoiceParameterDefinition" {
		var collect func(n *configxml.Node)
		collect = func(n *configxml.Node) {
			if n.Name == "string" {
				p.choices = append(p.choices, n.Text)
			}
			for _, k := range n.Kids {
				collect(k)
			}
		}
		if choices := d.Child("choices"); choices != nil {
			collect(choices)
		}
		if len(p.choices) > 0 {
			p.value = p.choices[0]
		}
	}
	return p
}

// accept turns a submitted value into the one a build gets.
func (p paramDef) accept(value string) (param, error) {
	switch p.kind {
	case "BooleanParameterDefinition":
		return param{p.name, "BooleanParameterValue", strconv.FormatBool(strings.EqualFold(value, "true"))}, nil
	case "ChoiceParameterDefinition":
		if !slices.Contains(p.choices, value) {
			return param{}, fmt.Errorf("Illegal choice for parameter %s: %s", p.name, value)
		}
	case "PasswordParameterDefinition":
		return param{p.name, "PasswordParameterValue", value}, nil
	case "TextParameterDefinition":
		return param{p.name, "TextParameterValue", value}, nil
	}
	if p.trim {
		value = strings.TrimSpace(value)
	}
	return param{p.name, "StringParameterValue", value}, nil
}

func (c *config) param(name string) (paramDef, bool) {
	for _, p := range c.params {
		if p.name == name {
			return p, true
		}
	}
	return paramDef{}, false
}

// param is one parameter of a queue item or build.
type param struct {
	Name  string // "RAILYARD_DEPLOYMENT"
	Kind  string // "StringParameterValue"
	Value string
}

// setDisabled writes the flag into the document, so that it is saved.
func (c *config) setDisabled(disabled bool) {
	c.disabled = disabled
	text := strconv.FormatBool(disabled)
	if n := c.doc.Child("disabled"); n != nil {
		n.Text = text
		return
	}
	c.doc.Kids = append(c.doc.Kids, &configxml.Node{Name: "disabled", Text: text})
}

func isTrue(s string) bool { return strings.EqualFold(strings.TrimSpace(s), "true") }
