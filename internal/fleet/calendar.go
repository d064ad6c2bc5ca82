package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a zone means the same on every machine
)

// Calendar says when changes may enter an environment. Rollbacks never ask it.
type Calendar struct {
	Freezes []Freeze `yaml:"freezes,omitempty"` // nothing enters, unless two people override it
	Quotas  []Quota  `yaml:"quotas,omitempty"`  // so many changes enter in one window, whoever wants
}

// Freeze is a time in which nothing enters.
type Freeze struct {
	Name   string `yaml:"name"`   // "golden-week"
	Reason string `yaml:"reason"` // "national holiday"
	Only   Only   `yaml:"only,omitempty"`
	Window Window `yaml:"window"`
}

// Quota bounds how many changes (Coaches) enter in one window.
type Quota struct {
	Name    string `yaml:"name"`    // "hotel-evening"
	Changes int    `yaml:"changes"` // 5
	Only    Only   `yaml:"only,omitempty"`
	Window  Window `yaml:"window"`
}

// Only says what a freeze or quota is about. What it does not name it does not restrict.
type Only struct {
	SBUs         []string `yaml:"sbus,omitempty"`
	Environments []string `yaml:"environments,omitempty"`
	Pools        []string `yaml:"pools,omitempty"`
}

// Window is a time: once, from a date to another, or every week on some days.
type Window struct {
	From string   `yaml:"from"`           // "2026-10-01T00:00:00+08:00", or with days "18:00"
	To   string   `yaml:"to"`             // "2026-10-08T00:00:00+08:00", or with days "08:00": of the next day when it is not later
	Days []string `yaml:"days,omitempty"` // [fri, sat, sun]; the day on which it begins
	Zone string   `yaml:"zone,omitempty"` // of days: "Asia/Shanghai"; default UTC
}

// Span is one occurrence of a window. It contains From and not To.
type Span struct{ From, To time.Time }

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

const clockForm = "15:04"

// Around finds the occurrence of the window that contains now. Days of a summer-time change are as long as they are: from and
// to are read on the wall clock.
func (w Window) Around(now time.Time) (Span, bool) {
	if len(w.Days) == 0 {
		from, err := time.Parse(time.RFC3339, w.From)
		to, err2 := time.Parse(time.RFC3339, w.To)
		span := Span{from.UTC(), to.UTC()}
		return span, err == nil && err2 == nil && span.contains(now)
	}
	zone, err := time.LoadLocation(w.Zone)
	if err != nil {
		return Span{}, false
	}
	from, err := time.Parse(clockForm, w.From)
	to, err2 := time.Parse(clockForm, w.To)
	if err != nil || err2 != nil {
		return Span{}, false
	}
	local := now.In(zone)
	for back := range 2 { // it began today, or yesterday and goes over midnight
		day := local.AddDate(0, 0, -back)
		if !slices.Contains(w.Days, weekdays[day.Weekday()]) {
			continue
		}
		last := day
		if !to.After(from) {
			last = day.AddDate(0, 0, 1)
		}
		span := Span{at(day, from, zone).UTC(), at(last, to, zone).UTC()}
		if span.contains(now) {
			return span, true
		}
	}
	return Span{}, false
}

func at(day, clock time.Time, zone *time.Location) time.Time {
	return time.Date(day.Year(), day.Month(), day.Day(), clock.Hour(), clock.Minute(), 0, 0, zone)
}

func (s Span) contains(now time.Time) bool { return !now.Before(s.From) && now.Before(s.To) }

func (c *checker) checkCalendar() {
	seen := map[string]bool{}
	for i, f := range c.t.Calendar.Freezes {
		at := fmt.Sprintf("$.calendar.freezes[%d]", i)
		subject := called("freeze", f.Name, at)
		c.name(at, "freeze", f.Name, plainName, seen)
		if strings.TrimSpace(f.Reason) == "" {
			c.say(at+".reason", subject, "reason is missing", "say why, such as reason: national holiday; whoever waits reads it")
		}
		c.checkOnly(at+".only", subject, f.Only)
		c.checkWindow(at+".window", subject, f.Window)
	}
	for i, q := range c.t.Calendar.Quotas {
		at := fmt.Sprintf("$.calendar.quotas[%d]", i)
		subject := called("quota", q.Name, at)
		c.name(at, "quota", q.Name, plainName, seen)
		if q.Changes < 1 {
			c.say(at+".changes", subject, fmt.Sprintf("changes %d lets nothing in", q.Changes), "write 1 or more, or use a freeze")
		}
		c.checkOnly(at+".only", subject, q.Only)
		c.checkWindow(at+".window", subject, q.Window)
	}
}

func (c *checker) checkOnly(at, subject string, s Only) {
	c.refs(at, subject, "sbus", "SBU", s.SBUs, c.sbus)
	c.refs(at, subject, "environments", "environment", s.Environments, c.environments)
	c.refs(at, subject, "pools", "pool", s.Pools, c.pools)
	for _, name := range s.Environments {
		if env, ok := c.t.Environment(name); ok && !env.Production {
			c.say(at+".environments", subject, fmt.Sprintf("environments: %s is not production, and the calendar guards production", name), "name production environments, or leave environments out")
		}
	}
}

func (c *checker) checkWindow(at, subject string, w Window) {
	if len(w.Days) == 0 {
		from, ok := c.moment(at+".from", subject, "from", w.From)
		to, also := c.moment(at+".to", subject, "to", w.To)
		if ok && also && !to.After(from) {
			c.say(at+".to", subject, fmt.Sprintf("window: it ends (%s) before it begins (%s)", w.To, w.From), "turn the two around")
		}
		if w.Zone != "" {
			c.say(at+".zone", subject, "window: zone goes with days; from and to have zones of their own", "remove zone")
		}
		return
	}
	for i, day := range w.Days {
		c.oneOf(fmt.Sprintf("%s.days[%d]", at, i), subject, "window: days", day, weekdays...)
	}
	for _, field := range []struct{ name, text string }{{"from", w.From}, {"to", w.To}} {
		if _, err := time.Parse(clockForm, field.text); err != nil {
			c.say(at+"."+field.name, subject, fmt.Sprintf("window: %s %q is no time of day", field.name, field.text), "with days, write hours and minutes, such as 18:00")
		}
	}
	if _, err := time.LoadLocation(w.Zone); err != nil {
		c.say(at+".zone", subject, fmt.Sprintf("window: unknown zone %q", w.Zone), "write such as Asia/Shanghai; UTC when left out")
	}
}

func (c *checker) moment(at, subject, field, text string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		c.say(at, subject, fmt.Sprintf("window: %s %q is no time", field, text), "write date, time and zone, such as 2026-10-01T00:00:00+08:00, or add days")
	}
	return t, err == nil
}
