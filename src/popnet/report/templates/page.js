"use strict";
// What the pages do beyond lying still: values of pictures under the mouse or the arrow keys, a threshold that can be
// moved, recipes that can be filtered, tables that can be sorted, commands that can be copied. Pictures are drawn on
// the server; here their places are read back from them, so a page holds each number once.

const $$ = (selector, inside = document) => Array.from(inside.querySelectorAll(selector));
const make = (tag, name, parent, text = "") => {
  const node = document.createElement(tag);
  node.className = name;
  node.textContent = text;
  parent?.append(node);
  return node;
};
const figure = (value, digits = 4) =>
  Number(value).toLocaleString("en-GB", { maximumSignificantDigits: digits }).replace("-", "\u2212");
const whole = (value) => Math.round(value).toLocaleString("en-GB");
const percent = (share) => (Number.isFinite(share) ? figure(100 * share, 3) + "\u202f%" : "\u2013");
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// --- values of pictures ---

// An axis as its attributes say: [low, high, name, what its values are].
function scale(chart, side) {
  const [low, high, name, kind] = JSON.parse(chart.dataset[side] || "[0, 100, \"\", \"\"]");
  const text = { whole, percent }[kind] || ((value) => figure(value));
  return {
    name, text,
    value(at) {
      const share = side === "y" ? 1 - at / 100 : at / 100;
      return kind === "log" ? low * (high / low) ** share : low + share * (high - low);
    },
  };
}

// Everything in a picture that has a value: where it is drawn, of which curve it is, and what is said of it.
function targetsOf(chart) {
  const x = scale(chart, "x"), y = scale(chart, "y");
  const said = (a, b, name) => {
    const across = x.name + " " + x.text(x.value(a)), up = y.text(y.value(b));
    return { across, up: (name || y.name) + " " + up, text: (name ? name + ": " : "") + across + ", " + y.name + " " + up };
  };
  const found = [];
  const box = chart.getBoundingClientRect();
  const place = (node, a, b) => {
    const frame = node.getBoundingClientRect();
    return { x: frame.left - box.left + a * frame.width / 100, y: frame.top - box.top + b * frame.height / 100 };
  };
  $$("polyline[data-name]", chart).forEach((line, series) => {
    for (const point of line.getAttribute("points").split(" ")) {
      const [a, b] = point.split(",").map(Number);
      if (b < -1 || b > 101) continue;
      const text = line.dataset.tip ? { text: line.dataset.tip } : said(a, b, line.dataset.name);
      found.push({ ...place(line.ownerSVGElement, a, b), series, at: a, node: line, ...text });
    }
  });
  $$("[data-tip]:not(polyline), circle[cx]:not([data-quiet]), circle:has(> title)", chart).forEach((mark) => {
    const title = mark.querySelector("title");
    if (title) { mark.dataset.tip = title.textContent; title.remove(); }
    const frame = mark.getBoundingClientRect();
    if (frame.width === 0 && frame.height === 0) return;
    const a = parseFloat(mark.getAttribute("cx")), b = parseFloat(mark.getAttribute("cy"));
    const text = mark.dataset.tip || said(a, b).text;
    const centre = { x: frame.left - box.left + frame.width / 2, y: frame.top - box.top + frame.height / 2 };
    found.push({ ...centre, series: Number(mark.dataset.series ?? 1e6), at: centre.x, node: mark, text });
  });
  if (chart.dataset.chart !== "x") return found.sort((a, b) => a.series - b.series || a.at - b.at || a.y - b.y);
  // Curves that are read together: one target for each place across, all curves in its text.
  const together = new Map();
  for (const t of found.filter((t) => t.across)) {
    const known = together.get(t.at);
    if (known) known.text += ", " + t.up;
    else together.set(t.at, { ...t, series: 0, text: t.across + ": " + t.up });
  }
  return [...together.values()].sort((a, b) => a.at - b.at);
}

for (const chart of $$("[data-chart]")) {
  const picture = chart.matches("[role=img]") ? chart : chart.querySelector("[role=img]");
  const name = picture?.getAttribute("aria-label") || "";
  const tip = make("div", "tip", chart), ring = make("span", "tip-ring", chart);
  tip.hidden = ring.hidden = true;
  let targets = [], at = 0, shown = null;
  const keys = chart.dataset.chart !== "mouse"; // its values stand beside it as text
  const say = { role: "slider", tabindex: "0", "aria-label": name, "aria-valuemin": "0", "aria-valuemax": "0",
    "aria-valuenow": "0", "aria-valuetext": "Arrow keys read the values." };
  if (keys) {
    picture?.removeAttribute("role");
    picture?.removeAttribute("aria-label");
    for (const node of chart.children) node.setAttribute("aria-hidden", "true");
    for (const [key, value] of Object.entries(say)) chart.setAttribute(key, value);
  }
  tip.setAttribute("aria-hidden", "true");
  const refresh = () => { targets = targetsOf(chart); at = clamp(at, 0, Math.max(targets.length - 1, 0)); };
  const hide = () => { tip.hidden = ring.hidden = true; shown?.classList.remove("read"); shown = null; };
  const show = (i) => {
    const target = targets[i];
    if (!target) return hide();
    at = i;
    if (shown !== target.node) { shown?.classList.remove("read"); target.node.classList.add("read"); shown = target.node; }
    tip.textContent = target.text;
    tip.hidden = ring.hidden = false;
    ring.style.left = target.x + "px";
    ring.style.top = target.y + "px";
    const room = chart.getBoundingClientRect(), own = tip.getBoundingClientRect();
    const left = clamp(target.x - own.width / 2, Math.min(8 - room.left, 0), document.documentElement.clientWidth - room.left - own.width - 8);
    tip.style.left = left + "px";
    tip.style.top = (target.y - own.height - 12 + room.top > 0 ? target.y - own.height - 12 : target.y + 14) + "px";
    if (!keys) return;
    chart.setAttribute("aria-valuemax", targets.length - 1);
    chart.setAttribute("aria-valuenow", i);
    chart.setAttribute("aria-valuetext", target.text);
  };
  const nearest = (x, y, among = targets) => {
    const across = chart.dataset.chart === "x";
    let best = -1, least = Infinity;
    among.forEach((t, i) => {
      const far = (t.x - x) ** 2 + (across ? 0 : (t.y - y) ** 2);
      if (t && far < least) [best, least] = [i, far];
    });
    return [best, Math.sqrt(least)];
  };
  chart.addEventListener("pointerenter", refresh);
  const point = (event) => {
    if (!targets.length) refresh();
    const box = chart.getBoundingClientRect();
    const [i, far] = nearest(event.clientX - box.left, event.clientY - box.top);
    if (i >= 0 && (far < 60 || chart.dataset.chart === "x")) show(i); else hide();
  };
  chart.addEventListener("pointermove", point);
  chart.addEventListener("pointerdown", point);
  chart.addEventListener("pointerleave", () => { if (document.activeElement !== chart) hide(); });
  chart.addEventListener("focus", () => { refresh(); if (chart.matches(":focus-visible")) show(at); });
  chart.addEventListener("blur", hide);
  chart.addEventListener("keydown", (event) => {
    if (!targets.length) refresh();
    const here = targets[at];
    if (!here || event.target !== chart) return;
    const series = [...new Set(targets.map((t) => t.series))];
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key], jump = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (step) show(clamp(at + step, 0, targets.length - 1));
    else if (jump && series.length > 1) {
      const next = series[clamp(series.indexOf(here.series) + jump, 0, series.length - 1)];
      const [i] = nearest(here.x, here.y, targets.map((t) => (t.series === next ? t : { x: Infinity, y: Infinity })));
      show(i);
    } else if (jump) show(clamp(at + jump, 0, targets.length - 1));
    else if (event.key === "Home") show(0);
    else if (event.key === "End") show(targets.length - 1);
    else if (event.key === "Escape") hide();
    else return;
    event.preventDefault();
  });
}

// --- the threshold between two classes ---

for (const panel of $$("[data-thresholds]")) {
  const { thresholds, found, mistaken, positives, negatives, chosen } = JSON.parse(panel.dataset.thresholds);
  const slider = panel.querySelector("input[type=range]"), back = panel.querySelector("button");
  const matrix = document.querySelector("table.confusion");
  const cells = $$("td.heat", matrix), recall = $$("tbody td:last-child", matrix);
  const precision = $$("tfoot td", matrix);
  panel.hidden = false;
  const draw = () => {
    const i = Number(slider.value);
    const counts = [negatives - mistaken[i], mistaken[i], positives - found[i], found[i]];
    const rows = [negatives, negatives, positives, positives];
    cells.forEach((cell, k) => {
      cell.textContent = whole(counts[k]);
      cell.style.setProperty("--share", rows[k] ? counts[k] / rows[k] : 0);
    });
    const right = [counts[0] / negatives, counts[3] / positives];
    const sure = [counts[0] / (counts[0] + counts[2]), counts[3] / (counts[1] + counts[3])];
    recall.forEach((cell, k) => { cell.textContent = percent(right[k]); });
    precision.slice(0, 2).forEach((cell, k) => { cell.textContent = percent(sure[k]); });
    const said = {
      threshold: figure(thresholds[i]),
      accuracy: percent((counts[0] + counts[3]) / (negatives + positives)),
      precision: percent(sure[1]), recall: percent(right[1]),
      f1: figure(2 * counts[3] / (2 * counts[3] + counts[1] + counts[2]) || 0, 3),
    };
    for (const node of $$("[data-says]", panel)) node.textContent = said[node.dataset.says];
    slider.setAttribute("aria-valuetext", "probability above " + said.threshold);
    const places = { roc: [mistaken[i] / negatives, found[i] / positives], pr: [right[1], sure[1]] };
    for (const [key, [x, y]] of Object.entries(places)) {
      const mark = document.querySelector("[data-moved=" + key + "]");
      mark?.setAttribute("cx", 100 * x + "%");
      mark?.setAttribute("cy", 100 - 100 * (Number.isFinite(y) ? y : 1) + "%");
      mark?.setAttribute("visibility", i === chosen ? "hidden" : "visible");
    }
    back.disabled = i === chosen;
  };
  draw();
  slider.addEventListener("input", draw);
  back.addEventListener("click", () => { slider.value = chosen; draw(); slider.focus(); });
}

// --- recipes: a range on each axis of parallel coordinates leaves those that lie in all of them ---

for (const panel of $$(".parallel")) {
  const plot = panel.querySelector("svg"), lines = $$("polyline[data-recipe]", plot);
  const form = panel.parentElement.querySelector(".brushes");
  const sides = $$("fieldset", form).map((field) => ({ field, low: field.querySelector(".low"), high: field.querySelector(".high") }));
  const said = form.querySelector("output"), reset = form.querySelector("button");
  const rows = new Map($$("table.board tbody tr[data-recipe]").map((row) => [row.dataset.recipe, row]));
  const ranges = sides.map(() => [0, 100]);
  const boxes = sides.map(() => {
    const box = document.createElementNS(plot.namespaceURI, "rect");
    box.setAttribute("class", "brush");
    plot.append(box);
    return box;
  });
  form.hidden = false;
  const draw = () => {
    sides.forEach(({ field, low, high }, k) => {
      const [from, to] = ranges[k], values = JSON.parse(field.dataset.ends);
      const word = (at) => values[Math.round(at / 100 * (values.length - 1))];
      [low.value, high.value] = [from, to];
      low.setAttribute("aria-valuetext", word(from));
      high.setAttribute("aria-valuetext", word(to));
      field.querySelector(".range-text").textContent = from === 0 && to === 100 ? "all" : word(from) + " to " + word(to);
      const active = from > 0 || to < 100;
      boxes[k].setAttribute("x", field.dataset.at + "%");
      boxes[k].setAttribute("transform", "translate(-7 0)");
      boxes[k].setAttribute("width", 14);
      boxes[k].setAttribute("y", 100 - to + "%");
      boxes[k].setAttribute("height", Math.max(to - from, 1) + "%");
      boxes[k].setAttribute("visibility", active ? "visible" : "hidden");
    });
    let kept = 0, first = null;
    for (const line of lines) {
      const places = line.getAttribute("points").split(" ").map((p) => 100 - Number(p.split(",")[1]));
      const inside = ranges.every(([from, to], k) => places[k] >= from - 0.01 && places[k] <= to + 0.01);
      line.classList.toggle("out", !inside);
      rows.get(line.dataset.recipe)?.classList.toggle("out", !inside);
      kept += inside;
      if (inside) first = line;
    }
    const all = kept === lines.length;
    said.textContent = all ? "All " + kept + " recipes." : kept + " of " + lines.length + " recipes" +
      (first ? "; the best of them: " + first.dataset.name + "." : ".");
    reset.disabled = all;
  };
  sides.forEach(({ low, high }, k) => {
    low.addEventListener("input", () => { ranges[k][0] = Math.min(Number(low.value), ranges[k][1]); draw(); });
    high.addEventListener("input", () => { ranges[k][1] = Math.max(Number(high.value), ranges[k][0]); draw(); });
  });
  reset.addEventListener("click", () => { ranges.forEach((r) => r.splice(0, 2, 0, 100)); draw(); });
  // With the mouse: along an axis.
  let pulled = null;
  const up = (event) => {
    const box = plot.getBoundingClientRect();
    return clamp(100 - 100 * (event.clientY - box.top) / box.height, 0, 100);
  };
  plot.addEventListener("pointerdown", (event) => {
    const box = plot.getBoundingClientRect(), x = 100 * (event.clientX - box.left) / box.width;
    const far = sides.map(({ field }) => Math.abs(field.dataset.at - x));
    const k = far.indexOf(Math.min(...far));
    if (far[k] * box.width / 100 > 18) return;
    pulled = { k, from: up(event) };
    plot.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  plot.addEventListener("pointermove", (event) => {
    if (!pulled) return;
    const to = up(event);
    if (Math.abs(to - pulled.from) > 2) ranges[pulled.k].splice(0, 2, Math.round(Math.min(pulled.from, to)), Math.round(Math.max(pulled.from, to)));
    draw();
  });
  plot.addEventListener("pointerup", (event) => {
    // A click on an axis takes its range away.
    if (pulled && Math.abs(up(event) - pulled.from) <= 2) { ranges[pulled.k].splice(0, 2, 0, 100); draw(); }
    pulled = null;
  });
  plot.addEventListener("pointercancel", () => { pulled = null; });
  draw();
}

// --- tables: a click on a heading sorts by it, a second one the other way round ---

for (const table of $$("table.sortable")) {
  const body = table.tBodies[0], heads = Array.from(table.tHead.rows[0].cells);
  const keyOf = (row, i) => {
    const cell = row.cells[i];
    const text = cell.dataset.sort === undefined ? cell.textContent.trim() : cell.dataset.sort;
    return text === "" ? null : Number.isNaN(Number(text)) ? text : Number(text);
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  heads.forEach((head, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((h) => h.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = Array.from(body.rows).map((row) => [keyOf(row, i), row]);
      rows.sort(([a], [b]) => {
        if (a === null || b === null) return (a === null) - (b === null);
        return down ? compare(b, a) : compare(a, b);
      });
      body.append(...rows.map(([, row]) => row));
    });
  });
}

// --- commands are copied with a click ---

for (const block of $$("pre.command")) {
  const box = make("div", "copied", null), button = make("button", "copy", box, "Copy");
  button.type = "button";
  block.replaceWith(box);
  box.append(block);
  button.setAttribute("aria-label", "Copy the command " + block.textContent.trim().slice(0, 80));
  button.addEventListener("click", async () => {
    const range = document.createRange();
    range.selectNodeContents(block);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    // Where a page may not write to the clipboard the text is at least selected.
    try { await navigator.clipboard.writeText(block.textContent.trim()); button.textContent = "Copied"; }
    catch { button.textContent = "Selected"; }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}

// --- the section that is being read is marked in the list of sections ---

const links = new Map($$(".top nav a").map((link) => [link.hash.slice(1), link]));
if (links.size) {
  const watch = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  for (const id of links.keys()) if (document.getElementById(id)) watch.observe(document.getElementById(id));
}

// --- folded parts are printed in full, and fold again ---

let opened = []; // a browser may say twice that it prints
addEventListener("beforeprint", () => {
  for (const part of $$("details:not([open])")) { part.open = true; opened.push(part); }
});
addEventListener("afterprint", () => { for (const part of opened) part.open = false; opened = []; });
