// The seconds in which the page was in front of the rater, in a hidden field. A draft keeps the count.
export function countSeconds(form, signal) {
  const field = form.elements.namedItem("seconds");
  let seconds = Number(field.value) || 0;
  let since = document.hidden ? null : performance.now();

  const settle = () => {
    if (since !== null) seconds += (performance.now() - since) / 1000;
    since = document.hidden ? null : performance.now();
    field.value = seconds.toFixed(1);
  };
  document.addEventListener("visibilitychange", settle, { signal });
  // Before the draft is saved and before the form is sent.
  for (const event of ["input", "change", "submit"]) form.addEventListener(event, settle, { capture: true, signal });
}
