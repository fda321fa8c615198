/* "/" goes to the search, "g h" home, "g p" to the projects; never while somebody types. */
{
  let before = "";
  document.addEventListener("keydown", (event) => {
    const types = event.target.closest?.("input, select, textarea, dialog, [contenteditable]");
    if (types || event.ctrlKey || event.metaKey || event.altKey) return;
    const link = before === "g" && document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (event.key === "/") {
      event.preventDefault();
      document.getElementById("search")?.focus();
    } else if (link) link.click();
    before = event.key;
  });
}
