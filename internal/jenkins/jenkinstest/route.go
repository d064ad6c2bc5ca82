package jenkinstest

import (
	"net/http"
	"slices"
	"strconv"
)

// route walks the path: views are skipped, folders entered, and the rest goes
// to what the path names. Segments after an action are ignored, as Stapler does.
func (q *request) route() {
	if len(q.rest) > 0 && q.rest[0] == "login" {
		q.plainPage(http.StatusOK, "Sign in to Jenkins")
		return
	}
	if len(q.rest) > 0 && q.rest[0] == "generic-webhook-trigger" {
		q.next()
		q.invokeWebhook()
		return
	}
	if !q.allowed(overallRead) {
		return
	}
	at := q.c.root
	for len(q.rest) >= 2 && (q.rest[0] == "job" || q.rest[0] == "view") {
		kind, name := q.next(), q.next()
		if kind == "view" {
			if v := at.views[name]; v != nil && (len(q.rest) == 0 || q.rest[0] != "job") {
				q.view(at, v)
				return
			}
			if name != "all" && at.views[name] == nil {
				q.notFound()
				return
			}
			continue
		}
		if at = at.kids[name]; at == nil || !q.who.may(jobDiscover) {
			q.notFound()
			return
		}
	}
	switch {
	case at == q.c.root:
		q.root()
	case !q.allowed(jobRead):
	case at.isFolder():
		q.folder(at)
	default:
		q.job(at)
	}
}

func (q *request) root() {
	if q.isAPI() {
		q.json(q.rootBean())
		return
	}
	switch action := q.next(); action {
	case "":
		q.folderPage(q.c.root)
	case "crumbIssuer":
		q.crumbIssuer()
	case "queue":
		q.queueAction()
	case "createItem":
		q.createItem(q.c.root)
	case "createView":
		q.createView(q.c.root)
	case "computer":
		if q.isAPI() {
			q.json(q.computersBean())
			return
		}
		q.notFound()
	case "quietDown", "cancelQuietDown", "restart", "safeRestart":
		q.lifecycle(action)
	default:
		q.notFound()
	}
}

// lifecycle answers at once; a restart begins once the answer is on its way.
func (q *request) lifecycle(action string) {
	if !q.post() || !q.allowed(administer) {
		return
	}
	q.redirect("")
	switch action {
	case "quietDown", "cancelQuietDown":
		q.c.quieting = action == "quietDown"
		q.c.maintain()
	default:
		go func() {
			if err := q.s.Restart(); err != nil {
				q.o.Log.WithError(err).Error("restart")
			}
		}()
	}
}

func (q *request) folder(f *item) {
	if q.isAPI() {
		q.json(q.itemBean(f))
		return
	}
	switch q.next() {
	case "":
		q.folderPage(f)
	case "createItem":
		q.createItem(f)
	case "createView":
		q.createView(f)
	case "config.xml":
		q.configXML(f)
	case "doDelete":
		q.deleteItem(f)
	case "build":
		if f.config.class == classMultibranch {
			q.triggerScan(f)
			return
		}
		q.notFound()
	default:
		q.notFound()
	}
}

func (q *request) job(j *item) {
	if q.isAPI() {
		q.json(q.itemBean(j))
		return
	}
	action := q.next()
	if n, err := strconv.ParseInt(action, 10, 64); err == nil {
		q.build(j.builds[n])
		return
	}
	if _, known := permalinks[action]; known {
		q.build(j.permalink(action))
		return
	}
	switch action {
	case "":
		if q.r.Method == http.MethodDelete {
			q.deleteItem(j)
			return
		}
		q.jobPage(j)
	case "config.xml":
		q.configXML(j)
	case "build":
		q.triggerPlain(j)
	case "buildWithParameters":
		q.triggerWithParameters(j)
	case "wfapi":
		if j.config.class == classPipeline {
			q.jobWfapi(j)
			return
		}
		q.notFound()
	case "enable", "disable":
		q.enable(j, action == "enable")
	case "doDelete":
		q.deleteItem(j)
	default:
		q.notFound()
	}
}

func (q *request) build(b *build) {
	if b == nil {
		q.notFound()
		return
	}
	if q.isAPI() {
		q.json(q.buildBean(b))
		return
	}
	switch action := q.next(); action {
	case "":
		q.buildPage(b)
	case "console", "consoleFull":
		q.consolePage(b)
	case "consoleText":
		q.consoleText(b)
	case "logText":
		if q.next() == "progressiveText" {
			q.progressiveText(b)
			return
		}
		q.notFound()
	case "stop", "term", "kill":
		if action != "stop" && b.job.config.class != classPipeline {
			q.notFound()
			return
		}
		q.stopBuild(b, action)
	case "wfapi", "input", "execution":
		if b.job.config.class != classPipeline {
			q.notFound()
			return
		}
		q.pipelineAction(b, action)
	case "submitDescription":
		q.submitDescription(b)
	case "configSubmit":
		q.configSubmit(b)
	case "toggleLogKeep":
		q.toggleLogKeep(b)
	case "doDelete":
		q.deleteBuild(b)
	default:
		q.notFound()
	}
}

func (q *request) pipelineAction(b *build, action string) {
	switch action {
	case "wfapi":
		if slices.Contains(q.o.Without, "pipeline-rest-api") {
			q.notFound()
			return
		}
		q.runWfapi(b)
	case "input":
		q.input(b)
	default:
		q.flowNodeWfapi(b)
	}
}
