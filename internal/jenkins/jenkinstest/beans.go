package jenkinstest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"railyard/internal/jenkins/jenkinstest/export"
)

// The objects of the remote API. They are made and written under controller.mu.

func obj(class string, fields ...export.Field) *export.Object {
	return &export.Object{Class: class, Fields: fields}
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// orNull is nil for the empty string.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (q *request) rootBean() *export.Object {
	all, views := q.viewBeans(q.c.root)
	return obj("hudson.model.Hudson",
		export.Show("assignedLabels", []*export.Object{obj("", export.ShowAt(2, "name", "built-in"))}),
		export.Show("mode", "NORMAL"),
		export.Show("nodeDescription", "the Jenkins controller's built-in node"),
		export.Show("nodeName", ""),
		export.Show("numExecutors", q.o.Executors),
		export.Show("description", nil),
		export.Show("jobs", func() any { return q.itemBeans(q.c.root) }),
		export.Show("overallLoad", obj("")),
		export.Show("primaryView", all),
		export.Show("quietDownReason", nil),
		export.Show("quietingDown", q.c.quieting),
		export.Show("slaveAgentPort", -1),
		export.Show("unlabeledLoad", obj("jenkins.model.UnlabeledLoadStatistics")),
		export.Show("url", orNull(q.c.rootURL)),
		export.Show("useCrumbs", !q.o.DisableCrumbs),
		export.Show("useSecurity", true),
		export.Show("views", views),
	)
}

func (q *request) computersBean() *export.Object {
	busy := 0
	var executors []*export.Object
	for _, e := range q.c.executors {
		var current *export.Object
		if e.build != nil {
			current = q.buildBean(e.build)
		}
		if e.busy {
			busy++
		}
		executors = append(executors, obj("",
			export.ShowAt(2, "currentExecutable", current),
			export.ShowAt(2, "idle", !e.busy), export.ShowAt(2, "number", e.number)))
	}
	node := obj("hudson.model.Hudson$MasterComputer",
		export.ShowAt(2, "displayName", "Built-In Node"), export.Show("executors", executors),
		export.ShowAt(2, "idle", busy == 0), export.ShowAt(2, "numExecutors", len(executors)),
		export.ShowAt(2, "offline", false))
	return obj("hudson.model.ComputerSet",
		export.Show("busyExecutors", busy), export.Show("computer", []*export.Object{node}),
		export.Show("displayName", "Nodes"), export.Show("totalExecutors", len(executors)))
}

func (q *request) itemBeans(in *item) []*export.Object {
	var out []*export.Object
	for _, it := range in.children() {
		out = append(out, q.itemBean(it))
	}
	return out
}

// itemBean is a folder or a job.
func (q *request) itemBean(it *item) *export.Object {
	fields := []export.Field{
		export.Show("actions", []*export.Object{}),
		export.Show("description", orNull(it.config.description)),
		export.Show("displayName", it.name),
		export.Show("fullDisplayName", strings.ReplaceAll(it.fullName(), "/", " » ")),
		export.Show("fullName", it.fullName()),
		export.ShowAt(999, "name", it.name),
		export.ShowAt(999, "url", q.urlBase()+it.path()),
	}
	if it.isFolder() {
		all, views := q.viewBeans(it)
		return obj(it.config.class, append(fields,
			export.Show("jobs", func() any { return q.itemBeans(it) }),
			export.Show("primaryView", all), export.Show("views", views))...)
	}
	fields = append(fields,
		export.Show("buildable", !it.config.disabled),
		export.Show("builds", q.buildList(it, 100)),
		export.ShowAt(-2, "allBuilds", q.buildList(it, len(it.order))),
		export.ShowAt(2, "color", q.color(it)),
		export.Show("concurrentBuild", it.config.concurrent),
		export.Show("firstBuild", q.buildOrNull(it.firstBuild())),
		export.Show("healthReport", []*export.Object{}),
		export.Show("inQueue", q.firstQueued(it) != nil),
		export.Show("keepDependencies", false),
		export.Show("nextBuildNumber", it.next),
		export.Show("property", q.propertyBeans(it)),
		export.Show("queueItem", func() any {
			if item := q.firstQueued(it); item != nil {
				return q.queueItemBean(item)
			}
			return nil
		}),
	)
	for _, name := range []string{"lastBuild", "lastCompletedBuild", "lastFailedBuild", "lastStableBuild",
		"lastSuccessfulBuild", "lastUnstableBuild", "lastUnsuccessfulBuild"} {
		fields = append(fields, export.Show(name, func() any { return q.buildOrNull(it.permalink(name)) }))
	}
	if it.config.class == classPipeline {
		fields = append(fields, export.Show("disabled", it.config.disabled))
	}
	return obj(it.config.class, fields...)
}

func (q *request) firstQueued(j *item) *queueItem {
	for _, item := range q.c.queue {
		if item.job == j {
			return item
		}
	}
	return nil
}

// color is the state of the last completed build; _anime while one runs.
func (q *request) color(it *item) string {
	if it.config.disabled {
		return "disabled"
	}
	color := "notbuilt"
	if b := it.permalink("lastCompletedBuild"); b != nil {
		color = map[Result]string{
			Success: "blue", Unstable: "yellow", Failure: "red", NotBuilt: "notbuilt", Aborted: "aborted",
		}[b.Result]
	}
	if b := it.permalink("lastBuild"); b != nil && b.isBuilding() {
		color += "_anime"
	}
	return color
}

func (q *request) propertyBeans(it *item) []*export.Object {
	if len(it.config.params) == 0 {
		return []*export.Object{}
	}
	var defs []*export.Object
	for _, p := range it.config.params {
		fields := []export.Field{
			export.ShowAt(3, "description", orNull(p.description)),
			export.ShowAt(3, "name", p.name),
			export.ShowAt(3, "type", p.kind),
		}
		if value, err := p.accept(p.value); err == nil {
			fields = append(fields, export.ShowAt(3, "defaultParameterValue", paramBean(value, 4)))
		}
		if p.choices != nil {
			fields = append(fields, export.ShowAt(3, "choices", p.choices))
		}
		defs = append(defs, obj("hudson.model."+p.kind, fields...))
	}
	return []*export.Object{obj("hudson.model.ParametersDefinitionProperty",
		export.ShowAt(2, "parameterDefinitions", defs))}
}

// paramBean keeps the JSON type of booleans and hides passwords.
func paramBean(p param, visibility int) *export.Object {
	fields := []export.Field{export.ShowAt(visibility, "name", p.Name)}
	switch p.Kind {
	case "PasswordParameterValue":
	case "BooleanParameterValue":
		fields = append(fields, export.ShowAt(visibility, "value", p.Value == "true"))
	default:
		fields = append(fields, export.ShowAt(visibility, "value", p.Value))
	}
	return obj("hudson.model."+p.Kind, fields...)
}

// actionBeans are the parameters and causes of a queue item or build.
func actionBeans(params []param, causes []Cause) []*export.Object {
	var out []*export.Object
	if len(params) > 0 {
		var beans []*export.Object
		for _, p := range params {
			beans = append(beans, paramBean(p, 3))
		}
		out = append(out, obj("hudson.model.ParametersAction", export.ShowAt(2, "parameters", beans)))
	}
	var beans []*export.Object
	for _, c := range causes {
		beans = append(beans, obj(c.Class, export.ShowAt(3, "shortDescription", c.Text),
			export.ShowAt(3, "userId", c.User), export.ShowAt(3, "userName", c.User)))
	}
	return append(out, obj("hudson.model.CauseAction", export.ShowAt(2, "causes", beans)), obj(""))
}

// revisionBeans say which commit a Pipeline's script is from.
func revisionBeans(s *SCM) []*export.Object {
	if s == nil {
		return nil
	}
	branch := obj("", export.ShowAt(4, "SHA1", s.Commit), export.ShowAt(4, "name", "refs/remotes/origin/"+s.Branch))
	return []*export.Object{obj("hudson.plugins.git.util.BuildData",
		export.ShowAt(2, "lastBuiltRevision", obj("", export.ShowAt(3, "SHA1", s.Commit), export.ShowAt(3, "branch", []*export.Object{branch}))),
		export.ShowAt(2, "remoteUrls", []string{s.URL}), export.ShowAt(2, "scmName", ""))}
}

// buildList is the newest builds of a job, at most limit.
func (q *request) buildList(it *item, limit int) export.List {
	return export.List{Len: min(limit, len(it.order)), At: func(i int) *export.Object {
		return q.buildBean(it.builds[it.order[len(it.order)-1-i]])
	}}
}

func (q *request) buildOrNull(b *build) *export.Object {
	if b == nil {
		return nil
	}
	return q.buildBean(b)
}

func (q *request) buildBean(b *build) *export.Object {
	var executor *export.Object
	if b.inProgress() {
		executor = obj("hudson.model.Executor")
	}
	fields := []export.Field{
		export.Show("actions", func() any {
			return append(actionBeans(b.Params, b.Causes), revisionBeans(b.Revision)...)
		}),
		export.Show("artifacts", []*export.Object{}),
		export.Show("building", b.isBuilding()),
		export.Show("description", orNull(b.Description)),
		export.Show("displayName", b.name()),
		export.Show("duration", b.Duration.Milliseconds()),
		export.Show("estimatedDuration", func() any {
			if e := b.job.estimate(); e >= 0 {
				return e.Milliseconds()
			}
			return -1
		}),
		export.Show("executor", executor),
		export.Show("fullDisplayName", strings.ReplaceAll(b.job.fullName(), "/", " » ")+" "+b.name()),
		export.Show("id", strconv.FormatInt(b.Number, 10)),
		export.Show("inProgress", b.inProgress()),
		export.Show("keepLog", b.KeepLog),
		export.ShowAt(2, "number", b.Number),
		export.Show("queueId", b.QueueID),
		export.Show("result", orNull(string(b.Result))),
		export.Show("timestamp", millis(b.Started)),
		export.ShowAt(2, "url", q.urlBase()+b.path()),
		export.Show("culprits", []*export.Object{}),
	}
	if b.job.config.class == classPipeline {
		return obj("org.jenkinsci.plugins.workflow.job.WorkflowRun",
			append(fields, export.Show("changeSets", []*export.Object{}))...)
	}
	return obj("hudson.model.FreeStyleBuild", append(fields, export.Show("builtOn", ""),
		export.Show("changeSet", obj("hudson.scm.EmptyChangeLogSet",
			export.Show("items", []*export.Object{}), export.Show("kind", nil))))...)
}

func (q *request) queueBean() *export.Object {
	return obj("hudson.model.Queue",
		export.Show("discoverableItems", []*export.Object{}),
		export.Show("items", func() any {
			out := []*export.Object{}
			for _, item := range q.c.queue {
				out = append(out, q.queueItemBean(item))
			}
			for run, item := range q.c.placeholders {
				out = append(out, q.placeholderBean(run.b, item))
			}
			return out
		}))
}

// placeholderBean is a node step that waits for an executor. It has no
// parameters, and its task is a part of a build.
func (q *request) placeholderBean(b *build, item *queueItem) *export.Object {
	show := func(name string, value any) export.Field { return export.ShowAt(999, name, value) }
	return obj("hudson.model.Queue$BuildableItem",
		show("actions", []*export.Object{}), show("blocked", false), show("buildable", true), show("id", item.id),
		show("inQueueSince", millis(item.since)), show("params", ""), show("stuck", false),
		show("task", obj("org.jenkinsci.plugins.workflow.support.steps.ExecutorStepExecution$PlaceholderTask",
			show("name", "part of "+strings.ReplaceAll(b.job.fullName(), "/", " » ")+" "+b.name()), show("url", q.urlBase()+b.path()))),
		show("url", fmt.Sprintf("queue/item/%d/", item.id)), show("why", q.c.why(item)),
		show("buildableStartMilliseconds", millis(item.buildable)), show("pending", false))
}

// queueItemBean has a relative url, as Jenkins does.
func (q *request) queueItemBean(item *queueItem) *export.Object {
	var params strings.Builder
	for _, p := range item.params {
		if p.Kind != "PasswordParameterValue" {
			fmt.Fprintf(&params, "\n%s=%s", p.Name, p.Value)
		}
	}
	task := obj(item.job.config.class,
		export.ShowAt(999, "name", item.job.name), export.ShowAt(999, "url", q.urlBase()+item.job.path()),
		export.ShowAt(999, "color", q.color(item.job)))
	show := func(name string, value any) export.Field { return export.ShowAt(999, name, value) }
	fields := []export.Field{
		show("actions", func() any { return actionBeans(item.params, item.causes) }),
		show("blocked", item.state == stateBlocked),
		show("buildable", item.state == stateBuildable),
		show("id", item.id),
		show("inQueueSince", millis(item.since)),
		show("params", params.String()),
		show("stuck", false),
		show("task", task),
		show("url", fmt.Sprintf("queue/item/%d/", item.id)),
		show("why", orNull(q.c.why(item))),
	}
	switch item.state {
	case stateWaiting:
		fields = append(fields, show("timestamp", millis(item.due)))
	case stateBlocked:
		fields = append(fields, show("buildableStartMilliseconds", millis(item.buildable)))
	case stateBuildable:
		fields = append(fields, show("buildableStartMilliseconds", millis(item.buildable)), show("pending", item.pending))
	case stateLeft:
		fields = append(fields, show("cancelled", item.cancelled),
			show("executable", q.buildOrNull(item.job.builds[item.number])))
	}
	return obj("hudson.model.Queue$"+string(item.state), fields...)
}
