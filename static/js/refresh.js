// Keeps a piece of a page up to date. What is unfolded in it stays unfolded, and nothing moves under the focus.
const SECONDS = 5;
const piece = document.querySelector("[data-refresh]");

async function tick() {
  try {
    if (!document.hidden && !piece.contains(document.activeElement)) {
      const answer = await fetch(piece.dataset.refresh, { headers: { "X-Refresh": "1" } });
      if (answer.ok && !answer.redirected) show(await answer.text());
    }
  } catch {
    // The server cannot be reached just now; the next tick tries again.
  }
  setTimeout(tick, SECONDS * 1000);
}

function show(html) {
  const open = [...piece.querySelectorAll("details")].map((details) => details.open);
  piece.innerHTML = html;
  piece.querySelectorAll("details").forEach((details, n) => (details.open = open[n] ?? false));
}

setTimeout(tick, SECONDS * 1000);
