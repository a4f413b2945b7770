(function () {
  'use strict';
  var root = document.documentElement, button = document.querySelector('.colours');
  var system = matchMedia('(prefers-color-scheme: dark)');
  function isDark() { return root.dataset.colours ? root.dataset.colours === 'dark' : system.matches; }
  function say() { button.textContent = isDark() ? 'Light colours' : 'Dark colours'; }
  button.addEventListener('click', function () { root.dataset.colours = isDark() ? 'light' : 'dark'; say(); });
  system.addEventListener('change', say);
  button.hidden = false;
  say();
}());
