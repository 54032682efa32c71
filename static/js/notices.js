// What the server says about an answer, such as whether others agree. It stays readable when another page follows at once.
const KEY = "palate-said";
const place = document.querySelector("[data-notice]");

export function say(sentences) {
  place.hidden = !sentences.length;
  place.textContent = sentences.join(" ");
}

export function sayOnTheNextPage() {
  if (!place.hidden) sessionStorage.setItem(KEY, place.textContent);
}

export function sayWhatWasKept() {
  const kept = sessionStorage.getItem(KEY);
  sessionStorage.removeItem(KEY);
  if (kept) say([kept]);
}
