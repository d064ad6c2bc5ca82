package fleet

import (
	"errors"
	"fmt"
	"strings"
)

// Override is what a plan asks of an indicator beyond the topology: stricter limits, never looser ones. A field left out
// keeps the topology's value.
type Override struct {
	Indicator string `yaml:"indicator" json:"indicator"` // its name in the topology: "5xx"

	Hard        *bool     `yaml:"hard,omitempty" json:"hard,omitempty"`               // true: roll back instead of stop
	Weight      *int      `yaml:"weight,omitempty" json:"weight,omitempty"`           // percent; larger is stricter
	Warmup      *Duration `yaml:"warmup,omitempty" json:"warmup,omitempty"`           // shorter is stricter
	Limit       *float64  `yaml:"limit,omitempty" json:"limit,omitempty"`             // of a ratio, percent; smaller is stricter
	Max         *float64  `yaml:"max,omitempty" json:"max,omitempty"`                 // of a value; smaller is stricter
	Min         *float64  `yaml:"min,omitempty" json:"min,omitempty"`                 // of a value; larger is stricter
	Consecutive *int      `yaml:"consecutive,omitempty" json:"consecutive,omitempty"` // of a value; smaller is stricter
	Total       *int      `yaml:"total,omitempty" json:"total,omitempty"`             // of a value; smaller is stricter
	Increase    *float64  `yaml:"increase,omitempty" json:"increase,omitempty"`       // of a comparison or a rank; smaller is stricter
	DeadZone    *float64  `yaml:"dead_zone,omitempty" json:"dead_zone,omitempty"`     // of a comparison or a rank; smaller is stricter
	Full        *float64  `yaml:"full,omitempty" json:"full,omitempty"`               // of a saturation; nearer is stricter
	Horizon     *Duration `yaml:"horizon,omitempty" json:"horizon,omitempty"`         // of a saturation; longer is stricter
	MaxFailed   *int      `yaml:"max_failed,omitempty" json:"max_failed,omitempty"`   // of a report; smaller is stricter
	MinPassed   *int      `yaml:"min_passed,omitempty" json:"min_passed,omitempty"`   // of a report; larger is stricter
}

// Tighten returns the indicators with a plan's overrides applied. It refuses, all at once and naming both values, what would
// be looser than the topology, what the indicator's judge does not have, and indicators that do not exist; indicators is
// then returned as it was.
func Tighten(indicators []Indicator, overrides []Override) ([]Indicator, error) {
	tight := make([]Indicator, len(indicators))
	copy(tight, indicators)
	var problems []error
	for _, o := range overrides {
		found := false
		for n := range tight {
			if tight[n].Name != o.Indicator {
				continue
			}
			found = true
			changed, err := tight[n].tighten(o)
			if err != nil {
				problems = append(problems, err)
			}
			tight[n] = changed
		}
		if !found {
			problems = append(problems, fmt.Errorf("indicator %q: the topology declares no such indicator; known: %s", o.Indicator, strings.Join(namesOf(indicators), ", ")))
		}
	}
	if len(problems) > 0 {
		return indicators, errors.Join(problems...)
	}
	return tight, nil
}

// Strictest returns the indicators with every override applied that is stricter, and the topology's own value wherever one is
// not: a plan that was accepted under a looser topology does not loosen the one of today. It refuses nothing; overrides of
// indicators that are not there are passed over.
func Strictest(indicators []Indicator, overrides []Override) []Indicator {
	if len(overrides) == 0 {
		return indicators
	}
	strict := make([]Indicator, len(indicators))
	copy(strict, indicators)
	for _, o := range overrides {
		for n := range strict {
			if strict[n].Name == o.Indicator {
				strict[n], _ = strict[n].tighten(o)
			}
		}
	}
	return strict
}

func namesOf(indicators []Indicator) []string {
	names := make([]string, 0, len(indicators))
	for _, i := range indicators {
		names = append(names, i.Name)
	}
	return names
}
