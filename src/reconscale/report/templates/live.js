(() => {
  const bar = document.getElementById("live");
  const line = bar.querySelector(".line"), trouble = bar.querySelector(".trouble");
  const say = (place, text) => { if (place.textContent !== text) place.textContent = text; };
  let misses = 0;
  const look = async () => {
    try {
      const answer = await fetch("/status.json", { cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      const now = await answer.json();
      misses = 0;
      say(line, now.line);
      say(trouble, now.trouble);
      if (now.page !== bar.dataset.page) { location.reload(); return; }
    } catch (error) {
      misses += 1;
      if (misses > 2) say(trouble, "reconscale watch has ended: this page is no longer refreshed.");
    }
    setTimeout(look, misses > 2 ? 5000 : 1000);
  };
  setTimeout(look, 1000);
})();
