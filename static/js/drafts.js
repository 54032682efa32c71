// What a rater typed survives a reload, in this tab at once and on the server a moment later.
import { post } from "./outbox.js";

const PREFIX = "palate-draft-";
const PAUSE = 1_000;
const NOT_TYPED = new Set(["csrfmiddlewaretoken", "submission", "device"]);

// The drafts of other assignments were sent, skipped or given back: their page is gone.
export function forgetOtherDrafts(assignment) {
  for (const key of Object.keys(sessionStorage)) {
    if (key.startsWith(PREFIX) && key !== PREFIX + assignment) sessionStorage.removeItem(key);
  }
}

// `kept` hears whether the server still holds the task for this rater.
export function keepDraft(form, signal, kept) {
  const key = PREFIX + form.dataset.assignment;
  // A page that came back with a problem has the rater's words in it already.
  if (!("answered" in form.dataset)) restore(form, JSON.parse(sessionStorage.getItem(key) ?? "[]"));
  let timer = null;

  const typed = () => [...new FormData(form)].filter(([name]) => !NOT_TYPED.has(name));
  const save = () => {
    sessionStorage.setItem(key, JSON.stringify(typed()));
    clearTimeout(timer);
    timer = setTimeout(saveOnServer, PAUSE);
  };
  async function saveOnServer() {
    if (signal.aborted) return;
    const token = form.elements.namedItem("csrfmiddlewaretoken").value;
    try {
      const answer = await fetch(form.dataset.draftUrl, post(token, new URLSearchParams(typed()).toString(), { signal }));
      if (answer.ok && !answer.redirected) kept((await answer.json()).kept);
    } catch {
      // No connection: the draft is in this tab, and the next change tries again.
    }
  }
  form.addEventListener("input", save, { signal });
  form.addEventListener("change", save, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
}

function restore(form, entries) {
  for (const [name, value] of entries) {
    for (const field of form.querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
      if (field.type === "radio" || field.type === "checkbox") field.checked = field.value === value;
      else field.value = value;
      if (value && field.matches("textarea, select")) field.closest("details")?.setAttribute("open", "");
    }
  }
}
