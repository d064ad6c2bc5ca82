package fleet

import (
	"fmt"
	"strings"
)

// checkRollable refuses what the resolved strategy could never do at this site.
func (c *checker) checkRollable(at, subject string, info SiteInfo, s Resolved) {
	site := info.Site
	servers := len(site.Servers)
	smoke := 0
	for _, server := range site.Servers {
		if server.Smoke {
			smoke++
		}
	}
	// The site's own line where it has one; the environment's reach it from elsewhere.
	where := func(field string) string {
		if own := at + ".strategy." + field; c.doc.Has(own) {
			return own
		}
		return at
	}
	switch {
	case smoke == servers:
		c.say(at+".servers", subject, fmt.Sprintf("all %s are smoke servers, so none is left to compare with", count(servers, "server")), "leave smoke: true on a few only")
	case s.Smoke && smoke == 0:
		c.say(where("smoke"), subject, "its strategy asks for a smoke stage, but no server is a smoke server",
			"mark one with smoke: true, or set smoke: false in the site's strategy")
	case s.BakingWeight > 0 && !s.Smoke:
		what := "its strategy asks for baking, but "
		if smoke == 0 {
			what += "no server is a smoke server to take the traffic"
		} else {
			what += "its smoke stage is off"
		}
		c.say(where("baking"), subject, what, "mark a server with smoke: true and leave the smoke stage on, or set baking: {weight: 0} in the site's strategy")
	case s.BakingWeight > 0 && site.Balancer.Driver == BalancerNone:
		c.say(where("baking"), subject, "its strategy asks for baking, but without a balancer no share of traffic can be given", "remove baking, or configure a balancer")
	case s.BakingWeight > 0 && !info.Balanced():
		c.say(where("baking"), subject, "its strategy asks for baking, but its servers are never taken out of rotation: what goes to slots is there for everybody at once", "remove baking")
	}
	if floor := s.Floor(servers); floor >= servers && !info.MayStop() {
		c.say(where("min_up"), subject,
			fmt.Sprintf("its floor can never be met: min_up %d %% of %s is %d, so none may ever be pulled out", s.MinUpPercent, count(servers, "server"), floor),
			floorFix(servers))
	}
	if longest := max(s.StepTimeout, s.DrainTimeout); s.Progress < longest {
		c.say(where("progress"), subject,
			fmt.Sprintf("progress %s is shorter than a step may take (%s), so a slow step would look like a hanging roll", Duration(s.Progress), Duration(longest)),
			fmt.Sprintf("set progress to %s or more", Duration(longest)))
	}
}

func floorFix(servers int) string {
	if servers == 1 {
		return "add a server, set min_up: 0, or allow_downtime: true on the site"
	}
	return fmt.Sprintf("set min_up to %d or less, add servers, or set allow_downtime: true on the site", (servers-1)*100/servers)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// checkStrategy checks a strategy as it is written, for an environment or a site.
func (c *checker) checkStrategy(at, subject string, s Strategy, production bool) {
	c.checkPattern(at+".pattern", subject, s.Pattern, production)
	if b := s.Baking; b != nil {
		switch off := b.Weight == 0; {
		case b.Weight < 0 || b.Weight > 100 || off && b.Time > 0:
			c.say(at+".baking.weight", subject, fmt.Sprintf("baking: weight %d is not a share of a full server's traffic", b.Weight), "write 1 to 100 percent, or {weight: 0} alone for no baking")
		case !off && b.Time == 0:
			c.say(at+".baking.time", subject, "baking: time is missing, so nothing would be compared", "write how long, such as time: 5m")
		}
	}
	if s.MinUp != nil && (*s.MinUp < 0 || *s.MinUp > 100) {
		c.say(at+".min_up", subject, fmt.Sprintf("min_up %d is no percentage", *s.MinUp), "write 0 to 100, without %")
	}
	if s.FailureBudget != nil && *s.FailureBudget < 0 {
		c.say(at+".failure_budget", subject, fmt.Sprintf("failure_budget %d is negative", *s.FailureBudget), "write how many servers may fail; 0 = none")
	}
	if s.OnFailure != "" {
		c.oneOf(at+".on_failure", subject, "on_failure", s.OnFailure, OnFailurePause, OnFailureRollback)
	}
	if s.StepTimeout != nil && *s.StepTimeout == 0 {
		c.say(at+".step_timeout", subject, "step_timeout 0s would fail every step", "write how long a step may take, such as 60s")
	}
	if s.Progress != nil && *s.Progress == 0 {
		c.say(at+".progress", subject, "progress 0s would pause every roll at once", "write how long a roll may hang, such as 5m")
	}
}

// checkPattern: one part expands to equal parts; several must sum to 100; in production no part is over half.
func (c *checker) checkPattern(at, subject string, pattern []int, production bool) {
	most, sum := 100, 0
	why := "1 to 100 percent"
	if production {
		most, why = 50, "1 to 50 percent in production: not all eggs in one basket"
	}
	good := true
	for i, part := range pattern {
		sum += part
		if part < 1 || part > most {
			good = false
			c.say(fmt.Sprintf("%s[%d]", at, i), subject, fmt.Sprintf("pattern: %d is not a part a batch may have", part), "write "+why)
		}
	}
	if !good || len(pattern) <= 1 || sum == 100 {
		if pattern != nil && len(pattern) == 0 {
			c.say(at, subject, "pattern is empty", "write [25] for equal parts, or parts that sum to 100")
		}
		return
	}
	fix := fmt.Sprintf("add %d to its parts", 100-sum)
	if sum > 100 {
		fix = fmt.Sprintf("take %d off its parts", sum-100)
	}
	parts := strings.ReplaceAll(fmt.Sprint(pattern), " ", ", ")
	c.say(at, subject, fmt.Sprintf("pattern %s sums to %d, not 100", parts, sum), fix)
}
