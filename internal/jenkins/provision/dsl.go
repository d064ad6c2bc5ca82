package provision

import (
	"bytes"
	"fmt"
	"strings"

	"railyard/internal/jenkins/configxml"
)

// makers are the methods of the Job DSL that make an item of a kind.
var makers = map[string]string{
	"flow-definition":       "pipelineJob",
	"project":               "freeStyleJob",
	"hudson.model.ListView": "listView",
	"com.cloudbees.hudson.plugins.folder.Folder": "folder",
}

const dslHead = `// Folders, jobs and views of Railyard, for the Job DSL plugin. Written by railyard jenkins dsl: do not edit.
// It makes exactly what railyard jenkins sync makes: every item gets its XML as it is. Run it without the sandbox, for
// instance from configuration as code.
def exactly = { String xml ->
    return { root ->
        new ArrayList(root.children()).each { root.remove(it) }
        new groovy.util.XmlParser().parseText(xml).children().each { root.append(it) }
    }
}
`

// JobDSL is a script for the Job DSL plugin that makes the wanted items and the
// folders above them.
func JobDSL(wanted []Want) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(dslHead)
	for _, w := range inOrder(wanted) {
		doc, err := marked(w.Config)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.Item, err)
		}
		maker := makers[doc.Name]
		if maker == "" {
			return nil, fmt.Errorf("%s: the Job DSL has no word for <%s>", w.Item, doc.Name)
		}
		fmt.Fprintf(&out, "\n%s(%s) {\n    configure exactly(%s)\n}\n", maker, groovyString(w.Name), groovyString(withoutDeclaration(doc)))
	}
	return out.Bytes(), nil
}

// withoutDeclaration is the document for a parser that knows XML 1.0 only.
func withoutDeclaration(doc *configxml.Node) string {
	_, rest, _ := strings.Cut(string(doc.Bytes()), "\n")
	return rest
}

var groovyEscapes = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

// groovyString is a Groovy literal in which $ means nothing.
func groovyString(s string) string {
	quote := "'"
	if strings.Contains(s, "\n") {
		quote = "'''"
	}
	return quote + groovyEscapes.Replace(s) + quote
}
