package rollmon

import (
	"fmt"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// judgeReports judges what somebody else found: as many must have passed as the indicator says, and no more may have
// failed. Until then there is no pass, but something to wait for.
func (l look) judgeReports(i fleet.Indicator, r Reading) []verdict.Finding {
	var findings []verdict.Finding
	for _, s := range l.subjects(i, r) {
		f := verdict.Finding{Indicator: i.Name, Server: s.server, Outcome: verdict.NoData, Limit: float64(i.Report.MaxFailed)}
		what := fmt.Sprintf("%s %s of %s", l.Site.Pool, i.Name, s.where)
		report := s.sample.Report
		switch problem := s.problem(); {
		case problem != "":
			f.Reason = what + ": " + problem
		case report == nil:
			f.Reason = what + ": the source gave no report"
		case report.Passed < 0 || report.Failed < 0:
			f.Reason = fmt.Sprintf("%s: %d passed and %d failed cannot be", what, report.Passed, report.Failed)
		default:
			f.Value, f.Samples = float64(report.Failed), int64(report.Passed)+int64(report.Failed)
			f = reported(i, f, what, *report)
		}
		findings = append(findings, f)
	}
	return findings
}

func reported(i fleet.Indicator, f verdict.Finding, what string, r Report) verdict.Finding {
	if r.By != "" {
		what += ", by " + r.By
	}
	least := i.Report.LeastPassed()
	switch {
	case r.Failed > i.Report.MaxFailed:
		f = breached(i, f)
		f.Reason = fmt.Sprintf("%s: %d failed, %d passed; %s limit %d failed", what, r.Failed, r.Passed, kindWord(i), i.Report.MaxFailed)
	case r.Failed == 0 && r.Passed == 0:
		f.Outcome, f.Reason = verdict.Pending, what+": there is no report yet"
	case r.Passed < least:
		f.Outcome = verdict.Pending
		f.Reason = fmt.Sprintf("%s: %d passed of at least %d, %d failed", what, r.Passed, least, r.Failed)
	default:
		f.Outcome = verdict.Pass
		f.Reason = fmt.Sprintf("%s: %d passed, %d failed", what, r.Passed, r.Failed)
	}
	if r.Words != "" {
		f.Reason += ": " + r.Words
	}
	return f
}
