/* Short messages at the bottom: those the server sent leave by themselves, unless they hold something to press. */
window.haven = {
  toast(text) {
    const box = document.getElementById("toasts");
    box.replaceChildren();
    const toast = document.createElement("div");
    toast.className = "toast";
    toast.textContent = text;
    box.append(toast);
    setTimeout(() => toast.remove(), 3000);
  },
};
for (const toast of document.querySelectorAll(".toast")) {
  if (!toast.querySelector("a, button")) setTimeout(() => toast.remove(), 6000);
}
