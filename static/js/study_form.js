// Shows the rating screen beside the form of a study as it will look, and proposes the short name of a new one.
const form = document.querySelector("[data-study-form]");
const pane = document.querySelector("[data-preview-pane]");
const frame = pane.querySelector("[data-preview]");
const PAUSE = 300; // milliseconds without typing before the preview follows
let timer, asked = 0;

async function preview() {
  const turn = ++asked;
  try {
    const answer = await fetch(form.dataset.previewUrl, { method: "POST", body: new FormData(form) });
    // A form that is not valid is answered with its errors (422).
    const shown = (answer.ok || answer.status === 422) && !answer.redirected;
    const html = shown ? await answer.text() : null;
    // A slow answer must not replace a newer one.
    if (html && turn === asked) frame.srcdoc = html;
  } catch {
    // The server cannot be reached just now; the next change tries again.
  }
}

// The frame is as wide as the screen that it stands for, and shrunk to its place.
function fit() {
  const width = Number(pane.querySelector("[data-preview-width] :checked").value);
  const room = frame.parentElement.clientWidth;
  const scale = Math.min(1, room / width);
  const height = width < 500 ? 760 : 860;
  frame.style.width = `${width}px`;
  frame.style.height = `${height}px`;
  frame.style.transform = `scale(${scale})`;
  frame.parentElement.style.height = `${Math.round(height * scale)}px`;
}

function nameFromTitle() {
  const title = form.elements.name, slug = form.elements.slug;
  if (!slug) return;
  const proposed = () => title.value.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 50);
  let own = slug.value !== "" && slug.value !== proposed();
  slug.addEventListener("input", () => (own = slug.value !== ""));
  title.addEventListener("input", () => { if (!own) slug.value = proposed(); });
}

pane.hidden = false;
if (innerWidth < 700) pane.querySelector("[data-preview-width] [value='390']").checked = true;
form.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(preview, PAUSE);
});
pane.querySelector("[data-preview-width]").addEventListener("change", fit);
new ResizeObserver(fit).observe(frame.parentElement.parentElement);
nameFromTitle();
fit();
preview();
