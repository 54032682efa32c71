// Order rows by dragging or by keys. The selects stay the truth: whatever moves here is written into them.
export function makeSortable(ranking) {
  const list = ranking.querySelector(".rank-list");
  const live = ranking.querySelector("[data-live]");
  const confirm = ranking.querySelector("[data-number-all]");
  const ties = !("noTies" in ranking.dataset);
  const rows = () => [...list.children];
  const select = (row) => row.querySelector("select");
  const name = (row) => row.dataset.row;

  // The places as groups of rows, best first. Rows without a place stand alone, where they are.
  function groups() {
    const found = [];
    for (const row of rows()) {
      const place = select(row).value;
      const last = found.at(-1);
      if (place && last && select(last[0]).value === place) last.push(row);
      else found.push([row]);
    }
    return found;
  }

  function write(found, moved = null) {
    const focused = document.activeElement;
    found.forEach((group, index) => {
      for (const row of group) select(row).value = String(index + 1);
    });
    list.append(...found.flat());
    focused.focus?.();
    mark();
    list.dispatchEvent(new Event("change", { bubbles: true }));
    if (moved) say(found, moved);
  }

  function mark() {
    confirm.hidden = rows().every((row) => select(row).value);
    rows().forEach((row, index, all) => {
      const place = select(row).value;
      row.classList.toggle("tied", Boolean(place) && index > 0 && select(all[index - 1]).value === place);
    });
  }

  function say(found, moved) {
    const place = found.findIndex((group) => group.includes(moved));
    const others = found[place].filter((row) => row !== moved).map(name).join(", ");
    const sentence = others ? ranking.dataset.sayTie : ranking.dataset.sayPlace;
    const words = { name: name(moved), place: place + 1, places: found.length, others };
    live.textContent = sentence.replace(/\{(\w+)\}/g, (_, word) => words[word]);
  }

  // Groups without this row, and where its group was.
  function without(row) {
    const found = groups();
    const at = found.findIndex((group) => group.includes(row));
    const alone = found[at].length === 1;
    const rest = found.map((group) => group.filter((one) => one !== row)).filter((group) => group.length);
    return { rest, at, alone };
  }

  // Out of a tie first, past the neighbour next.
  function move(row, step) {
    const { rest, at, alone } = without(row);
    const to = alone ? at + step : step < 0 ? at : at + 1;
    rest.splice(Math.min(Math.max(to, 0), rest.length), 0, [row]);
    write(rest, row);
  }

  function tieWithAbove(row) {
    const above = rows()[rows().indexOf(row) - 1];
    if (above) tie(row, above);
  }

  function tie(row, other) {
    const { rest } = without(row);
    rest.find((group) => group.includes(other)).push(row);
    write(rest, row);
  }

  function putBeside(row, other, after) {
    const { rest } = without(row);
    const at = rest.findIndex((group) => group.includes(other));
    rest.splice(after ? at + 1 : at, 0, [row]);
    write(rest, row);
  }

  // Dragging with mouse, pen or finger.
  function drag(row, handle, start) {
    let target = null;
    const clear = () => rows().forEach((one) => one.classList.remove("drop-before", "drop-after", "drop-tie"));
    const over = (event) => {
      clear();
      target = aim(row, event.clientY);
      target?.row.classList.add(`drop-${target.how}`);
    };
    const end = (event) => {
      handle.removeEventListener("pointermove", over);
      handle.removeEventListener("pointerup", end);
      handle.removeEventListener("pointercancel", end);
      clear();
      row.classList.remove("dragged");
      document.body.classList.remove("dragging");
      if (event.type === "pointercancel" || !target) return;
      if (target.how === "tie") tie(row, target.row);
      else putBeside(row, target.row, target.how === "after");
    };
    handle.setPointerCapture(start.pointerId);
    handle.addEventListener("pointermove", over);
    handle.addEventListener("pointerup", end);
    handle.addEventListener("pointercancel", end);
    row.classList.add("dragged");
    document.body.classList.add("dragging");
  }

  // The upper and lower third of a row mean before and after it, the middle means a tie.
  function aim(dragged, y) {
    const own = dragged.getBoundingClientRect();
    if (y >= own.top && y <= own.bottom) return null;
    for (const row of rows()) {
      if (row === dragged) continue;
      const box = row.getBoundingClientRect();
      const share = (y - box.top) / box.height;
      if (!ties && share <= 1) return { row, how: share < 1 / 2 ? "before" : "after" };
      if (share < 1 / 3) return { row, how: "before" };
      if (share < 2 / 3) return { row, how: "tie" };
      if (share <= 1) return { row, how: "after" };
    }
    return { row: rows().filter((row) => row !== dragged).at(-1), how: "after" };
  }

  // A place chosen in a select moves its row to where the number says.
  function follow() {
    const found = rows();
    const place = (row) => Number(select(row).value) || Infinity;
    found.sort((one, other) => place(one) - place(other) || 0);
    const focused = document.activeElement;
    list.append(...found);
    focused.focus?.();
    mark();
  }

  for (const row of rows()) {
    const handle = row.querySelector(".rank-handle");
    handle.hidden = false;
    handle.addEventListener("pointerdown", (event) => {
      if (event.button === 0) drag(row, handle, event);
    });
    select(row).addEventListener("change", follow);
  }
  confirm.addEventListener("click", () => write(groups()));
  ranking.querySelector("[data-ranking-help]").hidden = false;
  follow();

  return {
    // The action for a key on a row's handle, if there is one.
    keys(key, target) {
      const row = target.closest(".rank-row");
      const step = (by) => () => {
        const all = rows();
        const to = row ? all.indexOf(row) + by : 0;
        all[Math.min(Math.max(to, 0), all.length - 1)].querySelector(".rank-handle").focus();
      };
      if (key === "j") return step(1);
      if (key === "k") return step(-1);
      if (!row) return null;
      if (key === "ArrowUp") return () => move(row, -1);
      if (key === "ArrowDown") return () => move(row, 1);
      if (key === "t" && ties) return () => tieWithAbove(row);
      return null;
    },
  };
}
