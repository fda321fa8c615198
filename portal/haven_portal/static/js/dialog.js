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
    const closed = event.target.closest("[data-closes]")?.closest("dialog:modal");
    if (closed) {
      event.preventDefault();
      closed.close();
    }
    if (event.target.matches("dialog:modal")) event.target.close();
  });
  /* <a data-confirms href="…">: the page behind the link asks a question; here it does so in a dialog. */
  const ask = async (link) => {
    const answer = await fetch(link.href, { headers: { "HX-Request": "true" } }).catch(() => null);
    if (!answer?.ok || answer.redirected) return location.assign(link.href);
    const dialog = document.createElement("dialog");
    dialog.className = "dialog";
    dialog.setAttribute("aria-labelledby", "question-title");
    dialog.innerHTML = await answer.text();
    dialog.addEventListener("close", () => { dialog.remove(); link.focus(); });
    document.body.append(dialog);
    hold(dialog);
    modal(dialog);
  };
  const hold = (root) => {
    for (const field of root.querySelectorAll("[data-must-be]")) {
      field.form.querySelector("[type=submit]").disabled = field.value !== field.dataset.mustBe;
    }
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-confirms]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    ask(link);
  });
  for (const dialog of document.querySelectorAll("dialog[open]")) modal(dialog);
  document.addEventListener("input", (event) => {
    const wanted = event.target.dataset.mustBe;
    if (wanted === undefined) return;
    event.target.form.querySelector("[type=submit]").disabled = event.target.value !== wanted;
  });
  hold(document);
}
