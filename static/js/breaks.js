// Reminds of a break after so many minutes at work in this tab. A pause of five minutes counts as one.
const KEY = "palate-at-work";
const PAUSE = 5 * 60_000;

export function remindOfBreaks(reminder) {
  const minutes = Number(reminder.dataset.minutes);
  if (!minutes) return;
  const now = () => Date.now();
  const fresh = () => ({ since: now(), last: now() });
  let work = JSON.parse(sessionStorage.getItem(KEY) ?? "null") ?? fresh();

  const note = () => {
    work = now() - work.last > PAUSE ? fresh() : { ...work, last: now() };
    sessionStorage.setItem(KEY, JSON.stringify(work));
    reminder.hidden = now() - work.since < minutes * 60_000;
  };
  for (const event of ["keydown", "pointerdown"]) document.addEventListener(event, note);
  reminder.querySelector("[data-go-on]").addEventListener("click", () => {
    work = fresh();
    note();
  });
  note();
}
