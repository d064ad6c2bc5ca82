package fleet

// Class is the class of an indicator (mission: the complete monitoring system).
type Class string

// The five classes of indicators.
const (
	ClassServer    Class = "server"    // the machine: load, memory, disks
	ClassContainer Class = "container" // the process around the application: restarts, heap, threads, readiness
	ClassApp       Class = "app"       // what the application does: failures, latency, exceptions
	ClassDatabase  Class = "database"  // what it does to its database: connections, slow queries
	ClassATP       Class = "atp"       // tests of what was delivered: URL and functional tests, the test team
)

// Scope says of what an indicator gives one number.
type Scope string

// The scopes.
const (
	ScopeServer Scope = "server" // of each judged server
	ScopeBatch  Scope = "batch"  // of all judged servers together, and of those not yet rolled together
	ScopePool   Scope = "pool"   // of the whole site, whatever its servers run: "connections of the pool's database"
)

// Direction says which way an indicator gets worse.
type Direction string

// The directions.
const (
	WorseHigher Direction = "higher" // failures, latency, load
	WorseLower  Direction = "lower"  // hit rates, orders per minute, free memory
)

// Indicator is one quantity by which a roll is judged: what it is, where it holds, who reads it, and one judge with its
// limits. A hard indicator rolls back; a soft one stops. docs/indicators.md teaches how to declare and tune them.
type Indicator struct {
	Name  string `yaml:"name"`  // "5xx"
	Class Class  `yaml:"class"` // "app"
	Hard  bool   `yaml:"hard,omitempty"`

	// Kinds, Pools, Environments and Stages restrict where it is judged; empty = everywhere. Kinds are those of the apps a
	// pool hosts: an indicator with kinds: [api] is the default of every pool that hosts an API.
	Kinds        []Kind   `yaml:"kinds,omitempty"`
	Pools        []string `yaml:"pools,omitempty"`
	Environments []string `yaml:"environments,omitempty"`
	Stages       []string `yaml:"stages,omitempty"` // "smoke", "baking", "rolling", "watch"; empty = all

	Scope Scope     `yaml:"scope,omitempty"` // default server; see In
	Worse Direction `yaml:"worse,omitempty"` // default higher; see Gets
	// Warmup is how long after its exposure a server is not judged by this indicator: caches are cold, compilers busy. Counts
	// and measurements begin behind it.
	Warmup Duration `yaml:"warmup,omitempty"`
	// Weight is what a soft breach weighs, percent. The breached soft indicators of a look stop the roll when their weights
	// add up to 100 or more; a lighter sum is a warning. Default 100: a breach stops by itself. See Weighs.
	Weight int    `yaml:"weight,omitempty"`
	Source Source `yaml:"source,omitempty"` // who reads it; see ReadBy

	// Exactly one of the following says how it is judged.
	Ratio      *RatioIndicator      `yaml:"ratio,omitempty"`      // failures of attempts
	Value      *ValueIndicator      `yaml:"value,omitempty"`      // a measured value against limits and baselines
	Check      *Check               `yaml:"check,omitempty"`      // a URL test
	Rank       *RankIndicator       `yaml:"rank,omitempty"`       // measured values against those of others, by their ranks
	Saturation *SaturationIndicator `yaml:"saturation,omitempty"` // something that fills up
	Report     *ReportIndicator     `yaml:"report,omitempty"`     // what somebody else found: passed and failed
}

// The judges an indicator can name.
const (
	JudgeRatio      = "ratio"
	JudgeValue      = "value"
	JudgeCheck      = "check"
	JudgeRank       = "rank"
	JudgeSaturation = "saturation"
	JudgeReport     = "report"
)

// Judges lists the judges that the indicator names, in their order: one, in a topology that was loaded.
func (i Indicator) Judges() []string {
	var named []string
	for _, j := range []struct {
		name  string
		given bool
	}{
		{JudgeRatio, i.Ratio != nil}, {JudgeValue, i.Value != nil}, {JudgeCheck, i.Check != nil},
		{JudgeRank, i.Rank != nil}, {JudgeSaturation, i.Saturation != nil}, {JudgeReport, i.Report != nil},
	} {
		if j.given {
			named = append(named, j.name)
		}
	}
	return named
}

// JudgedBy names the indicator's judge; "" when it names none or several.
func (i Indicator) JudgedBy() string {
	if named := i.Judges(); len(named) == 1 {
		return named[0]
	}
	return ""
}

// In is the scope, with its default.
func (i Indicator) In() Scope {
	if i.Scope == "" {
		return ScopeServer
	}
	return i.Scope
}

// Gets is the direction in which the indicator gets worse. Where the file does not say, a value that has only a
// smallest good value gets worse downwards, and everything else upwards.
func (i Indicator) Gets() Direction {
	switch {
	case i.Worse != "":
		return i.Worse
	case i.Value != nil && i.Value.Min != nil && i.Value.Max == nil:
		return WorseLower
	}
	return WorseHigher
}

// Weighs is the weight, with its default: 100.
func (i Indicator) Weighs() int {
	if i.Weight == 0 {
		return FullWeight
	}
	return i.Weight
}

// FullWeight is the weight at which breached soft indicators stop a roll, percent.
const FullWeight = 100

// Compares is the comparison of a ratio or a value; nil when there is none.
func (i Indicator) Compares() *Compare {
	switch {
	case i.Ratio != nil:
		return i.Ratio.Compare
	case i.Value != nil:
		return i.Value.Compare
	}
	return nil
}

// LooksBack is how much of the time before the roll the judge wants to see of the same servers; 0 = nothing.
func (i Indicator) LooksBack() Duration {
	if c := i.Compares(); c != nil && c.With(BaselineBefore) {
		return c.Window()
	}
	if i.Rank != nil {
		return i.Rank.Window()
	}
	if i.Check != nil {
		return defaultBefore // what failed before the roll too is told with it
	}
	return 0
}
