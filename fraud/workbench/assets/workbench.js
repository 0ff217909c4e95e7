// Keys of what an auditor does a hundred times a day. Every one has a button or a link beside it.
"use strict";
(() => {
  const rows = [...document.querySelectorAll("#cases > tr:not(.lines)")].filter((row) => row.querySelector("a"));
  const help = document.getElementById("help");
  const batch = document.getElementById("batch");
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
    const view = document.querySelector(`[data-view="${number}"]`);
    if (view) return view.click();
    const summary = document.querySelector(`summary[data-key="${number}"]`);
    if (!summary) return;
    const details = summary.parentElement;
    details.open = true;
    (details.querySelector("select, input:not([type=hidden]), textarea") ?? summary).focus();
  }

  // choosing many cases
  const boxes = [...document.querySelectorAll("input[name=case]:not(:disabled)")];
  function count() {
    if (!batch) return;
    const picked = boxes.filter((box) => box.checked).length;
    batch.hidden = picked === 0;
    document.getElementById("picked").textContent = picked;
    document.getElementById("all").checked = picked > 0 && picked === boxes.length;
  }
  function all(checked) {
    for (const box of boxes) box.checked = checked;
    count();
  }
  function pick() {
    const box = rows[at]?.querySelector("input[name=case]:not(:disabled)");
    if (box) box.click();
  }
  for (const box of boxes) box.addEventListener("change", count);
  document.getElementById("all")?.addEventListener("change", (event) => all(event.target.checked));
  document.getElementById("none")?.addEventListener("click", () => all(false));
  count();

  // after a word on a claim, on to the next one
  const here = rows.findIndex((row) => row.id && `#${row.id}` === location.hash);
  if (here >= 0) select(here + 1);

  // back to the list as it was filtered
  const back = document.getElementById("back");
  if (back && document.referrer.startsWith(`${back.href}?`)) back.href = document.referrer;

  const focus = (id) => () => document.getElementById(id)?.focus();
  const say = (verdict) => () => rows[at]?.querySelector(`button[value="${verdict}"]`)?.click();
  const turn = (rel) => () => document.querySelector(`a[rel=${rel}]`)?.click();
  const keys = {
    j: () => select(at + 1),
    k: () => select(at - 1),
    n: () => document.getElementById("take")?.requestSubmit(),
    u: () => back?.click(),
    x: pick,
    a: () => batch && !batch.hidden && document.getElementById("assignee").focus(),
    f: () => document.querySelector(".choose select")?.focus(),
    s: focus("sort"),
    v: focus("view-name"),
    c: focus("comment"),
    y: say("fraud"),
    o: say("innocent"),
    r: () => {
      const ring = document.getElementById("ring");
      if (!ring) return;
      ring.open = true;
      ring.scrollIntoView({ block: "start" });
    },
    "[": turn("prev"),
    "]": turn("next"),
    "/": focus("search"),
    "?": () => help?.showModal(),
  };
  document.querySelector("[data-help]")?.addEventListener("click", keys["?"]);

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help?.open) return;
    if (event.target.closest("input:not([type=checkbox]), select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (/^[1-9]$/.test(event.key)) step(event.key);
    else if (Object.hasOwn(keys, event.key)) keys[event.key]();
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
