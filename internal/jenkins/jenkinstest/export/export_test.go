package export_test

import (
	"testing"

	"railyard/internal/jenkins/jenkinstest/export"
)

func build(n int) *export.Object {
	return &export.Object{Class: "Build", Fields: []export.Field{
		export.ShowAt(2, "number", n), export.Show("result", nil),
	}}
}

func job() *export.Object {
	return &export.Object{Class: "Job", Fields: []export.Field{
		export.ShowAt(999, "name", "j"),
		export.Show("builds", []*export.Object{build(3), build(2), build(1)}),
		export.ShowAt(-2, "allBuilds", export.List{Len: 3, At: func(i int) *export.Object { return build(3 - i) }}),
	}}
}

func TestExport(t *testing.T) {
	cases := []struct{ name, tree, want string }{
		{"depth 0 shows nested objects by their summary", "", `{"_class":"Job","name":"j","builds":[{"_class":"Build","number":3},{"_class":"Build","number":2},{"_class":"Build","number":1}]}`},
		{"tree names what is wanted, at any level", "builds[result]{0,1}", `{"_class":"Job","builds":[{"_class":"Build","result":null}]}`},
		{"a range is from, up to but without, to", "builds[number]{1,2}", `{"_class":"Job","builds":[{"_class":"Build","number":2}]}`},
		{"a range with one number is one element", "builds[number]{2}", `{"_class":"Job","builds":[{"_class":"Build","number":1}]}`},
		{"an open range ends with the list", "builds[number]{2,}", `{"_class":"Job","builds":[{"_class":"Build","number":1}]}`},
		{"a range beyond the end is empty", "builds[number]{5,9}", `{"_class":"Job","builds":[]}`},
		{"unknown names vanish", "nothing,name", `{"_class":"Job","name":"j"}`},
		{"the same name twice is merged", "builds[number]{0,1},builds[result]", `{"_class":"Job","builds":[{"_class":"Build","number":3,"result":null}]}`},
		{"a star is every field", "builds[*]{0,1}", `{"_class":"Job","builds":[{"_class":"Build","number":3,"result":null}]}`},
		{"allBuilds is seen through tree only", "allBuilds[number]{0,1}", `{"_class":"Job","allBuilds":[{"_class":"Build","number":3}]}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := export.ByDepth(0)
			if c.tree != "" {
				var err error
				if p, err = export.Tree(c.tree); err != nil {
					t.Fatal(err)
				}
			}
			got, err := export.JSON(job(), p, false)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestMalformedTree(t *testing.T) {
	for _, spec := range []string{"", "a[", "a[b", "a]", "a[b]]", "a,,b", "a{", "a{x}", "a{}", "a{1,x}", "[a]", "a{-1,2}"} {
		if _, err := export.Tree(spec); err == nil {
			t.Errorf("tree=%q parsed, want an error", spec)
		}
	}
}
