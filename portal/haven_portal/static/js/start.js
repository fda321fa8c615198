/* Everything here makes pages nicer; every page works without it. Attached through data-* attributes, and by delegation,
   so that parts which htmx swaps in need no second call. */
document.documentElement.classList.add("has-js");
