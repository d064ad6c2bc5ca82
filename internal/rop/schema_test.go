package rop_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"railyard/internal/fleet"
	"railyard/internal/rop"
)

func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(rop.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("rop.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("rop.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// asJSON is a YAML file as an editor gives it to a schema.
func asJSON(t testing.TB, data []byte) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestTheSchemaTakesEveryGoodPlan(t *testing.T) {
	schema := compiled(t)
	files := []string{"testdata/good.yaml", "testdata/full.yaml", "../../docs/examples/rop.yaml"}
	for _, file := range files {
		data := read(t, file)
		if _, err := rop.LoadPlan(file, data); err != nil {
			t.Errorf("the loader: %v", err)
		}
		if err := schema.Validate(asJSON(t, data)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// Every broken plan is refused by the schema, but for those whose mistake is in how fields or files relate.
func TestTheSchemaRefusesWhatItCanSee(t *testing.T) {
	unseen := []string{
		// the topology or the branch says it
		"app_of_another_repository", "app_of_another_sbu", "booking_too_many", "booking_unknown", "branch_of_another", "database_not_declared",
		"environment_skipped", "environment_unknown", "indicator_looser", "indicator_unknown", "requires_unknown_app", "resource_of_another_kind", "rollback_order_wrong", "unknown_app", "unknown_sbu",
		// another field says it
		"booking_without_window", "indicator_twice", "requires_contradict", "requires_impossible_range", "requires_itself", "resource_elsewhere", "resource_twice",
		"rollback_order_incomplete", "rollback_order_unknown", "window_backwards",
	}
	schema := compiled(t)
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		if name == "syntax_error" {
			continue // no YAML, so nothing a schema is asked about
		}
		err := schema.Validate(asJSON(t, read(t, file)))
		if refused, expected := err != nil, !slices.Contains(unseen, name); refused != expected {
			t.Errorf("%s: refused %v, expected %v", name, refused, expected)
		}
	}
}

// The schema and the structs have the same fields at every level.
func TestTheSchemaKnowsEveryField(t *testing.T) {
	var schema struct {
		Properties  map[string]json.RawMessage `json:"properties"`
		Definitions map[string]json.RawMessage `json:"definitions"`
	}
	if err := json.Unmarshal([]byte(rop.Schema()), &schema); err != nil {
		t.Fatal(err)
	}
	level := func(raw json.RawMessage) (names []string) {
		var of struct {
			Properties map[string]json.RawMessage `json:"properties"`
			Items      json.RawMessage            `json:"items"`
			OneOf      []json.RawMessage          `json:"oneOf"`
		}
		if err := json.Unmarshal(raw, &of); err != nil {
			t.Fatal(err)
		}
		if of.Items != nil {
			if err := json.Unmarshal(of.Items, &of); err != nil {
				t.Fatal(err)
			}
		}
		for name := range of.Properties {
			names = append(names, name)
		}
		for _, one := range of.OneOf {
			var branch struct {
				Properties map[string]json.RawMessage `json:"properties"`
			}
			if err := json.Unmarshal(one, &branch); err != nil {
				t.Fatal(err)
			}
			for name := range branch.Properties {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	resources := schema.Properties["resources"]
	var kinds struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(resources, &kinds); err != nil {
		t.Fatal(err)
	}
	top := []string{}
	for name := range schema.Properties {
		top = append(top, name)
	}
	slices.Sort(top)
	for _, c := range []struct {
		of   reflect.Type
		have []string
	}{
		{reflect.TypeFor[rop.Plan](), top},
		{reflect.TypeFor[rop.Rollback](), level(schema.Properties["rollback"])},
		{reflect.TypeFor[rop.Requirement](), level(schema.Properties["requires"])},
		{reflect.TypeFor[fleet.Override](), level(schema.Properties["indicators"])},
		{reflect.TypeFor[rop.Booking](), level(schema.Properties["bookings"])},
		{reflect.TypeFor[rop.Resources](), level(resources)},
		{reflect.TypeFor[rop.Migration](), level(kinds.Properties["database"])},
		{reflect.TypeFor[rop.Slot](), level(schema.Definitions["slots"])},
		{reflect.TypeFor[rop.Window](), level(schema.Definitions["window"])},
	} {
		var want []string
		for i := range c.of.NumField() {
			name, _, _ := strings.Cut(c.of.Field(i).Tag.Get("yaml"), ",")
			want = append(want, name)
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, c.have); diff != "" {
			t.Errorf("%s (-struct +schema): %s", c.of, diff)
		}
	}
}

func TestTheSchemaInTheDocsIsTheOneThatIsServed(t *testing.T) {
	const file = "../../docs/rop.schema.json"
	if *update {
		if err := os.WriteFile(file, []byte(rop.Schema()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(rop.Schema(), string(read(t, file))); diff != "" {
		t.Error(diff)
	}
}
