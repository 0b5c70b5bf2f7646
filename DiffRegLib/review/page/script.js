"use strict";
const report = document.body.dataset.report;

// Tables: a press on a head sorts by it, a second one turns the order.
for (const head of document.querySelectorAll("table.sortable thead th")) {
  head.addEventListener("click", () => {
    const column = [...head.parentNode.children].indexOf(head);
    const descending = head.classList.contains("up");
    for (const other of head.parentNode.children) other.classList.remove("up", "down");
    head.classList.add(descending ? "down" : "up");
    const key = (row) => row.children[column].dataset.sort ?? row.children[column].textContent.trim();
    const order = (a, b) => {
      const [x, y] = [key(a), key(b)];
      return x !== "" && y !== "" && !isNaN(x) && !isNaN(y) ? x - y : x.localeCompare(y);
    };
    const body = head.closest("table").tBodies[0];
    body.append(...[...body.rows].sort((a, b) => (descending ? -order(a, b) : order(a, b))));
  });
}

// Cases: one at a time, named by the address.
function open() {
  const chosen = document.getElementById(location.hash.slice(1)) || document.querySelector("article.case");
  for (const one of document.querySelectorAll("article.case")) one.classList.toggle("open", one === chosen);
  if (location.hash && chosen) chosen.scrollIntoView();
}
addEventListener("hashchange", open);
open();

// Decisions: kept by this browser, written into a saved copy.
function remembered(form) {
  try { return JSON.parse(localStorage.getItem(`${report} ${form.dataset.case}`) || "{}"); } catch { return {}; }
}
function say(form) {
  for (const place of document.querySelectorAll(`.decided.${form.dataset.case}`)) place.textContent = form.elements.decision.value;
}
for (const form of document.querySelectorAll("form.decision")) {
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const [name, value] of Object.entries(remembered(form))) form.elements[name].value = value;
  say(form);
  form.addEventListener("input", () => {
    const values = Object.fromEntries(new FormData(form));
    try { localStorage.setItem(`${report} ${form.dataset.case}`, JSON.stringify(values)); } catch { /* kept in the page alone */ }
    say(form);
  });
}
function written() {
  for (const form of document.querySelectorAll("form.decision")) {
    for (const option of form.elements.decision.options) option.toggleAttribute("selected", option.selected);
    form.elements.reviewer.setAttribute("value", form.elements.reviewer.value);
    form.elements.comment.textContent = form.elements.comment.value;
  }
  return "<!DOCTYPE html>\n" + document.documentElement.outerHTML;
}
document.getElementById("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([written()], { type: "text/html" }));
  link.download = document.title.replace(/[^\w.-]+/g, "_") + ".html";
  link.click();
});
document.getElementById("print").addEventListener("click", () => print());

// The viewer: the moving image over the fixed one, before or after registration.
for (const viewer of document.querySelectorAll(".viewer")) {
  const control = (name) => viewer.querySelector(`[name=${name}]`);
  let shown = true, timer = 0, at = 0.5;
  const draw = () => {
    const mode = control("mode").value, over = control("start").checked ? "before" : "after";
    viewer.dataset.mode = mode;
    for (const image of viewer.querySelectorAll("img.before, img.after")) {
      const visible = image.classList.contains(over) && (mode !== "flicker" || shown);
      image.style.opacity = !visible ? 0 : mode === "blend" ? control("share").value / 100 : 1;
      image.style.clipPath = mode === "curtain" ? `inset(0 0 0 ${100 * at}%)` : "";
    }
  };
  const restart = () => {
    clearInterval(timer);
    if (control("mode").value === "flicker") timer = setInterval(() => { shown = !shown; draw(); }, 1000 / control("rate").value);
    else shown = true;
    draw();
  };
  viewer.addEventListener("input", restart);
  for (const stack of viewer.querySelectorAll(".stack")) {
    stack.addEventListener("mousemove", (event) => {
      at = (event.clientX - stack.getBoundingClientRect().left) / stack.clientWidth;
      if (control("mode").value === "curtain") draw();
    });
  }
  restart();
}
addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "b" || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
  for (const box of document.querySelectorAll(".viewer [name=start]")) {
    box.checked = !box.checked;
    box.dispatchEvent(new Event("input", { bubbles: true }));
  }
});
