/* Keys, never while somebody types, nor for who switched them off: "/" search, "g" and a letter a page, "j" and "k" the
   next and previous row of a list, "x" picks it, "c" copies its command, "?" tells all this. */
{
  let before = "";
  const row = () => document.activeElement?.closest("main tbody tr");
  const step = (by) => {
    const rows = [...document.querySelectorAll("main tbody tr")].filter((each) => each.checkVisibility());
    const at = rows.indexOf(row());
    const next = rows[at < 0 ? 0 : at + by];
    (next?.querySelector("a[href]") ?? next?.querySelector("button, input"))?.focus();
  };
  const keys = {
    "/": () => document.getElementById("search")?.focus(),
    "?": () => document.querySelector('[data-key="?"]')?.click(),
    j: () => step(1),
    k: () => step(-1),
    c: () => (row() ?? document.querySelector("main"))?.querySelector("[data-copies]")?.click(),
    x: (event) => row()?.querySelector(".pick input")?.dispatchEvent(
      new MouseEvent("click", { bubbles: true, cancelable: true, shiftKey: event.shiftKey })),
  };
  document.addEventListener("keydown", (event) => {
    const types = event.target.closest?.("input:not([type=checkbox]), select, textarea, dialog, [contenteditable]");
    if (types || event.ctrlKey || event.metaKey || event.altKey || "noKeys" in document.body.dataset) return;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const link = before === "g" && document.querySelector(`[data-key="${CSS.escape(name)}"]`);
    before = link ? "" : name;
    if (link) link.click();
    else if (Object.hasOwn(keys, name)) {
      event.preventDefault();
      keys[name](event);
    }
  });
}
