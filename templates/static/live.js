// A page that follows what happens on the server. data-live names a stream of events: "change" has new contents of elements by
// their ids, "log" has more lines of a log. What has the focus is left alone until it loses it.
const source = document.querySelector("[data-live]")?.dataset.live;
const log = document.getElementById("log");
const lost = document.getElementById("live-lost");
let stream, failures = 0, done = false, waiting = {};

function put(id, html) {
  const element = document.getElementById(id);
  if (!element) return;
  if (element.contains(document.activeElement)) return void (waiting[id] = html);
  delete waiting[id];
  if (element.dataset.was === html) return;
  element.dataset.was = html;
  element.innerHTML = html;
}
document.addEventListener("focusout", () => setTimeout(() => Object.entries(waiting).forEach(([id, html]) => put(id, html))));

function change(event) {
  const news = JSON.parse(event.data);
  if (news.title) document.title = document.title.replace(/^.*( · )/, news.title + "$1");
  if (news.icon) document.querySelector("link[rel=icon]").href = news.icon;
  for (const [id, html] of Object.entries(news.parts)) put(id, html);
  done = Boolean(news.done);
  if (done || document.hidden) close();
}

function close() {
  stream?.close();
  stream = null;
}

function open() {
  if (done || stream) return;
  const url = new URL(source, location.href);
  if (log?.dataset.last) url.searchParams.set("after", log.dataset.last);
  stream = new EventSource(url);
  stream.addEventListener("open", () => { failures = 0; lost.hidden = true; });
  stream.addEventListener("change", change);
  stream.addEventListener("log", lines);
  stream.addEventListener("error", () => {
    if (++failures >= 3) lost.hidden = false;
    if (stream?.readyState === EventSource.CLOSED) { close(); setTimeout(open, 3000); }
  });
}

// A browser opens few connections to one host for all its tabs: one that is not seen looks now and then.
if (source) {
  open();
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  setInterval(() => document.hidden && open(), 15000);
}

// The log. It is followed while its end is seen.
const followBox = document.getElementById("log-follow");
const fresh = document.getElementById("log-new");
const wrapBox = document.getElementById("log-wrap");
let unread = 0;
const atEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 24;

function toEnd() {
  log.scrollTop = log.scrollHeight;
  unread = 0;
  if (fresh) fresh.hidden = true;
}

function lines(event) {
  if (!followBox || Number(event.lastEventId) <= Number(log.dataset.last)) return;
  let block = log.lastElementChild;
  if (!block || block.children.length >= 200) log.append((block = document.createElement("div")));
  block.insertAdjacentHTML("beforeend", event.data);
  unread += Number(event.lastEventId) - Number(log.dataset.last);
  log.dataset.last = event.lastEventId;
  document.getElementById("log-empty")?.remove();
  if (followBox.checked) return toEnd();
  const forms = JSON.parse(fresh.dataset.forms);
  const language = document.documentElement.lang;
  fresh.textContent = forms[new Intl.PluralRules(language).select(unread)].replace("{n}", unread.toLocaleString(language)) + " ↓";
  fresh.hidden = false;
}

if (followBox) {
  if (location.hash.startsWith("#L")) followBox.checked = false;
  else toEnd();
  let top = log.scrollTop;
  log.addEventListener("scroll", () => {
    if (atEnd()) { followBox.checked = true; toEnd(); } else if (log.scrollTop < top) followBox.checked = false;
    top = log.scrollTop;
  });
  addEventListener("resize", () => followBox.checked && toEnd());
  followBox.addEventListener("change", () => followBox.checked && toEnd());
  fresh.addEventListener("click", () => { followBox.checked = true; toEnd(); log.focus(); });
} else if (log && !location.hash && !location.search) log.scrollTop = log.scrollHeight;

if (wrapBox) {
  wrapBox.checked = localStorage.getItem("wrap") === "on";
  const wrap = () => log.classList.toggle("wrap", wrapBox.checked);
  wrap();
  wrapBox.addEventListener("change", () => { localStorage.setItem("wrap", wrapBox.checked ? "on" : "off"); wrap(); });
}

// #L12 and #L12-L20 mark lines; those that are in another part of the log are gone to.
function mark() {
  if (!log) return;
  log.querySelectorAll(".marked").forEach((line) => line.classList.remove("marked"));
  const range = location.hash.match(/^#L(\d+)(?:-L(\d+))?$/);
  if (!range) return;
  const [from, to] = [Number(range[1]), Number(range[2] || range[1])].sort((a, b) => a - b);
  const first = document.getElementById("L" + from);
  if (!first && from && from <= Number(log.dataset.total) && new URLSearchParams(location.search).get("from") !== String(from)) {
    return location.replace(log.dataset.path + "?from=" + from + location.hash);
  }
  for (let n = from; n <= to && n - from < 2000; n++) document.getElementById("L" + n)?.classList.add("marked");
  first?.scrollIntoView({ block: "center" });
}
addEventListener("hashchange", mark);
mark();
log?.addEventListener("click", (event) => {
  const [, from] = location.hash.match(/^#L(\d+)/) || [];
  const link = event.target.closest("a");
  if (!event.shiftKey || !from || !link) return;
  event.preventDefault();
  location.hash = "#L" + from + "-" + link.hash.slice(1);
});
