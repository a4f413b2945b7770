// Wide tables scroll by the keyboard, too: the theme puts each into a box that no key reaches.
window.addEventListener("load", () => {
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap")) {
    box.tabIndex = 0;
  }
});
