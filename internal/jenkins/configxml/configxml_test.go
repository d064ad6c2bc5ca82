package configxml_test

import (
	"testing"

	"railyard/internal/jenkins/configxml"
)

const wanted = `<project>
  <description/>
  <properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>
    <hudson.model.StringParameterDefinition><name>REF</name><defaultValue>main</defaultValue></hudson.model.StringParameterDefinition>
  </parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties>
  <scm class="hudson.scm.NullSCM"/>
  <builders><hudson.tasks.Shell><command>make &amp;&amp; make test
</command></hudson.tasks.Shell></builders>
</project>`

func parse(t *testing.T, doc string) *configxml.Node {
	t.Helper()
	n, err := configxml.Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCovers(t *testing.T) {
	cases := []struct {
		name, stored string
		want         bool
	}{
		{"what Jenkins wrote back covers what was sent", string(parse(t, wanted).Bytes()), true},
		{"defaults that Jenkins added are no difference", `<?xml version='1.1' encoding='UTF-8'?>
<project><actions/><keepDependencies>false</keepDependencies><properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>
<hudson.model.StringParameterDefinition><name>REF</name><defaultValue>main</defaultValue><trim>false</trim></hudson.model.StringParameterDefinition>
</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties><scm class="hudson.scm.NullSCM"/><canRoam>true</canRoam>
<builders><hudson.tasks.Shell><command>make &amp;&amp; make test
</command><configuredLocalRules/></hudson.tasks.Shell></builders></project>`, true},
		{"a plugin's version is no difference", `<project><properties><hudson.model.ParametersDefinitionProperty plugin="x@1"><parameterDefinitions>
<hudson.model.StringParameterDefinition><name>REF</name><defaultValue>main</defaultValue></hudson.model.StringParameterDefinition>
</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties><scm class="hudson.scm.NullSCM"/>
<builders><hudson.tasks.Shell><command>make &amp;&amp; make test
</command></hudson.tasks.Shell></builders></project>`, true},
		{"a changed command is a difference", `<project><properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>
<hudson.model.StringParameterDefinition><name>REF</name><defaultValue>main</defaultValue></hudson.model.StringParameterDefinition>
</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties><scm class="hudson.scm.NullSCM"/>
<builders><hudson.tasks.Shell><command>make</command></hudson.tasks.Shell></builders></project>`, false},
		{"a builder that somebody added is a difference", `<project><properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>
<hudson.model.StringParameterDefinition><name>REF</name><defaultValue>main</defaultValue></hudson.model.StringParameterDefinition>
</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties><scm class="hudson.scm.NullSCM"/>
<builders><hudson.tasks.Shell><command>make &amp;&amp; make test
</command></hudson.tasks.Shell><hudson.tasks.Shell><command>id</command></hudson.tasks.Shell></builders></project>`, false},
		{"another kind of job is a difference", `<flow-definition/>`, false},
		{"a missing parameter is a difference", `<project><properties/><scm class="hudson.scm.NullSCM"/>
<builders><hudson.tasks.Shell><command>make &amp;&amp; make test
</command></hudson.tasks.Shell></builders></project>`, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := configxml.Covers(parse(t, c.stored), parse(t, wanted)); got != c.want {
				t.Errorf("Covers = %v, want %v", got, c.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, doc := range map[string]string{
		"an empty document": "", "two roots": "<a/><b/>", "an open element": "<a><b></a>",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := configxml.Parse([]byte(doc)); err == nil {
				t.Error("parsed, want an error")
			}
		})
	}
}
