package pages

import (
	"fmt"
	"strings"
)

// Lang is a language of the pages, as an HTML lang attribute says it.
type Lang string

// The languages.
const (
	English Lang = "en"
	Chinese Lang = "zh"
)

// Langs lists the languages, the default first.
func Langs() []Lang { return []Lang{English, Chinese} }

// Choose picks the language that somebody asked for, or else the first that an Accept-Language header names and we speak.
func Choose(asked, accept string) Lang {
	for _, want := range append([]string{asked}, strings.Split(accept, ",")...) {
		want, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(want)), ";")
		base, _, _ := strings.Cut(want, "-")
		for _, lang := range Langs() {
			if base == string(lang) {
				return lang
			}
		}
	}
	return English
}

// say returns a message, filled in. A key without a message is shown as it is; a test finds those the templates use.
func say(lang Lang, key string, args ...any) string {
	m, ok := messages[key]
	if !ok {
		return key
	}
	text := m.en
	if lang == Chinese {
		text = m.zh
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// sayWord returns the word for a value of the domain: a state, a stage, what happened. One that has no word is shown with spaces.
func sayWord(lang Lang, kind, word string) string {
	if _, ok := messages[kind+"."+word]; ok {
		return say(lang, kind+"."+word)
	}
	return strings.ReplaceAll(word, "_", " ")
}

type message struct{ en, zh string }

// messages are all words of the pages. Verdicts and reasons are stored as they were said, in English, and are not here.
var messages = map[string]message{
	"title":          {"Railyard", "Railyard 调车场"},
	"lang.en":        {"English", "English"},
	"lang.zh":        {"中文", "中文"},
	"live":           {"live", "实时"},
	"offline":        {"not connected", "连接中断"},
	"login":          {"Sign in", "登录"},
	"logout":         {"Sign out", "退出"},
	"login.token":    {"Access token", "访问令牌"},
	"login.hint":     {"An administrator makes tokens: railyard token.", "令牌由管理员签发：railyard token。"},
	"login.wrong":    {"This token is not known, has expired or was revoked.", "令牌无效、已过期或已被撤销。"},
	"login.busy":     {"The database does not answer, so the token cannot be checked. Try again in a few seconds.", "数据库无响应，暂时无法校验令牌，请稍后再试。"},
	"running":        {"On their way", "正在发布"},
	"running.none":   {"Nothing is being released. A push to a release branch starts it.", "当前没有发布。向发布分支推送代码即可开始。"},
	"recent":         {"Ended", "已结束"},
	"log":            {"What happened", "事件日志"},
	"log.none":       {"Nothing yet.", "暂无事件。"},
	"yard.none":      {"No topology is applied yet.", "尚未应用拓扑。"},
	"version":        {"Version", "版本"},
	"version.none":   {"nothing released", "未发布"},
	"server.unasked": {"no answer", "无响应"},
	"smoke":          {"smoke server", "冒烟服务器"},
	"smoke.short":    {"smoke", "冒烟"},
	"share":          {"%d %% of its share", "承担 %d%% 流量份额"},
	"batch":          {"batch %d of %d", "第 %d/%d 批"},
	"settled":        {"%d of %d servers", "%d/%d 台服务器"},
	"min_up":         {"at least %d stay up", "至少保持 %d 台在线"},
	"paused":         {"Waits for a person", "等待人工处理"},
	"pause.by":       {"by %s", "操作者 %s"},
	"verdict":        {"Last verdict", "最近裁决"},
	"people":         {"What people say", "人工裁决"},
	"people.pass":    {"pass", "通过"},
	"people.fail":    {"fail", "不通过"},
	"findings":       {"Indicators (%d)", "指标 (%d)"},
	"baseline":       {"not rolled yet: %.4g", "对照组 %.4g"},
	"before":         {"before the roll: %.4g", "发布前 %.4g"},
	"limit":          {"limit %.4g", "上限 %.4g"},
	"findings.more":  {"and %d more that are no worse; railyard verdict lists them all", "另有 %d 项不更差；railyard verdict 可列出全部"},
	"builds":         {"Builds", "构建"},
	"rolls":          {"Rolls", "滚动"},
	"servers":        {"Servers", "服务器"},
	"touched":        {"switched", "已切换"},
	"exposed":        {"took visitors on the new version", "新版本已接流量"},
	"passed.by":      {"passed by %s", "由 %s 通过"},
	"pushed.by":      {"pushed by %s", "由 %s 推送"},
	"back":           {"The whole yard", "返回总览"},
	"trouble":        {"There is nothing to show here", "没有可显示的内容"},

	"trouble.not_found":   {"There is no such page, Coach or Train.", "没有这个页面、Coach 或列车。"},
	"trouble.unavailable": {"The database does not answer. This page tries again by itself.", "数据库无响应，本页面会自动重试。"},
	"trouble.denied":      {"Your token may not see this.", "您的令牌无权查看。"},
	"trouble.internal":    {"Something went wrong inside Railyard. Its log says what.", "Railyard 内部出错，详情见日志。"},
	"trouble.request":     {"Request %s", "请求 %s"},

	"trains": {"Trains", "列车"}, "train.riders": {"Aboard", "乘车的 Coach"}, "train.coaches": {"%d Coaches", "%d 个 Coach"}, "train.back": {"back", "回退"},
	"train.of": {"In Train", "所在列车"}, "train.job": {"Job in Jenkins", "Jenkins 任务"},
	"train.open": {"open", "待发"}, "train.delivering": {"under way", "行驶中"}, "train.arrived": {"arrived", "已到达"}, "train.returned": {"returned", "已返回"},
	"train.stopped": {"stopped", "已停止"}, "train.cancelled": {"cancelled", "已取消"},

	"rider.coupled": {"not ready", "未就绪"}, "rider.ready": {"ready", "就绪"}, "rider.riding": {"riding", "行驶中"}, "rider.returning": {"returning", "返回中"},
	"rider.released": {"released", "已发布"}, "rider.went_back": {"went back", "已回退"}, "rider.stopped": {"stopped", "已停止"},

	"policy.coach": {"the Coach alone", "仅本 Coach"}, "policy.dependents": {"with its dependents", "连同依赖者"}, "policy.train": {"the whole Train", "整列"},

	"plan": {"Plan", "计划"}, "plan.alone": {"if it travels alone", "单独发布时"}, "plan.digest": {"Plan", "计划"}, "plan.policy": {"When a Coach fails, goes back:", "失败时回退范围："},
	"plan.blockers": {"What keeps it from departing", "发车前的阻碍"}, "plan.who": {"who can: %s", "可处理者：%s"}, "plan.coaches": {"Who travels", "随行 Coach"},
	"plan.behind": {"left behind", "不随车"}, "plan.along": {"takes along when it fails:", "失败时一并回退："}, "plan.lasts": {"about %s", "约 %s"},
	"plan.wave": {"Wave %d", "第 %d 波"}, "plan.servers": {"%d servers, %d stay up", "%d 台，至少 %d 台在线"}, "plan.back": {"A rollback would do, in this order:", "回退顺序："},

	"deps": {"Dependencies", "依赖关系"}, "deps.alone": {"may go back alone to %s", "可单独回退到 %s"}, "deps.notalone": {"not back alone", "不可单独回退"},
	"deps.by": {"required by %s %s: %s", "被 %s %s 依赖：%s"}, "deps.unmet": {"not met", "未满足"}, "deps.none": {"Nothing runs there yet.", "暂无运行中的应用。"},

	"stage.train": {"Train", "列车"}, "stage.build": {"Build", "构建"}, "stage.approval": {"ROP passed", "ROP 通过"}, "stage.return": {"Return", "回退"},

	"state.building": {"building", "构建中"}, "state.delivering": {"delivering", "发布中"},
	"state.awaiting_approval": {"waits for approval", "等待审批"}, "state.aboard": {"aboard a Train", "在列车上"}, "state.returning": {"returning", "回退中"},
	"state.released": {"released", "已发布"}, "state.rolled_back": {"rolled back", "已回退"}, "state.stopped": {"stopped", "已停止"},
	"state.failed": {"failed", "失败"}, "state.superseded": {"superseded", "已被取代"}, "state.revoked": {"revoked", "已撤回"},

	"roll.queued": {"queued", "排队"}, "roll.smoke": {"smoke", "冒烟环境"}, "roll.baking": {"baking", "Baking"},
	"roll.rolling": {"rolling", "滚动"}, "roll.watch": {"watch", "观察"}, "roll.done": {"done", "完成"},
	"roll.rolling_back": {"rolling back", "回退中"}, "roll.rolled_back": {"rolled back", "已回退"}, "roll.revoked": {"revoked", "已撤回"},

	"kind.release": {"release", "发布"}, "kind.rollback": {"return", "回退"}, "kind.catch_up": {"catch-up", "补齐"},

	"drift": {"Differs from what is believed (%d)", "与记录不符 (%d)"}, "drift.site": {"the site", "站点"},
	"drift.found": {"%s, expected %s", "%s，应为 %s"}, "drift.more": {"%d more", "另有 %d 项"},
	"drift.mend":           {"A catch-up roll mends it:", "可用补齐滚动修复："},
	"drift.other_revision": {"runs another revision", "运行其他版本"}, "drift.nothing_runs": {"runs nothing", "未运行"},
	"drift.unreachable": {"not reachable", "无法连接"}, "drift.pulled_out": {"pulled out", "已拉出"},
	"drift.weight": {"at another weight", "权重不符"}, "drift.down": {"down at the balancer", "负载均衡检测失败"},
	"drift.maintenance": {"in somebody's maintenance", "人工维护中"}, "drift.unknown_member": {"unknown to the balancer", "负载均衡中没有此成员"},
	"drift.no_balancer": {"the balancer does not answer", "负载均衡无响应"},

	"cause.brake": {"brake", "刹车"}, "cause.soft_breach": {"soft breach", "触发软指标"}, "cause.doubt": {"doubt", "存疑"},
	"cause.failure_budget": {"failure budget", "失败数超限"}, "cause.no_progress": {"no progress", "没有进展"},
	"cause.nothing_to_go_to": {"nothing to go back to", "无可回退的版本"},

	"rotation.in": {"in", "在线"}, "rotation.out": {"out", "已拉出"}, "rotation.down": {"down", "宕机"},
	"rotation.maintenance": {"maintenance", "维护"}, "rotation.unknown": {"unknown", "未知"},

	"step.pull_out": {"pulling out", "拉出中"}, "step.switch": {"switching", "切换版本"}, "step.test": {"testing", "冒烟测试"},
	"step.hold": {"tested, held", "已测试，待接入"}, "step.pull_in": {"pulling in", "拉入中"},
	"step.failed": {"failed", "失败"}, "step.owed": {"owed", "待补"},

	"target.waiting": {"waiting", "等待"}, "target.active": {"in work", "进行中"}, "target.settled": {"done", "完成"},
	"target.failed": {"failed", "失败"}, "target.owed": {"owed", "待补"}, "target.skipped": {"skipped", "已跳过"}, "target.left": {"left", "已移除"},

	"build.wanted": {"wanted", "待触发"}, "build.triggering": {"triggering", "触发中"}, "build.queued": {"queued", "排队"},
	"build.running": {"running", "构建中"}, "build.published": {"published", "已发布包"}, "build.failed": {"failed", "失败"}, "build.ended": {"ended", "已结束"},

	"outcome.pass": {"pass", "通过"}, "outcome.pending": {"pending", "待定"}, "outcome.no_traffic": {"no traffic", "无流量"},
	"outcome.no_data": {"no data", "无数据"}, "outcome.source_down": {"source down", "数据源不可用"},
	"outcome.abstain": {"cannot be judged", "无法裁决"}, "outcome.warn": {"warning", "警告"},
	"outcome.soft": {"soft breach", "触发软指标"}, "outcome.hard": {"hard breach", "触发硬指标"},
}
