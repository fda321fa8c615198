/* Menus are <details>; this closes them as people expect, and moves the side navigation in and out on a phone. */
{
  const close = (except) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== except) menu.open = false;
  };
  const side = document.getElementById("side");
  document.addEventListener("click", (event) => {
    close(event.target.closest("details.menu"));
    if (event.target.closest("[data-side]")) {
      event.preventDefault();
      side.classList.toggle("is-open");
      (side.classList.contains("is-open") ? side.querySelector("a") : document.querySelector(".side-open")).focus();
    } else if (side && !event.target.closest("#side")) side.classList.remove("is-open");
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    document.querySelector("details.menu[open] > summary")?.focus();
    close();
    side?.classList.remove("is-open");
  });
}
