package jenkinstest

import (
	"slices"
	"strconv"
	"strings"

	"railyard/internal/jenkins/configxml"
)

const (
	classMultibranch = "org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject"

	propertyConcurrent = "org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty"
	propertyParameters = "hudson.model.ParametersDefinitionProperty"
)

// Parameter is one parameter of a job or of an input.
type Parameter struct {
	Kind        string // "string", "boolean", "choice", "text" or "password"
	Name        string // "REF"
	Description string
	Default     string   // "main"; of a choice it is the first of Choices
	Choices     []string // of a choice
	Trim        bool
}

// Properties are what a Jenkinsfile says of its own job.
type Properties struct {
	Parameters              []Parameter
	DisableConcurrentBuilds bool
	AbortPrevious           bool // disableConcurrentBuilds(abortPrevious: true)
}

// def is the definition as Jenkins keeps it.
func (p Parameter) def() paramDef {
	kind := strings.ToUpper(p.Kind[:1]) + p.Kind[1:] + "ParameterDefinition"
	d := paramDef{kind: kind, name: p.Name, description: p.Description, value: p.Default, choices: p.Choices, trim: p.Trim}
	if p.Kind == "choice" && len(p.Choices) > 0 {
		d.value = p.Choices[0]
	}
	return d
}

// node is the definition in a config.xml.
func (d paramDef) node() *configxml.Node {
	leaf := func(name, text string) *configxml.Node { return &configxml.Node{Name: name, Text: text} }
	n := &configxml.Node{Name: "hudson.model." + d.kind, Kids: []*configxml.Node{
		leaf("name", d.name), leaf("description", d.description),
	}}
	if d.kind == "ChoiceParameterDefinition" {
		list := &configxml.Node{Name: "a", Attrs: []configxml.Attr{{Name: "class", Value: "string-array"}}}
		for _, c := range d.choices {
			list.Kids = append(list.Kids, leaf("string", c))
		}
		n.Kids = append(n.Kids, &configxml.Node{
			Name: "choices", Attrs: []configxml.Attr{{Name: "class", Value: "java.util.Arrays$ArrayList"}}, Kids: []*configxml.Node{list},
		})
		return n
	}
	n.Kids = append(n.Kids, leaf("defaultValue", d.value))
	if d.kind == "StringParameterDefinition" || d.kind == "TextParameterDefinition" {
		n.Kids = append(n.Kids, leaf("trim", strconv.FormatBool(d.trim)))
	}
	return n
}

// rewrite replaces the properties that a Jenkinsfile can name, in the document
// and in what was read from it.
func (c *config) rewrite(p Properties) {
	properties := c.doc.Child("properties")
	if properties == nil {
		properties = &configxml.Node{Name: "properties"}
		c.doc.Kids = append(c.doc.Kids, properties)
	}
	properties.Text = ""
	properties.Kids = slices.DeleteFunc(properties.Kids, func(n *configxml.Node) bool {
		return n.Name == propertyConcurrent || n.Name == propertyParameters
	})
	c.params, c.concurrent, c.abortPrevious = nil, !p.DisableConcurrentBuilds, p.DisableConcurrentBuilds && p.AbortPrevious
	if p.DisableConcurrentBuilds {
		properties.Kids = append(properties.Kids, &configxml.Node{Name: propertyConcurrent, Kids: []*configxml.Node{
			{Name: "abortPrevious", Text: strconv.FormatBool(p.AbortPrevious)},
		}})
	}
	if len(p.Parameters) > 0 {
		list := &configxml.Node{Name: "parameterDefinitions"}
		for _, parameter := range p.Parameters {
			d := parameter.def()
			c.params = append(c.params, d)
			list.Kids = append(list.Kids, d.node())
		}
		properties.Kids = append(properties.Kids, &configxml.Node{Name: propertyParameters, Kids: []*configxml.Node{list}})
	}
}

// readDefinition reads where a Pipeline's script is.
func (c *config) readDefinition(root *configxml.Node) {
	definition := root.Child("definition")
	if definition == nil {
		definition = root.Child("factory") // of a multibranch Pipeline
	}
	c.script = definition.Value("script")
	scm := definition.Child("scm")
	if scm == nil {
		scm = root.Child("sources").Child("data").Child("jenkins.branch.BranchSource").Child("source")
	}
	if scm == nil {
		return
	}
	s := &SCM{ScriptPath: orElse(definition.Value("scriptPath"), "Jenkinsfile"), URL: scm.Value("remote"), Branch: "master"}
	if u := scm.Child("userRemoteConfigs").Child("hudson.plugins.git.UserRemoteConfig").Value("url"); u != "" {
		s.URL = u
	}
	if b := scm.Child("branches").Child("hudson.plugins.git.BranchSpec").Value("name"); b != "" {
		s.Branch = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(b, "*/"), "origin/"), "refs/heads/")
	}
	c.scm = s
}

// typed is the value with its JSON type.
func (p param) typed() any {
	if p.Kind == "BooleanParameterValue" {
		return p.Value == "true"
	}
	return p.Value
}
