/* <table data-pick>: a box in the head takes all rows, Shift takes those in between, and the bar says how many. */
{
  let last = null;
  const boxes = (table) => [...table.querySelectorAll("tbody .pick input")];
  const count = (table) => {
    const label = table.closest("form").querySelector("[data-selected]");
    const picked = boxes(table).filter((box) => box.checked).length;
    if (label) label.textContent = `${picked} ${label.dataset.selected}`;
    const all = table.querySelector("[data-pick-all]");
    if (!all) return;
    all.checked = picked > 0 && picked === boxes(table).length;
    all.indeterminate = picked > 0 && !all.checked;
  };
  document.addEventListener("click", (event) => {
    const table = event.target.closest?.("table[data-pick]");
    if (!table || event.target.type !== "checkbox") return;
    const rows = boxes(table);
    const at = rows.indexOf(event.target);
    if (event.target.matches("[data-pick-all]")) for (const box of rows) box.checked = event.target.checked;
    else if (event.shiftKey && rows.includes(last)) {
      const [from, to] = [at, rows.indexOf(last)].sort((a, b) => a - b);
      for (const box of rows.slice(from, to + 1)) box.checked = event.target.checked;
    }
    if (at >= 0) last = event.target;
    count(table);
  });
  /* a button for one row sends that row only */
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button[data-alone]");
    if (button) for (const box of button.form.querySelectorAll(".pick input")) box.checked = false;
  });
}
