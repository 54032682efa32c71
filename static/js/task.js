// One task on the screen: drafts, focus time, sliders, sorting. `abort` of the signal ends all of it.
import { forgetOtherDrafts, keepDraft } from "./drafts.js";
import { countSeconds } from "./focus_time.js";
import { makeSortable } from "./ranking.js";
import { foldLongTexts, offerDiff } from "./reading.js";

export function startTask(form, signal) {
  if (form.dataset.assignment) {
    const over = form.querySelector("[data-time-over]");
    const timer = watchLease(form, signal, () => (over.hidden = false));
    forgetOtherDrafts(form.dataset.assignment);
    keepDraft(form, signal, (kept) => {
      over.hidden = kept;
      if (kept) timer();
    });
  }
  countSeconds(form, signal);
  joinSliders(form);
  offerStarts(form);
  form.elements.namedItem("device").value = device();
  form.elements.namedItem("submission").value = crypto.randomUUID?.() ?? uuid();
  const ranking = form.querySelector("[data-ranking]");
  document.querySelector("[data-problems]")?.focus();
  return {
    form,
    sorting: ranking ? makeSortable(ranking) : null,
    unfold: foldLongTexts(form),
    diff: offerDiff(form),
  };
}

// Calls `over` when the lease runs out; the returned function starts the time anew.
function watchLease(form, signal, over) {
  let timer = null;
  const start = () => {
    clearTimeout(timer);
    timer = setTimeout(over, Number(form.dataset.leaseMinutes) * 60_000);
  };
  signal.addEventListener("abort", () => clearTimeout(timer));
  start();
  return start;
}

function device() {
  if (!matchMedia("(pointer: coarse)").matches) return "desktop";
  return Math.min(screen.width, screen.height) < 600 ? "phone" : "tablet";
}

// randomUUID exists on secure pages only; a server in the local network may have no certificate.
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Long scales: a slider beside the number; the number is what is sent.
function joinSliders(form) {
  for (const slider of form.querySelectorAll("[data-slider]")) {
    const number = document.getElementById(slider.dataset.slider);
    slider.hidden = false;
    const follow = () => {
      slider.value = number.value;
      slider.classList.toggle("unset", number.value === "");
    };
    follow();
    number.addEventListener("input", follow);
    slider.addEventListener("input", () => {
      number.value = slider.value;
      follow();
      number.dispatchEvent(new Event("change", { bubbles: true }));
    });
  }
}

// A better version may begin as one of the responses.
function offerStarts(form) {
  for (const button of form.querySelectorAll("[data-start-from]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const field = form.elements.namedItem("rewrite");
      field.value = button.dataset.startFrom;
      field.dispatchEvent(new Event("change", { bubbles: true }));
      field.focus();
    });
  }
}
