// Wide tables scroll by the keyboard, too: the theme puts each into a box that no key reaches.
window.addEventListener("load", () => {
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap")) {
    box.tabIndex = 0;
  }
});

// The theme gives every piece of code a box of buttons, one like the other: each gets a name of its own. And it takes
// code out of the order of the tab key while that is out of sight, where keys could not scroll it.
new MutationObserver(() => {
  document.querySelectorAll(".md-code__nav").forEach((box, index) => {
    const name = `Buttons of code ${index + 1}`;
    if (box.getAttribute("aria-label") !== name) {
      box.setAttribute("aria-label", name);
    }
  });
  for (const code of document.querySelectorAll("pre > code:not([tabindex])")) {
    code.tabIndex = 0;
  }
}).observe(document.documentElement, { attributeFilter: ["tabindex"], childList: true, subtree: true });
