// The workplace: while one task is judged the next is fetched, so that an answer leads to it without waiting.
// Answers go out in the background, from an outbox that survives what may happen. The page itself needs none
// of this: without JavaScript it is a plain form.
import { remindOfBreaks } from "./breaks.js";
import { listenToKeys } from "./keys.js";
import { say, sayOnTheNextPage, sayWhatWasKept } from "./notices.js";
import { openOutbox, post } from "./outbox.js";
import { startTask } from "./task.js";

const NEWEST = 20; // answers that make the pace

const workplace = document.querySelector("[data-workplace]");
const connection = document.querySelector("[data-connection]");
const refused = document.querySelector("[data-refused]");
const token = () => task.form.elements.namedItem("csrfmiddlewaretoken").value;
const outbox = openOutbox(workplace.dataset.rater, token, { changed: showOutbox, told: say });

let task = null;
let ending = null; // ends what listens to the task on the screen
let next = null; // a promise of the next task: its element, or null when there is none
let fetched = null; // the next task, once it is here

begin();
listenToKeys(() => task, { undo });
for (const link of document.querySelectorAll("[data-after-answers]")) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // to a window of its own
    event.preventDefault();
    leaveFor(link.href);
  });
}
remindOfBreaks(document.querySelector("[data-break]"));
sayWhatWasKept();
outbox.flush();

function begin() {
  ending = new AbortController();
  task = startTask(workplace.querySelector("[data-rate]"), ending.signal);
  task.form.addEventListener("submit", send, { signal: ending.signal });
  // The second click of a double click falls on the next task, and does not mean it.
  task.form.addEventListener("click", (event) => event.detail > 1 && event.target.matches("[data-submit]") && event.preventDefault(), {
    signal: ending.signal,
  });
  next = fetchAhead();
}

async function fetchAhead() {
  fetched = null;
  const beyond = [task.form.dataset.assignment, ...outbox.assignments()].map((pk) => ["beyond", pk]);
  try {
    const answer = await fetch(workplace.dataset.aheadUrl, post(token(), new URLSearchParams(beyond).toString()));
    if (answer.status !== 200 || answer.redirected) return null;
    const holder = document.createElement("template");
    holder.innerHTML = await answer.text();
    return (fetched = holder.content);
  } catch {
    return null;
  }
}

// The answer goes into the outbox first; only then does the screen move on.
async function send(event) {
  if (event.submitter && !("submit" in event.submitter.dataset)) return; // skip and return are plain forms
  event.preventDefault();
  const { form } = task;
  if (form.dataset.sent) return;
  form.dataset.sent = "yes";
  form.querySelector("[data-submit]").setAttribute("aria-disabled", "true");
  const fields = new FormData(form);
  fields.delete("csrfmiddlewaretoken");
  outbox.add({
    submission: fields.get("submission"),
    assignment: form.dataset.assignment,
    url: form.action,
    body: new URLSearchParams(fields).toString(),
  });
  const content = fetched ?? (await next);
  paceWith(Number(fields.get("seconds")));
  if (content) show(content);
  const sent = outbox.flush();
  if (!content) await leaveFor(workplace.dataset.rateUrl, sent);
}

function show(content) {
  ending.abort();
  workplace.replaceChildren(content);
  count("[data-judged]", 1);
  count("[data-today]", 1);
  say([]);
  // Where so many are open that they were not counted, the number stays.
  if (document.querySelector("[data-open]")) count("[data-open]", -1);
  window.scrollTo(0, 0);
  begin();
  workplace.querySelector("#prompt-title").focus({ preventScroll: true });
}

function count(selector, by) {
  const place = document.querySelector(selector);
  place.textContent = Math.max(0, Number(place.textContent.replace(/\D/g, "")) + by);
}

// The median of the newest answers, as the server counts it.
function paceWith(seconds) {
  const place = document.querySelector("[data-pace]");
  const newest = [...place.dataset.pace.split(" ").filter(Boolean).map(Number), seconds].slice(-NEWEST);
  place.dataset.pace = newest.join(" ");
  const sorted = newest.toSorted((one, other) => one - other);
  const median = (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
  place.querySelector("[data-seconds]").textContent = Math.round(median);
  place.hidden = false;
}

// To another page, once the answers have arrived: it shows what the server knows.
async function leaveFor(url, sent = outbox.flush()) {
  while (!(await sent)) {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    sent = Promise.resolve(outbox.assignments().length === 0);
  }
  sayOnTheNextPage();
  location.assign(url);
}

function undo() {
  leaveFor(workplace.dataset.undoUrl);
}

function showOutbox({ state, waiting, refused: entry }) {
  connection.hidden = state === "sent" || !waiting;
  const sentence = state === "signed-out" ? connection.dataset.saySignedOut : connection.dataset.sayWaiting;
  if (!connection.hidden) connection.textContent = sentence.replace("{n}", waiting);
  refused.hidden = !entry;
  if (!entry) return;
  refused.querySelector("[data-why]").textContent = entry.problems.join(" ");
  refused.querySelector("[data-drop]").onclick = () => outbox.remove(entry.submission);
  refused.querySelector("[data-see]").onclick = () => see(entry);
}

// An answer that was refused comes back on its own page, with everything that was filled in.
function see(entry) {
  const form = document.createElement("form");
  form.method = "post";
  form.action = entry.url;
  for (const [name, value] of [...new URLSearchParams(entry.body), ["csrfmiddlewaretoken", token()]]) {
    const field = document.createElement("input");
    [field.type, field.name, field.value] = ["hidden", name, value];
    form.append(field);
  }
  document.body.append(form);
  outbox.remove(entry.submission);
  form.submit();
}

// The task that was fetched ahead goes back to the others when the rater leaves.
window.addEventListener("pagehide", () => {
  const form = fetched?.querySelector("[data-rate]");
  if (!form) return;
  const body = new URLSearchParams({ expires: form.dataset.expires }).toString();
  fetch(form.dataset.returnUrl, post(token(), body, { keepalive: true }));
});
// A page that the browser brings back from its memory may be out of date.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
