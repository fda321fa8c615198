/* <button data-copies="text">. Plain HTTP has no navigator.clipboard: there the text is selected and copied the old way. */
{
  const old = (text) => {
    const area = document.createElement("textarea");
    area.value = text;
    area.readOnly = true;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  };
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return old(text);
    }
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copies]");
    if (!button) return;
    const done = await copy(button.dataset.copies);
    const words = document.body.dataset;
    window.haven.toast(done ? words.copied : words.notCopied);
    button.focus();
  });
}
