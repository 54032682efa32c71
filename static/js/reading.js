// Help for reading: long texts fold, and the words that differ between two responses can be marked.
const MOST_WORDS = 3_000;

// A text that is much longer than the screen is folded, all responses alike; one button opens them all.
export function foldLongTexts(form) {
  const limit = Math.max(320, innerHeight * 0.6);
  const texts = [...form.querySelectorAll("[data-fold]")];
  if (!texts.some((text) => text.scrollHeight > limit * 1.3)) return null;
  const buttons = texts.filter((text) => text.scrollHeight > limit).map((text) => addButton(text));
  const fold = (folded) => {
    for (const text of texts) text.classList.toggle("folded", folded && text.scrollHeight > limit);
    for (const button of buttons) {
      button.textContent = folded ? form.dataset.sayAll : form.dataset.sayLess;
      button.setAttribute("aria-expanded", String(!folded));
    }
  };
  let folded = true;
  const toggle = () => fold((folded = !folded));
  for (const button of buttons) button.addEventListener("click", toggle);
  fold(true);
  return toggle;
}

function addButton(text) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button small fold-button";
  text.after(button);
  return button;
}

// The button that marks the differing words of the two responses, and takes the marks away again.
export function offerDiff(form) {
  const button = form.querySelector("[data-diff]");
  const texts = [...form.querySelectorAll(".response [data-fold]")];
  if (!button || texts.length !== 2) return null;
  button.hidden = false;
  const plain = texts.map((text) => text.innerHTML);
  let marked = false;
  const toggle = () => {
    marked = !marked;
    if (marked) mark(...texts);
    else texts.forEach((text, index) => (text.innerHTML = plain[index]));
    button.setAttribute("aria-pressed", String(marked));
  };
  button.addEventListener("click", toggle);
  return toggle;
}

function mark(one, other) {
  const [a, b] = [wordsOf(one), wordsOf(other)];
  if (a.length > MOST_WORDS || b.length > MOST_WORDS) return;
  const common = longestCommon(a.map((word) => word.text), b.map((word) => word.text));
  wrap(a.filter((_, index) => !common.a.has(index)));
  wrap(b.filter((_, index) => !common.b.has(index)));
}

// Words of any script: in Chinese and its like each character is one, also right behind a Latin word.
const ALONE = "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}";
const WORD = new RegExp(`[${ALONE}]|(?:(?![${ALONE}])[\\p{L}\\p{N}\\p{M}])+`, "gu");

function wordsOf(element) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const words = [];
  while (walker.nextNode()) {
    for (const found of walker.currentNode.data.matchAll(WORD)) {
      words.push({ node: walker.currentNode, at: found.index, text: found[0] });
    }
  }
  return words;
}

// The places of a longest common subsequence in both lists.
function longestCommon(a, b) {
  const width = b.length + 1;
  const length = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const [down, right] = [length[(i + 1) * width + j], length[i * width + j + 1]];
      length[i * width + j] = a[i] === b[j] ? length[(i + 1) * width + j + 1] + 1 : Math.max(down, right);
    }
  }
  const common = { a: new Set(), b: new Set() };
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) {
      common.a.add(i++);
      common.b.add(j++);
    } else if (length[(i + 1) * width + j] >= length[i * width + j + 1]) i++;
    else j++;
  }
  return common;
}

// From the last word to the first, so that the places before it stay right.
function wrap(words) {
  for (const { node, at, text } of words.reverse()) {
    const range = document.createRange();
    range.setStart(node, at);
    range.setEnd(node, at + text.length);
    range.surroundContents(document.createElement("mark"));
  }
}
