/* <a data-opens="id" href="?dialog=id">: without JavaScript the link shows the dialog inside the page. */
{
  const modal = (dialog) => {
    if (dialog.open) dialog.close();
    dialog.showModal();
    dialog.querySelector("[autofocus], [aria-invalid=true], input:not([type=hidden]), select")?.focus();
  };
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    const dialog = opener && document.getElementById(opener.dataset.opens);
    if (dialog) {
      event.preventDefault();
      modal(dialog);
    }
    const closer = event.target.closest("[data-closes]");
    if (closer) {
      event.preventDefault();
      closer.closest("dialog").close();
    }
    if (event.target.matches("dialog:modal")) event.target.close();
  });
  for (const dialog of document.querySelectorAll("dialog[open]")) modal(dialog);
  document.addEventListener("input", (event) => {
    const wanted = event.target.dataset.mustBe;
    if (wanted === undefined) return;
    event.target.form.querySelector("[type=submit]").disabled = event.target.value !== wanted;
  });
  for (const field of document.querySelectorAll("[data-must-be]")) field.form.querySelector("[type=submit]").disabled = true;
}
