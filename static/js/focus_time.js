// The seconds in which the page had the rater's attention, in a hidden field: visible, and not left alone for long.
// A draft keeps the count.
const IDLE = 120_000; // milliseconds that somebody may read without touching anything
const SIGNS = ["keydown", "pointermove", "pointerdown", "wheel", "scroll"];

export function countSeconds(form, signal) {
  const field = form.elements.namedItem("seconds");
  let seconds = Number(field.value) || 0;
  let since = document.hidden ? null : performance.now();

  const settle = () => {
    const now = performance.now();
    if (since !== null) seconds += Math.min(now - since, IDLE) / 1000;
    since = document.hidden ? null : now;
    field.value = seconds.toFixed(1);
  };
  document.addEventListener("visibilitychange", settle, { signal });
  for (const event of SIGNS) document.addEventListener(event, settle, { capture: true, passive: true, signal });
  // Before the draft is saved and before the form is sent.
  for (const event of ["input", "change", "submit"]) form.addEventListener(event, settle, { capture: true, signal });
}
