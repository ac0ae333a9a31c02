"use strict";
const form = document.getElementById("form");
const answer = document.getElementById("answer");
const inputs = [...form.querySelectorAll("[data-column]")];
const button = form.querySelector("button");

function element(tag, text, name) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
}

function valueOf(input) {
  const text = input.value.trim();
  return text === "" ? null : input.value;
}

function written(value) {
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) && Math.abs(value) < 1e15 ? String(value) : String(Number(value.toPrecision(5)));
}

function clearProblems() {
  for (const input of inputs) {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
    document.getElementById(`${input.id}-problem`).hidden = true;
  }
}

function showProblems(found) {
  answer.append(element("p", found.error || "The server gave no answer.", "problem"));
  let first = null;
  for (const { field, problem } of found.problems || []) {
    const input = inputs.find((one) => one.dataset.column === field);
    if (!input) { answer.append(element("p", `${field ?? "row"}: ${problem}`, "problem")); continue; }
    const place = document.getElementById(`${input.id}-problem`);
    place.textContent = problem;
    place.hidden = false;
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", place.id);
    first = first || input;
  }
  if (first) first.focus();
}

function bars(row) {
  const table = element("table");
  const shares = Object.entries(row).filter(([name]) => name.startsWith("probability_"));
  shares.sort((a, b) => b[1] - a[1]);
  for (const [name, share] of shares.slice(0, 20)) {
    const line = element("tr");
    const head = element("th", name.slice("probability_".length));
    head.scope = "row";
    const bar = element("div", undefined, "bar");
    bar.style.width = `${100 * share}%`;
    const cell = element("td");
    cell.append(bar);
    line.append(head, element("td", `${(100 * share).toFixed(1)} %`, "share"), cell);
    table.append(line);
  }
  return table;
}

function show(found, targets) {
  const row = found.predictions[0];
  for (const target of targets) {
    answer.append(element("p", targets.length > 1 ? `${target}: ${written(row[target])}` : written(row[target]), "answer"));
    if (`${target}_low` in row) {
      answer.append(element("p", `90 % of such rows lie between ${written(row[`${target}_low`])} and ${written(row[`${target}_high`])}.`));
    }
  }
  if (form.dataset.classes === "yes") answer.append(bars(row));
  for (const note of found.notes || []) answer.append(element("p", note, "quiet"));
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  clearProblems();
  answer.replaceChildren();
  button.disabled = true;
  try {
    const asked = form.dataset.classes === "yes" ? "?proba=true" : form.dataset.intervals === "yes" ? "?interval=0.9" : "";
    let options;
    if (form.dataset.image === "yes") {
      const data = new FormData();
      data.append("images", document.getElementById("image").files[0]);
      options = { method: "POST", body: data };
    } else {
      const row = Object.fromEntries(inputs.map((input) => [input.dataset.column, valueOf(input)]));
      options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ rows: [row] }) };
    }
    const response = await fetch(`predict${asked}`, options);
    const found = await response.json();
    if (response.ok) show(found, found.target);
    else showProblems(found);
  } catch {
    answer.append(element("p", "The server cannot be reached.", "problem"));
  } finally {
    button.disabled = false;
  }
});
