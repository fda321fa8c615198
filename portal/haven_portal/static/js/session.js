/* A form that stood open for a while first asks whether the session still stands. If not, one signs in above the page,
   and the form is sent as it was filled in. Without JavaScript the sign-in page leads back to the form's. */
{
  const FRESH = 60000;
  let seen = Date.now();
  const asked = (url, more) => fetch(url, { ...more, headers: { "HX-Request": "true", "HX-Current-URL": url } });
  const signIn = async (url, again) => {
    const answer = await asked(url);
    if (answer.redirected) return again();
    const dialog = document.createElement("dialog");
    dialog.className = "dialog";
    dialog.setAttribute("aria-labelledby", "signs-in-title");
    const show = (html) => {
      dialog.innerHTML = html;
      const { username, password } = dialog.querySelector("form")?.elements ?? {};
      if (!username) return;
      username.value = document.body.dataset.user;
      username.readOnly = true;
      password.focus();
    };
    dialog.addEventListener("close", () => dialog.remove());
    dialog.addEventListener("submit", async (event) => {
      event.preventDefault();
      const sent = new URLSearchParams(new FormData(event.target));
      const answer = await asked(event.target.action, { method: "POST", body: sent });
      if (!answer.redirected) return show(await answer.text());
      dialog.close();
      again();
    });
    document.body.append(dialog);
    dialog.showModal();
    show(await answer.text());
  };
  /* A part that nobody would get, or somebody else, is no part of this page: the server wants to know whose it is. */
  document.addEventListener("htmx:config:request", (event) => {
    const { user } = document.body.dataset;
    if (user) event.detail.ctx.request.headers["X-Haven-User"] = encodeURIComponent(user);
  });
  document.addEventListener("submit", async (event) => {
    const { target: form, submitter } = event;
    const { session } = document.body.dataset;
    if (event.defaultPrevented || form.method !== "post" || !session || Date.now() - seen < FRESH) return;
    event.preventDefault();
    const again = () => {
      seen = Date.now();
      form.requestSubmit(submitter);
    };
    try {
      const answer = await asked(session);
      if (answer.status === 401) return await signIn(answer.headers.get("HX-Redirect"), again);
    } catch { /* the network is away: sending the form says so */ }
    again();
  });
}
