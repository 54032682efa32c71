// Keeps the page of a run up to date while the run goes on: state, progress, curves, log.
const SECONDS = 2;
const card = document.querySelector("[data-live]");
const curves = document.querySelector("[data-curves]");
const template = document.querySelector("[data-curve-template]");
const log = document.querySelector("[data-log]");

function show(run) {
  const state = card.querySelector("[data-state]");
  if (state.textContent !== run.label) state.textContent = run.label;
  state.dataset.state = run.state;
  card.querySelector("[data-percent]").value = run.percent;
  card.querySelector("[data-waits]").hidden = run.state !== "queued";
  card.querySelector("[data-steps]").hidden = !run.total;
  card.querySelector("[data-step]").textContent = run.step;
  card.querySelector("[data-total]").textContent = run.total;
  run.curves.forEach(draw);
  if (run.curves.length) document.querySelector("[data-no-curves]")?.remove();
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
  if (run.log && log.textContent !== run.log) log.textContent = run.log;
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function draw(curve) {
  const item = [...curves.children].find((child) => child.dataset.curve === curve.name) ?? added(curve.name);
  const chart = item.querySelector("svg");
  chart.replaceChildren(...curve.lines.map(polyline));
  chart.setAttribute("aria-label", `${curve.name}: ${curve.now}`);
  item.querySelector("[data-from]").textContent = curve.steps;
  item.querySelector("[data-range]").textContent = `${curve.low} – ${curve.high}`;
  item.querySelector("[data-now]").textContent = curve.now;
}

function polyline(points) {
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  line.setAttribute("points", points);
  return line;
}

function added(name) {
  const item = template.content.firstElementChild.cloneNode(true);
  item.dataset.curve = name;
  item.querySelector("h3").textContent = name;
  curves.append(item);
  return item;
}

async function tick() {
  try {
    const answer = await fetch(card.dataset.live, { headers: { Accept: "application/json", "X-Refresh": "1" } });
    if (answer.ok && !answer.redirected) {
      const run = await answer.json();
      show(run);
      // The ended run has more to show: result, samples, the model.
      if (run.ended) return location.reload();
    }
  } catch {
    // The server cannot be reached just now; the next tick tries again.
  }
  setTimeout(tick, SECONDS * 1000);
}

setTimeout(tick, SECONDS * 1000);
