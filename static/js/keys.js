// One key for everything a rater does often. Keys with Ctrl, Alt or Meta belong to the browser.
// Caps Lock and keyboards without Latin letters or with digits above Shift change nothing.
// `current` names the task on the screen: its form, and its sorting where it is a ranking.
export function listenToKeys(current, { undo = null } = {}) {
  const cheatSheet = () => document.querySelector("[data-keys]");
  const opener = document.querySelector("[data-open-keys]");
  opener.hidden = false;
  opener.addEventListener("click", () => cheatSheet().showModal());

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || cheatSheet().open) return;
    const task = current();
    const { form, sorting } = task;
    if (event.target.matches("textarea, select, [type=number], [type=range]")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const key = meant(event);
    const act = common(task, key) ?? sorting?.keys(key, event.target) ?? compare(form, key) ?? score(form, key, event.target);
    if (!act) return;
    event.preventDefault();
    act();
  });

  function common(task, key) {
    const { form } = task;
    if (key === "?") return () => cheatSheet().showModal();
    if (key === "c" && form.querySelector("[data-comment]")) return () => unfold(form, "[data-comment]", "textarea");
    if (key === "s" && form.querySelector("[data-skip]")) return () => unfold(form, "[data-skip]", "select");
    if (key === "z" && undo) return undo;
    if (key === "d") return task.diff;
    if (key === "e") return task.unfold;
    if (key === "v" && form.querySelector("[data-reveal]")) return () => form.querySelector("[data-reveal]").click();
    if (key === "Enter" && !document.activeElement.matches("button:not(.rank-handle), a, summary")) {
      return () => form.requestSubmit(form.querySelector("[data-submit]"));
    }
    return null;
  }

  function unfold(form, selector, field) {
    const details = form.querySelector(selector);
    details.open = true;
    details.querySelector(field).focus();
  }

  function compare(form, key) {
    const bar = [...form.querySelectorAll("[data-preference] .pill:not(.alone) input")];
    if (!bar.length) return null;
    const now = bar.findIndex((radio) => radio.checked);
    const last = bar.length - 1;
    const to = (place) => () => choose(bar[Math.min(Math.max(place, 0), last)]);
    const tie = bar.find((radio) => radio.value === "tie");
    switch (key) {
      case "ArrowLeft": return to(now < 0 ? Math.ceil(last / 2) - 1 : now - 1);
      case "ArrowRight": return to(now < 0 ? Math.floor(last / 2) + 1 : now + 1);
      // From slightly to much better, and round again.
      case "a": return stronger(bar.filter((radio) => radio.value.startsWith("a")).reverse());
      case "b": return stronger(bar.filter((radio) => radio.value.startsWith("b")));
      case "=": case "0": return tie ? () => choose(tie) : null;
      case "u": return () => choose(form.querySelector("[data-preference] .alone input"));
      default: return null;
    }
  }

  function stronger(side) {
    const now = side.findIndex((radio) => radio.checked);
    return () => choose(side[(now + 1) % side.length]);
  }

  function score(form, key, target) {
    if (!/^[0-9]$/.test(key)) return null;
    const scales = [...form.querySelectorAll("[data-criterion]")].filter((scale) => scale.querySelector("[type=radio]"));
    const unanswered = (scale) => !scale.querySelector(":checked");
    const scale = target.closest("[data-criterion]") ?? scales.find(unanswered);
    if (!scale) return null;
    const radios = [...scale.querySelectorAll("[type=radio]")];
    // The key is the score itself, or else the place on a scale with other numbers.
    const radio = radios.find((one) => one.value === key) ?? radios[Number(key) - 1];
    if (!radio) return null;
    return () => {
      choose(radio);
      scales.find(unanswered)?.querySelector("[type=radio]").focus();
    };
  }

  function choose(radio) {
    radio.checked = true;
    radio.focus();
    radio.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

// The key as the list of keys names it: what it writes, or else what stands there on a Latin keyboard.
function meant({ key, code, shiftKey }) {
  if (key.length !== 1) return key;
  if (key === "؟" || key === "？") return "?";
  if (code.startsWith("Digit") && !shiftKey) return code.at(-1);
  if (/[ -~]/.test(key)) return key.toLowerCase();
  return code.startsWith("Key") ? code.at(-1).toLowerCase() : key;
}
