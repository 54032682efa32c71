// Answers on their way. Each is kept on this device until the server has confirmed it, so that neither a lost
// connection nor a closed tab loses one; each carries a key, so that sending it again changes nothing.
const FIRST_WAIT = 2_000;
const LONGEST_WAIT = 30_000;

// changed: hears how the sending goes; told: what the server says about an answer.
export function openOutbox(rater, token, { changed, told }) {
  const key = `palate-outbox-${rater}`;
  const all = () => JSON.parse(localStorage.getItem(key) ?? "[]");
  const write = (entries) => localStorage.setItem(key, JSON.stringify(entries));
  const replace = (one) => write(all().map((entry) => (entry.submission === one.submission ? one : entry)));
  const remove = (submission) => write(all().filter((entry) => entry.submission !== submission));
  const waiting = () => all().filter((entry) => !entry.problems);
  let wait = FIRST_WAIT;
  let timer = null;

  function tell(state) {
    changed({ state, waiting: waiting().length, refused: all().find((entry) => entry.problems) ?? null });
  }

  // True once nothing is left to send.
  async function flush() {
    clearTimeout(timer);
    const state = await takeTurns(key, sendAll);
    tell(state);
    if (state === "waiting") {
      timer = setTimeout(flush, wait);
      wait = Math.min(wait * 2, LONGEST_WAIT);
    } else wait = FIRST_WAIT;
    return state === "sent";
  }

  async function sendAll() {
    for (const entry of waiting()) {
      const state = await send(entry);
      if (state !== "sent") return state;
    }
    return "sent";
  }

  async function send(entry) {
    let answer;
    try {
      // The answer goes on its way also when the page is left now, unless it is longer than browsers allow for that.
      answer = await fetch(entry.url, post(token(), entry.body, { keepalive: entry.body.length < 60_000 }));
    } catch {
      return "waiting";
    }
    if (answer.status >= 500) return "waiting";
    if (answer.redirected || answer.status === 403) return "signed-out";
    if (answer.ok) {
      remove(entry.submission);
      told((await answer.json()).notices ?? []);
    } else {
      const { problems } = await answer.json().catch(() => ({}));
      replace({ ...entry, problems: problems ?? [answer.statusText] });
    }
    return "sent";
  }

  window.addEventListener("online", flush);
  return {
    add: (entry) => write([...all(), entry]),
    remove: (submission) => {
      remove(submission);
      tell("sent");
    },
    assignments: () => all().map((entry) => entry.assignment),
    flush,
  };
}

// Run one task at a time: of all tabs where the browser has locks, else of this tab. Browsers have them in secure
// contexts only, and a server in a local network may have no certificate; two tabs may then send an answer twice,
// which the server stores once.
let lastTurn = Promise.resolve();
function takeTurns(name, task) {
  if (navigator.locks) return navigator.locks.request(name, task);
  return (lastTurn = lastTurn.then(task, task));
}

// A request of the screen's own, which the server answers with JSON or a piece of the page.
export function post(token, body, options = {}) {
  const headers = {
    Accept: "application/json",
    "Content-Type": "application/x-www-form-urlencoded",
    "X-CSRFToken": token,
  };
  return { method: "POST", headers, body, ...options };
}
