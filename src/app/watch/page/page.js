"use strict";
// The page. Foreign text becomes text nodes, never markup. `h` makes elements; `morph` makes those on the screen like them,
// so that focus, selection and scrolling stay.

const POLL_MS = 2000, PATIENCE_MS = 1e4, STEP = 100, DAY = 864e5;
const STATES = {
	unready: ["✕", "Down", "bad"], degraded: ["!", "Old version serves", "odd"], "rolling-out": ["↻", "Rolling out", "busy"], unknown: ["?", "Unknown", "odd"], ready: ["✓", "Ready", "good"],
};
const VERDICTS = ["ready", "failed", "timeout", "infrastructure", "superseded", "not-found"];
const SVG = ["svg", "g", "rect", "path", "line", "circle", "text", "title"];
const tone = (verdict) => (verdict === "ready" ? "good" : VERDICTS.indexOf(verdict) > 3 ? "odd" : "bad");
const ONLY = "Only on the sidecar's own machine, or with its --http-token-file.";
const $ = (id) => document.getElementById(id);

// --- Elements

// What would turn the text around it, or is not to be seen, is written out.
const clean = (text) => String(text).replace(/[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g,
	(char) => (char === "\r" ? "" : "\\u" + char.charCodeAt(0).toString(16).padStart(4, "0")));

function h(tag, ...kids) {
	const [name, ...classes] = tag.split(".");
	const node = document.createElementNS(`http://www.w3.org/${SVG.includes(name) ? "2000/svg" : "1999/xhtml"}`, name);
	if (classes.length) node.setAttribute("class", classes.join(" "));
	for (const kid of kids.flat(Infinity)) {
		if (!kid && kid !== 0) continue;
		if (kid instanceof Node || typeof kid !== "object") node.append(kid instanceof Node ? kid : clean(kid));
		else for (const [key, value] of Object.entries(kid)) {
			if (key === "style") for (const one in value) node.style.setProperty(one, value[one]);
			else if (value || value === 0 || value === "") node.setAttribute(key, value === true ? "" : clean(value));
		}
	}
	return node;
}

function morph(from, to) {
	if (to.dataset?.same) return;
	if (from.nodeName !== to.nodeName) return from.replaceWith(to);
	if (from.nodeType === Node.TEXT_NODE) {
		if (from.data !== to.data) from.data = to.data;
		return;
	}
	for (const { name } of [...from.attributes]) if (!["style", "open"].includes(name) && !to.hasAttribute(name)) from.removeAttribute(name);
	for (const { name, value } of to.attributes) if (name !== "style" && from.getAttribute(name) !== value) from.setAttribute(name, value);
	from.style.cssText = to.style.cssText;
	if (from.dataset.filter && from !== document.activeElement) from.value = to.value;
	const keyed = new Map(), focus = document.activeElement, wanted = new Set([...to.children].map((child) => child.dataset.key));
	for (const child of [...from.children]) {
		const { key } = child.dataset;
		if (key && !wanted.has(key)) child.remove();
		else if (key) keyed.set(key, child);
	}
	let at = from.firstChild;
	for (const want of [...to.childNodes]) {
		const key = want.dataset?.key;
		const have = key ? keyed.get(key) : at?.dataset?.key ? null : at;
		if (have && have.nodeName === want.nodeName) {
			if (have === at) at = at.nextSibling;
			else from.insertBefore(have, at);
			// What is moved loses the focus.
			if (have.contains(focus)) focus.focus({ preventScroll: true });
			morph(have, want);
		} else from.insertBefore(want, at);
	}
	while (at) {
		const next = at.nextSibling;
		at.remove();
		at = next;
	}
}

function show(id, ...kids) {
	const like = $(id).cloneNode(false);
	like.append(h("p", kids));
	like.replaceChildren(...like.firstChild.childNodes);
	morph($(id), like);
}

// --- Words

function took(ms) {
	if (ms === null || ms === undefined) return "–";
	const s = Math.max(0, Math.round(ms / 1000)), m = Math.floor(s / 60), hour = Math.floor(m / 60), day = Math.floor(hour / 24);
	const two = (big, unit, small, other) => `${big}\xa0${unit}${small ? ` ${small}\xa0${other}` : ""}`;
	return ms > 0 && ms < 950 ? `${(ms / 1000).toFixed(1)}\xa0s` : !m ? `${s}\xa0s` : !hour ? two(m, "min", s % 60, "s") : !day ? two(hour, "h", m % 60, "min") : two(day, "d", hour % 24, "h");
}

let skew = 0;
const now = () => Date.now() + skew;
const since = (at) => took(Math.max(1000, now() - at)).split(" ")[0];
const exact = (at) => `${new Date(at).toLocaleString()} (${new Date(at).toISOString()})`;
const when = (text, words, more) => h("time", { datetime: text, title: exact(Date.parse(text)), ...more }, words);

// How long ago; it goes on counting by itself.
const ago = (text, words = " ago") => (text ? when(text, since(Date.parse(text)) + words, { "data-ago": words }) : "–");

const clock = (text) => when(text, new Date(text).toLocaleString());
const n = (number) => number?.toLocaleString() ?? "–";
const count = (number, word) => `${n(number)} ${word}${number === 1 ? "" : "s"}`;
const percent = (part) => (part === null ? "–" : `${Math.round(part * 1000) / 10} %`);
const tag = (image) => image?.split("/").pop();

// --- Addresses: the view and its filters

function route() {
	const [path, query] = location.hash.slice(1).split("?");
	// What is no valid escape stays as it is.
	const [name, ...rest] = path.split("/").map((part) => new URLSearchParams(`x=${part.replaceAll("+", "%2B")}`).get("x"));
	return { name: name || "now", rest, query: new URLSearchParams(query) };
}

const to = (...parts) => "#" + parts.map((part) => encodeURIComponent(part ?? "")).join("/");

function withQuery(key, value) {
	const { name, rest, query } = route();
	if (value) query.set(key, value);
	else query.delete(key);
	return to(name, ...rest) + (query.size ? `?${query}` : "");
}

// --- Data

const known = new Map(), data = {};
let last = 0, failure = null, limit = STEP;

function ask(name, query, more) {
	const given = Object.entries(query || {}).filter(([, value]) => value);
	return fetch(`v1/${name}?${new URLSearchParams(given)}`, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS), ...more });
}

async function get(name, query) {
	const key = name + JSON.stringify(query), had = known.get(key);
	const answer = await ask(name, query, { headers: had ? { "If-None-Match": had.tag } : {} });
	const ahead = Date.parse(answer.headers.get("date")) - Date.now();
	skew = Math.abs(ahead) > 2500 ? ahead : 0;
	if (answer.status === 304) return had.body;
	const body = await answer.json();
	if (!answer.ok) throw Object.assign(new Error(body.error), { status: answer.status });
	if (known.size > 40) known.clear();
	known.set(key, { tag: answer.headers.get("etag"), body });
	return body;
}

function historyOf({ name, rest, query }) {
	const days = query.get("days") || "30";
	return { agent: name === "agent" ? rest[0] : query.get("agent"), verdict: query.get("verdict"), days, since: `${days}days`, by: query.get("by") || (days === "90" ? "week" : "day") };
}

// What each view needs beside the overview.
const NEEDS = {
	__proto__: null,
	async now({ query }) {
		data.agents = await get("agents", { order: "attention", limit, ...Object.fromEntries(query) });
	},
	async history(at) {
		const { agent, verdict, since, by } = historyOf(at);
		data.stats = await get("stats", { agent, since, by });
		data.rollouts = await get("rollouts", { agent, since, verdict, limit });
		data.agent = agent && (await get("agents", { search: agent, limit: 1000 })).agents.find((one) => one.name === agent);
	},
	async deliveries() {
		data.dead = await get("dead-letters");
	},
	async rollout({ rest }) {
		data.rollout = await get("rollout", { agent: rest[0], deployment: rest[1] });
	},
};
NEEDS.agent = NEEDS.history;

let polling = null, again = false;

async function poll() {
	again = Boolean(polling);
	polling ??= (async () => {
		do {
			again = false;
			const at = route(), { hash } = location;
			try {
				data.overview = await get("overview");
				await NEEDS[at.name]?.(at);
				data.of = hash;
				last = Date.now();
				failure = null;
			} catch (error) {
				failure = error;
			}
			render();
		} while (again);
	})().catch((error) => say(error.message)).finally(() => (polling = null));
	return polling;
}

async function keepPolling() {
	for (;;) {
		if (!document.hidden) await poll();
		await new Promise((done) => setTimeout(done, POLL_MS));
	}
}

// --- Parts

const chip = (sign, text, how) => h(`span.state.${how}`, h("span", { "aria-hidden": "true" }, sign), text);
const state = (word) => chip(...(STATES[word] || STATES.unknown));
const verdict = (word) => chip({ good: "✓", bad: "✕", odd: "–" }[tone(word)], word, tone(word));
const heading = (...words) => h("h2", { tabindex: "-1" }, words);
const empty = (...words) => h("p.empty", words);
const card = (title, ...kids) => h("section.card", h("h3", title), kids);
const button = (does, text, more) => h("button", { type: "button", "data-do": does, ...more }, text);
const quote = (name, text) => h("pre", { id: name.toLowerCase(), tabindex: "0", "aria-label": name, role: "region" }, text);
const link = (href, text) => h("a.name", { href }, text);
const rolloutLink = (agent, id, text) => link(to("rollout", agent, id), text || agent);
const tile = (label, value, more) => h("div.tile", h("span.soft", label), h("b", value), more && h("small", more));

// The last ten rollouts: the longer one took the higher it is, and what failed is crossed.
function ticks({ recentRollouts: all }) {
	if (!all.length) return h("span.soft", "none yet");
	const most = Math.max(...all.map((one) => one.verdict === "ready" && one.elapsedMs), 1);
	const marks = Array.from({ length: 10 }, (_, i) => {
		const one = all[i - 10 + all.length], x = i * 9.2, width = 7, rx = 1;
		if (!one) return h("rect.none", { x, y: 19, width, height: 3, rx });
		const how = tone(one.verdict), height = how === "good" ? 5 + (15 * (one.elapsedMs || 0)) / most : 4;
		return h("g", h("title", `${one.verdict} after ${took(one.elapsedMs)}, ${exact(one.finishedAt)}`),
			h(`rect.${how}`, { x, y: 22 - height, width, height, rx }), how === "bad" && h("path.bad", { d: `M${x} 7l7 8m0-8l-7 8` }));
	});
	return h("svg.ticks", { viewBox: "0 0 92 22", role: "img", "aria-label": `last rollouts, oldest first: ${all.map((one) => one.verdict).join(", ")}` }, marks);
}

// The phases of a rollout, with what is usual as marks.
function bar(phases, elapsed, usual, how) {
	const { medianMs, p95Ms } = usual || {};
	const scale = Math.max(elapsed * 1.12, p95Ms * 1.12 || 0, medianMs * 1.3 || 0, 1e4);
	const at = (ms) => `${Math.min(100, (100 * ms) / scale).toFixed(2)}%`;
	const lasted = (i) => Math.max(0, (phases[i + 1]?.atMs ?? elapsed) - (i && phases[i].atMs));
	const parts = phases.map(({ phase, atMs }, i) =>
		h(`i.${phase}.${phases[i + 1] ? "" : how}`, { style: { left: at(i && atMs), width: at(lasted(i)) }, title: `${phase} for ${took(lasted(i))}`, "data-key": phase }, lasted(i) > scale / 42 * phase.length && phase));
	const mark = (ms, how, text) => ms && h(`u.${how}${ms > scale / 2 ? ".end" : ""}`, { style: { left: at(ms) }, "data-text": text, "data-key": how });
	const said = phases.map(({ phase }, i) => `${phase} ${took(lasted(i))}`);
	return h("div.bar", { role: "img", "aria-label": `phases: ${said.join(", ") || "none yet"}` }, parts, mark(medianMs, "median", ""), mark(p95Ms, "p95", `median ${took(medianMs)}, p95 ${took(p95Ms)}`));
}

function underWay(agent) {
	const { rollout, usual } = agent;
	const elapsed = Math.max(0, now() - Date.parse(rollout.startedAt) + 1000 * data.overview.serverClockAheadS);
	const late = elapsed > (usual.p95Ms || Infinity);
	return h("article.card", { "data-key": agent.name },
		h("div.head", rolloutLink(agent.name, agent.deploymentId), h("span.soft.clip", [agent.region, tag(agent.image)].filter(Boolean).join(" · "))),
		bar(rollout.phases, elapsed, usual, "on"),
		h(`p${late ? ".late.odd" : ""}`, rollout.phases.at(-1)?.phase || "starting", ": ", usual.medianMs ? `usually ready in ${took(usual.medianMs)}` : "its first", `, now ${took(elapsed)}`,
			late && " ⚠ longer than 95 of 100", rollout.rolledBack && " · a roll-back", rollout.observedLate && " · seen late"));
}

// Few of what is under way, unless that is what one looks for: what is down is not to be out of sight.
function underWayNow(wanted = route().query.get("state")) {
	const { underWay: all } = data.overview;
	return wanted === "rolling-out" ? all : wanted ? [] : all.slice(0, 9);
}

// A table. Columns are [head, content of an item]; # is for numbers. Rows of items that are as they were stay.
const made = new Map();
function table(caption, columns, items, keyOf, how = () => "") {
	const heads = columns.map(([head]) => h(head[0] === "#" ? "th.num" : "th", { scope: "col" }, head.replace("#", "")));
	const rows = items.map((item) => {
		const key = `${caption} ${keyOf(item)}`, sign = JSON.stringify(item);
		if (made.get(key) === sign && $("main").querySelector(`tr[data-key="${CSS.escape(clean(key))}"]`)) return h("tr", { "data-key": key, "data-same": "yes" });
		if (made.size > 5000) made.clear();
		made.set(key, sign);
		return h(`tr.${how(item)}`, { "data-key": key }, columns.map(([head, content], i) =>
			h(!i ? "th" : head[0] === "#" ? "td.num" : "td", { scope: !i && "row", "data-label": i && /^#|ed$|Sink|Old/.test(head) && head.replace("#", "") }, content(item))));
	});
	return h("div.scroll", h("table", h("caption", caption), h("thead", h("tr", heads)), h("tbody", rows)));
}

function select(name, label, options, value) {
	return h("label", label, h("select", { "data-filter": name }, options.map(([word, text = word]) => h("option", { value: word, selected: word === (value || "") }, text))));
}
const input = (name, label, value, placeholder) => h("label", label, h("input", { type: "search", "data-filter": name, value, placeholder }));

const facts = (given) => h("dl", given.filter(([, value]) => value || value === 0).map(([name, value]) => h("div", h("dt", name), h("dd", value))));

// --- Charts

const cursors = {};
const STEPS = [1e3, 6e4, 36e5].flatMap((unit) => [1, 2, 5, 10, 20, 30].map((one) => one * unit));

// `series` are [name, look, value of a point]; bars where the look is good or bad.
const abreast = () => (innerWidth > 1100 ? 4 : innerWidth > 640 ? 2 : 1);
function chart({ title, format, top, isTime, series }, points) {
	const wide = Math.max(240, ($("main").firstChild.clientWidth + 10) / abreast() - 43), high = 150, left = 66, floor = high - 20, end = points.length - 1;
	const isBars = series[0][1] === "good";
	const value = (i, s) => series[s][2](points[i].stats) ?? null;
	const sums = points.map((_, i) => series.map((_, s) => value(i, s) || 0)).map((all) => (isBars ? all[0] + all[1] : Math.max(...all)));
	const most = Math.max(...sums, isTime ? 4000 : 1), ten = 10 ** Math.floor(Math.log10(most / 4));
	const step = top / 4 || (isTime ? STEPS.find((one) => one * 4 >= most) || 4e9 : Math.max(1, [1, 2, 5, 10].map((one) => one * ten).find((one) => one * 4 >= most)));
	const ceiling = top || Math.ceil(most / step) * step;
	const y = (one) => 8 + (floor - 8) * (1 - one / ceiling), slot = (wide - left - 6) / points.length, x = (i) => left + slot * (i + 0.5);
	const marks = [];
	for (let one = 0; one <= ceiling * 1.001; one += step) marks.push(h("line.grid", { x1: left, x2: wide, y1: y(one), y2: y(one) }), h("text", { x: left - 6, y: y(one) + 4, "text-anchor": "end" }, format(one)));
	for (const [i, anchor, at] of [[0, "start", left], [end >> 1, "middle", x(end >> 1)], [end, "end", wide]]) if (end > 1 || i === end) marks.push(h("text", { x: at, y: high - 4, "text-anchor": anchor }, points[i].label));
	series.forEach(([, look], s) => {
		let path = "";
		points.forEach((_, i) => {
			const one = value(i, s), base = s && isBars ? value(i, 0) || 0 : 0;
			if (one === null) return;
			if (isBars) marks.push(h(`rect.${look}`, { x: x(i) - slot * 0.36, width: slot * 0.72, y: y(base + one), height: y(base) - y(base + one) }));
			else {
				path += `${i && value(i - 1, s) !== null ? "L" : "M"}${x(i).toFixed(1)} ${y(one).toFixed(1)}`;
				marks.push(h(`circle.${look}`, { cx: x(i), cy: y(one), r: 2.2 }));
			}
		});
		if (path) marks.push(h(`path.${look}`, { d: path }));
	});
	const cursor = cursors[title], at = Math.min(cursor ?? end, end);
	if (cursor >= 0) marks.push(h("line.cursor", { x1: x(at), x2: x(at), y1: 8, y2: floor }));
	const said = `${points[at].label}: ${series.map(([name], s) => `${name} ${value(at, s) === null ? "none" : format(value(at, s))}`).join(", ")}`;
	return h("figure.card", { "data-key": title },
		h("figcaption", h("h3", title), series.map(([name, look]) => h(`span.soft.key.${look}`, name))),
		h("div.plot", { tabindex: "0", role: "slider", "aria-label": `${title} by time; arrow keys read it`, "aria-valuemin": 0, "aria-valuemax": end, "aria-valuenow": at, "aria-valuetext": said, "data-chart": title, "data-left": left / wide, "data-end": end },
			h("svg", { viewBox: `0 0 ${wide} ${high}`, "aria-hidden": "true" }, marks)),
		cursor >= 0 && h("div.tip", { "aria-hidden": "true" }, said));
}

const CHARTS = [
	{ title: "Success rate", format: percent, top: 1, series: [["of those judged", "a", (s) => s?.successRate]] },
	{ title: "Time to ready", format: took, isTime: true, series: [["median", "a", (s) => s?.medianMs], ["p95", "b", (s) => s?.p95Ms]] },
	{ title: "Rollouts", format: n, series: [["ready", "good", (s) => s?.succeeded || 0], ["failed", "bad", (s) => s?.judged - s?.succeeded || 0]] },
	{ title: "Time to restore", format: took, isTime: true, series: [["median", "a", (s) => s?.restoreMs]] },
];

// Every day or week of the range, also those in which nothing happened.
function periods({ days, by }) {
	const found = new Map(data.stats.periods.map(({ start, stats }) => [start, stats])), week = by === "week", all = [];
	let at = Math.floor(now() / DAY) * DAY - (days - 1) * DAY;
	if (week) at -= ((new Date(at).getUTCDay() + 6) % 7) * DAY;
	for (; at <= now(); at += week ? 7 * DAY : DAY) {
		all.push({ label: (week ? "from " : "") + new Date(at).toLocaleDateString(undefined, { month: "short", day: "numeric", timeZone: "UTC" }), stats: found.get(new Date(at).toISOString().slice(0, 10)) });
	}
	return all;
}

// --- Views

const VIEWS = {
	__proto__: null,
	now({ query }) {
		const { agents } = data.overview, { total, agents: found } = data.agents, running = underWayNow(), { "rolling-out": busy } = agents.byState;
		const wanted = query.get("state"), states = Object.entries(STATES);
		return [
			h("div.tiles", states.map(([word, [sign, text]]) => h(`a.tile.${word}${agents.byState[word] ? ".some" : ""}`, { href: withQuery("state", wanted !== word && word), "aria-current": wanted === word && "true" }, h("span.soft", sign, " ", text), h("b", n(agents.byState[word]))))),
			running.length > 0 && h("section", { "data-key": "running" }, h("div.head", heading(`Under way: ${count(busy, "rollout")}`), busy > running.length && !wanted && h("a", { href: withQuery("state", "rolling-out") }, "Show all")), h("div.cards", { id: "cards" }, running.map(underWay))),
			h("section", { "data-key": "agents" },
				h("div.head", heading("Agents"), h("span.soft", query.size ? `${n(total)} of ` : "", n(agents.total)), h("div.filters",
					input("search", "Search", query.get("search"), "name or image"),
					select("region", "Region", [["", "all"], ...Object.entries(agents.byRegion).map(([region, number]) => [region, `${region} (${n(number)})`])], query.get("region")),
					select("state", "State", [["", "all"], ...states.map(([word, [, text]]) => [word, text])], wanted))),
				found.length ? table("Agents, down or rolling out first", [
					["Agent", (a) => [link(to("agent", a.name), a.name), h("small.clip", { title: a.image }, a.reason?.summary || tag(a.image))]],
					["State", (a) => [a.reason ? h("a", { href: to("rollout", a.name, a.deploymentId) }, state(a.state)) : state(a.state), " ", h("small", a.rollout && `${a.phase || ""} `, ago(a.since, ""))]],
					["Region", (a) => a.region],
					["#Replicas", (a) => n(a.readyReplicas)],
					["#Sessions", (a) => n(a.sessions)],
					["Deployed", (a) => ago(a.deploymentCreatedAt)],
					["Last ten rollouts", ticks],
				], found, (a) => a.name, (a) => a.state)
					: query.size ? empty("No agent is like this. ", h("a", { href: "#now" }, "Show all")) : empty("No agents yet: the API's list has none."),
				found.length < total && h("p.more", found.length < 1000 ? button("more", `Show more (${n(found.length)} of ${n(total)})`) : "Only 1,000 are shown; search for others.")),
		];
	},

	history(at) {
		const history = historyOf(at), { agent } = history, { stats: all } = data.stats, one = data.agent, ofOne = at.name === "agent";
		const { rollouts: list, next } = data.rollouts;
		const points = all.count ? periods(history) : [];
		return [
			h("div.head", heading(agent || "History"), one && state(one.state), h("div.filters",
				!ofOne && input("agent", "Agent", agent, "its whole name"),
				select("verdict", "Verdict", [["", "all"], ...VERDICTS.map((word) => [word])], history.verdict),
				select("days", "Time", ["7", "30", "90"].map((days) => [days, `${days} days`]), history.days),
				select("by", "By", [["day"], ["week"]], history.by))),
			one?.rollout && h("div.cards", { id: "cards" }, underWay(one)),
			one && h("section.card", facts([["Since", ago(one.since)], ["Why", one.reason?.summary], ["Deployment", rolloutLink(one.name, one.deploymentId, one.deploymentId)], ["Image", one.image], ["Region", one.region], ["Deployed", ago(one.deploymentCreatedAt)], ["Replicas ready", one.readyReplicas], ["Restarts", one.restartCount], ["Sessions", one.sessions], ["Last ten rollouts", ticks(one)]])),
			h("div.tiles", tile("Rollouts", n(all.count)), tile("Success rate", percent(all.successRate)), tile("Median time to ready", took(all.medianMs), `p95 ${took(all.p95Ms)}`),
				tile("Deployments a day", all.deploymentsPerDay?.toFixed(1) ?? "–"), tile("Time to restore", took(all.restoreMs), `median of ${n(all.restores)}`)),
			points.length > 0 && h("div", h("div.charts", { style: { "--n": abreast() } }, CHARTS.map((one) => chart(one, points))), h("details", h("summary", "The same as a table"),
				table("Figures by time, in UTC", [["From", (p) => p.label], ...CHARTS.flatMap(({ title, format, series }) => series.map(([name, , value]) => [`#${title}: ${name}`, ({ stats }) => (value(stats) === null ? "–" : format(value(stats)))]))], points.filter((p) => p.stats).reverse(), (p) => p.label))),
			h("section", h("div.head", h("h2", "Rollouts")),
				list.length ? table("Ended rollouts, the latest first", [
					["Rollout", (r) => [rolloutLink(r.agent, r.deploymentId, ofOne && (tag(r.image) || r.deploymentId)), h("small.clip", r.reason?.summary || (ofOne ? r.deploymentId : tag(r.image)))]],
					["Verdict", (r) => verdict(r.verdict)],
					["#Took", (r) => took(r.elapsedMs)],
					["Ended", (r) => ago(r.finishedAt)],
					["Region", (r) => r.region],
				], list, (r) => r.id) : empty("No rollout has ended in this time."),
				next && limit < 1000 && h("p.more", button("more", "Show more"))),
		];
	},

	deliveries() {
		const { sinks, mayAct } = data.overview, dead = data.dead.deadLetters;
		const redeliver = (sink, event, text) => mayAct && button("redeliver", text, { "data-sink": sink, "data-event": event });
		return [
			h("div.head", heading("Deliveries")),
			sinks.length ? table("Sinks, and what waits for them", [
				["Sink", (s) => [h("span.name", s.name), !s.configured && h("small", " not configured any more")]],
				["#Waiting", (s) => n(s.pending)],
				["Oldest", (s) => ago(s.oldestAt)],
				["#Dead letters", (s) => n(s.deadLetters)],
				["Action", (s) => s.deadLetters > 0 && s.configured && redeliver(s.name, "", "Send all again")],
			], sinks, (s) => s.name) : empty("No sink is configured: events are kept, and sent nowhere."),
			h("section", h("div.head", h("h2", "Dead letters")),
				!mayAct && dead.length > 0 && h("p.soft", ONLY),
				dead.length ? table("Events given up, the latest first", [
					["Event", (d) => [h("span.name", d.agent), h("small.clip", `${d.kind || "event"} ${d.event}`)]],
					["Sink", (d) => d.sink],
					["Ended", (d) => ago(d.at)],
					["Why", (d) => h("p", d.why)],
					["Action", (d) => redeliver(d.sink, d.event, "Send again")],
				], dead, (d) => `${d.sink} ${d.event}`) : empty("None: every event arrived, or is still being tried.")),
		];
	},

	rollout() {
		const { agent, deploymentId, finished, now: at, before, events } = data.rollout, { mayAct } = data.overview;
		const running = at?.rollout && at.deploymentId?.toLowerCase() === deploymentId.toLowerCase();
		const end = running ? null : finished, shown = running ? at : (end ?? events[0] ?? {}), logs = data.logs?.of === agent + deploymentId && data.logs;
		const title = h("div.head", heading("Rollout of ", link(to("agent", agent), agent)), running ? state("rolling-out") : end && verdict(end.verdict));
		if (!running && !events.length) return [title, empty("Nothing is known of this rollout any more.")];
		return [
			title,
			running ? h("div.cards", { id: "cards" }, underWay(at)) : end?.phases && card("Phases", bar(end.phases, end.elapsedMs || 0, at?.usual, tone(end.verdict))),
			end?.reason && card("Why", h("p", h("b", end.reason.code), ": ", end.reason.summary), end.reason.message && quote("Message", end.reason.message)),
			end?.warnings?.map((warning) => h("p.note.bad", warning.summary)),
			card("Facts", facts([
				["Deployment", deploymentId], ["Image", shown.image], ["Region", shown.region], ["Created", shown.deploymentCreatedAt && clock(shown.deploymentCreatedAt)],
				["Took", end && `${took(end.elapsedMs)}${end.observedLate ? " (seen late)" : ""}`], ["Usually ready in", at?.usual.medianMs && `${took(at.usual.medianMs)}, p95 ${took(at.usual.p95Ms)}`],
				["Restarts", end?.revision?.restartCount], ["Exit code", end?.revision?.lastExitCode],
			])),
			card("Logs", mayAct ? button("logs", "Show logs", { "data-agent": agent, "data-deployment": deploymentId }) : h("p.soft", ONLY),
				logs && (logs.lines.length ? quote("Logs", logs.lines.join("\n")) : h("p", logs.why || "It logged nothing."))),
			before && card("Previous deployment", h("p", verdict(before.verdict), " ", rolloutLink(agent, before.deploymentId, before.deploymentId), ` ${tag(before.image) ?? ""}, ended `, ago(before.finishedAt), ` after ${took(before.elapsedMs)}`)),
			card("Events", h("ol.events", events.map((event) => h("li", { "data-key": event.number }, clock(event.at), h("b", event.kind), event.phase, event.verdict && verdict(event.verdict),
				event.deliveries.map((one) => h("span.soft", { title: `${exact(one.at)} ${one.why ?? ""}` }, { delivered: "✓ delivered to ", waiting: "… waits for ", dead: "✕ dead letter of " }[one.state], one.sink)))))),
		];
	},
};
VIEWS.agent = VIEWS.history;

function render() {
	const at = route(), view = VIEWS[at.name], main = $("main");
	for (const one of document.querySelectorAll("nav a")) one.ariaCurrent = one.hash === `#${at.name}` ? "page" : null;
	renderAge();
	if (!view) show("main", empty("There is nothing at this address. ", h("a", { href: "#now" }, "Show what is going on")));
	else if (data.of === location.hash) {
		show("main", view(at));
		main.removeAttribute("aria-busy");
	} else if (failure) show("main", empty(failure.status ? failure.message : "Nothing yet."));
	if (!data.overview) return;
	const { agents, version, source, faults } = data.overview, { unready, "rolling-out": busy } = agents.byState;
	document.title = [unready && `✕ ${unready} down`, busy && `↻ ${busy}`, "Rollouts"].filter(Boolean).join(" · ");
	show("faults", faults.map((fault) => h("p.note.bad", { role: "alert" }, fault)));
	show("foot", `pipecat-rollout ${version} watches ${source}`);
}

function renderAge() {
	$("live").classList.toggle("off", Boolean(failure));
	$("main").classList.toggle("old", Boolean(failure && last));
	show("live", failure ? (failure.status ? "refused" : "not connected") : last ? "live" : "connecting");
	show("stale", failure && h("p.note.odd", failure.status ? failure.message : last ? `Last update ${took(Date.now() - last)} ago; retrying` : "The sidecar cannot be reached; retrying"));
}

// Once a second what is under way grows, and what is counted goes on.
function tick() {
	if (document.hidden) return;
	for (const time of document.querySelectorAll("[data-ago]")) {
		const text = since(Date.parse(time.dateTime)) + time.dataset.ago;
		if (time.textContent !== text) time.textContent = text;
	}
	if (failure) renderAge();
	const cards = $("cards");
	if (!cards || data.of !== location.hash) return;
	const { name } = route(), running = name === "now" ? underWayNow() : [name === "rollout" ? data.rollout.now : data.agent];
	morph(cards, h("div.cards", { id: "cards" }, running.map(underWay)));
}

// --- What a person does

function say(text) {
	show("said", text);
	clearTimeout(say.timer);
	say.timer = setTimeout(show, 6000, "said");
}

const DOES = {
	more() {
		limit = Math.min(limit + 2 * STEP, 1000);
		return poll();
	},
	async redeliver({ sink, event }) {
		const answer = await ask("dead-letters/redeliver", { sink, event }, { method: "POST" }), body = await answer.json();
		say(answer.ok ? `${count(body.queued, "event")} sent to ${sink} again` : body.error);
		await poll();
	},
	async logs({ agent, deployment }) {
		const answer = await ask("rollout/logs", { agent, deployment, limit: 200 }), body = await answer.json();
		data.logs = { of: agent + deployment, lines: body.lines || [], why: body.error };
		render();
	},
};

document.addEventListener("click", async ({ target }) => {
	const one = target.closest("button[data-do]");
	if (!one || one.disabled) return;
	one.disabled = true;
	await Promise.resolve(DOES[one.dataset.do](one.dataset)).catch((error) => say(error.message));
	one.disabled = false;
});

let typing;
document.addEventListener("input", ({ target }) => {
	const { dataset: { filter }, value } = target;
	clearTimeout(typing);
	typing = setTimeout(() => {
		history.replaceState(null, "", withQuery(filter, value.trim()));
		limit = STEP;
		poll();
	}, 200);
});

function moveCursor(plot, at) {
	const { chart: title, end } = plot.dataset;
	const cursor = at === null ? undefined : Math.max(0, Math.min(end, at));
	if (cursors[title] === cursor) return;
	cursors[title] = cursor;
	morph(plot.closest("figure"), chart(CHARTS.find((one) => one.title === title), periods(historyOf(route()))));
}

function onChart(event, act) {
	document.addEventListener(event, (happened) => {
		const plot = happened.target.closest?.("[data-chart]");
		if (plot && data.of === location.hash) act(plot, happened);
	});
}
onChart("keydown", (plot, event) => {
	const end = Number(plot.dataset.end), at = cursors[plot.dataset.chart] ?? end;
	const moves = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, Home: 0, End: end, Escape: null };
	if (!(event.key in moves)) return;
	event.preventDefault();
	moveCursor(plot, moves[event.key]);
});
onChart("pointermove", (plot, { clientX }) => {
	const { left, width } = plot.getBoundingClientRect(), part = (clientX - left) / width, { left: from, end } = plot.dataset;
	moveCursor(plot, Math.floor(((part - from) / (1 - from)) * (Number(end) + 1)));
});
for (const event of ["focusout", "pointerout"]) onChart(event, (plot, { relatedTarget }) => plot.contains(relatedTarget) || moveCursor(plot, null));

let path = location.hash.split("?")[0];
addEventListener("hashchange", async () => {
	const moved = path !== (path = location.hash.split("?")[0]);
	limit = STEP;
	await poll();
	if (!moved) return;
	scrollTo(0, 0);
	$("main").querySelector("h2")?.focus();
});
$("skip").addEventListener("click", () => $("main").focus());
document.addEventListener("visibilitychange", () => document.hidden || poll());
setInterval(tick, 1000);
keepPolling();
