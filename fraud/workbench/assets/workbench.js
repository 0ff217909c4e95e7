// Keys of what an auditor does a hundred times a day. Every one has a button or a link beside it.
"use strict";
(() => {
  const rows = [...document.querySelectorAll("#cases tr")].filter((row) => row.querySelector("a"));
  let at = -1;

  function select(next) {
    if (!rows.length) return;
    rows[at]?.classList.remove("on");
    at = Math.max(0, Math.min(rows.length - 1, next));
    rows[at].classList.add("on");
    rows[at].querySelector("a").focus({ preventScroll: true });
    rows[at].scrollIntoView({ block: "nearest" });
  }

  function step(number) {
    const summary = document.querySelector(`summary[data-key="${number}"]`);
    if (!summary) return;
    const details = summary.parentElement;
    details.open = true;
    (details.querySelector("select, input:not([type=hidden]), textarea") ?? summary).focus();
  }

  // back to the list as it was filtered
  const back = document.getElementById("back");
  if (back && document.referrer.startsWith(`${back.href}?`)) back.href = document.referrer;

  const keys = {
    j: () => select(at + 1),
    k: () => select(at - 1),
    n: () => document.getElementById("take")?.requestSubmit(),
    u: () => back?.click(),
    "/": () => document.getElementById("search")?.focus(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (/^[1-9]$/.test(event.key)) step(event.key);
    else if (keys[event.key]) keys[event.key]();
    else if (event.key === "Enter" && at >= 0 && event.target === document.body) rows[at].querySelector("a").click();
    else return;
    event.preventDefault();
  });

  // one press, one step: a second click while the first is under way does nothing
  for (const form of document.querySelectorAll("form[method=post]"))
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "yes";
      setTimeout(() => delete form.dataset.sent, 3000);
    });
})();
