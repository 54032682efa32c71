// The rating screen's comfort: keys, drafts, focus time, one submit. The form itself needs none of this.
import { forgetOtherDrafts, keepDraft } from "./drafts.js";
import { countSeconds } from "./focus_time.js";
import { listenToKeys } from "./keys.js";
import { makeSortable } from "./ranking.js";

const form = document.querySelector("[data-rate]");

forgetOtherDrafts(form.dataset.assignment);
keepDraft(form);
countSeconds(form);
submitOnce(form);
joinSliders(form);
const ranking = form.querySelector("[data-ranking]");
const sorting = ranking ? makeSortable(ranking) : null;
listenToKeys(form, sorting);
document.querySelector("[data-problems]")?.focus();

// A double click sends one answer. (The server would store only one, too.)
function submitOnce(form) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
    form.querySelector("[data-submit]").setAttribute("aria-disabled", "true");
  });
  // A page that the browser brings back from its memory may send again.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    sent = false;
    form.querySelector("[data-submit]").removeAttribute("aria-disabled");
  });
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
