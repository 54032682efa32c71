// What a rater typed survives a reload: one draft an assignment, in this tab only.
const PREFIX = "palate-draft-";
const SENT_BY_THE_BROWSER = new Set(["csrfmiddlewaretoken"]);

// The drafts of other assignments were sent, skipped or given back: their page is gone.
export function forgetOtherDrafts(assignment) {
  for (const key of Object.keys(sessionStorage)) {
    if (key.startsWith(PREFIX) && key !== PREFIX + assignment) sessionStorage.removeItem(key);
  }
}

export function keepDraft(form) {
  const key = PREFIX + form.dataset.assignment;
  // A page that came back with a problem has the rater's words in it already.
  if (!("answered" in form.dataset)) restore(form, JSON.parse(sessionStorage.getItem(key) ?? "[]"));
  const save = () => {
    const entries = [...new FormData(form)].filter(([name]) => !SENT_BY_THE_BROWSER.has(name));
    sessionStorage.setItem(key, JSON.stringify(entries));
  };
  form.addEventListener("input", save);
  form.addEventListener("change", save);
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

// Pages without a form (the end of a study) only clear up.
if (!document.querySelector("[data-rate]")) forgetOtherDrafts("");
