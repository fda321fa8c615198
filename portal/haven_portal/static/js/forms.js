/* A form is sent once: its button waits for the answer. What has data-submits sends its form when it changes. */
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post" || event.defaultPrevented) return;
  const button = event.submitter ?? event.target.querySelector("[type=submit]");
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "1";
  button?.classList.add("is-busy");
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const button of document.querySelectorAll(".is-busy")) button.classList.remove("is-busy");
});
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
});
