/* <ul data-tree>: arrow keys walk through what is open, right opens a folder, left closes it or goes up. */
document.addEventListener("keydown", (event) => {
  const tree = event.target.closest?.("[data-tree]");
  if (!tree || event.ctrlKey || event.metaKey || event.altKey) return;
  const places = [...tree.querySelectorAll("summary, a")].filter((place) => place.checkVisibility());
  const at = places.indexOf(event.target);
  const folder = event.target.matches("summary") ? event.target.parentElement : null;
  let next = null;
  if (event.key === "ArrowDown") next = places[at + 1];
  else if (event.key === "ArrowUp") next = places[at - 1];
  else if (event.key === "Home") next = places[0];
  else if (event.key === "End") next = places.at(-1);
  else if (event.key === "ArrowRight") {
    if (folder && !folder.open) folder.open = true;
    else if (folder) next = places[at + 1];
  } else if (event.key === "ArrowLeft") {
    if (folder?.open) folder.open = false;
    else next = (folder ?? event.target).parentElement.closest("details")?.querySelector("summary");
  } else return;
  event.preventDefault();
  next?.focus();
});
