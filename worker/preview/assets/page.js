// The page of `template-service templates preview`. Texts of templates are only ever set as text.

const $ = (id) => document.getElementById(id);
const HTML_TYPES = new Set(["email", "in_app", "partial"]);
const state = { template: "", language: null, sample: null, values: null, list: [], asked: 0 };

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function say(text) {
  if ($("status").textContent !== text) $("status").textContent = text;
}

// Keyboard focus stays where it is when something is drawn anew.
function keepingFocus(container, key, drawAgain) {
  const focused = document.activeElement;
  const name = container.contains(focused) ? focused.closest(`[data-${key}]`)?.dataset[key] : undefined;
  drawAgain();
  if (name === undefined) return;
  const again = [...container.querySelectorAll(`[data-${key}]`)].find((each) => each.dataset[key] === name);
  (again?.querySelector("a, summary") ?? again)?.focus();
}

// ---- the list

async function loadList() {
  const text = await (await fetch("/api/templates")).text();
  if (text === loadList.last) return;
  loadList.last = text;
  const answer = JSON.parse(text);
  state.list = answer.templates;
  $("folder-problems").replaceChildren(...answer.problems.map(finding));
  drawList();
  const known = state.list.some((each) => each.template_id === state.template);
  if (!known && state.list.length) choose(state.list[0].template_id);
}

function drawList() {
  const wanted = $("filter").value.trim().toLowerCase();
  const items = state.list
    .filter((each) => `${each.template_id} ${each.name}`.toLowerCase().includes(wanted))
    .map((each) => {
      const link = element("a", { href: `#${encodeURIComponent(each.template_id)}` },
        each.template_id, " ", element("span", { className: "kind" }, each.type ?? "", each.has_errors ? " (errors)" : ""));
      if (each.template_id === state.template) link.setAttribute("aria-current", "page");
      const item = element("li", {}, link);
      item.dataset.template = each.template_id;
      return item;
    });
  keepingFocus($("list"), "template", () => $("list").replaceChildren(...items));
}

function choose(template) {
  if (decodeURIComponent(location.hash.slice(1)) !== template) {
    history.replaceState(null, "", `#${encodeURIComponent(template)}`);
  }
  Object.assign(state, { template, language: null, sample: null, values: null });
  drawList();
  socket.watch();
  return show();
}

// ---- one template

async function show() {
  if (!state.template) return;
  const asked = ++state.asked;
  const { template, language, sample, values } = state;
  const response = await fetch("/api/view", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ template_id: template, language, sample, values }),
  });
  if (asked !== state.asked) return; // a newer question is on its way
  if (!response.ok) {
    $("shown").hidden = true;
    say(response.status === 404 ? `${template} is gone.` : "The preview did not answer.");
    return;
  }
  draw(await response.json());
}

function draw(view) {
  $("shown").hidden = false;
  document.title = `${view.template_id} – template preview`;
  $("title").textContent = `${view.name} (${view.template_id})`;
  options($("language"), view.languages, view.rendered?.language ?? state.language ?? view.languages[0]);
  options($("sample"), view.samples, view.sample, "Examples of the variables");
  $("sample").disabled = view.samples.length === 0;
  const isHtml = HTML_TYPES.has(view.type);
  for (const control of document.querySelectorAll(".html-only")) control.hidden = !isHtml;
  drawProblems(view);
  drawParts(view, isHtml);
  drawValues(view);
  drawSources(view);
  const errors = view.findings.filter((each) => each.severity === "error").length;
  const warnings = view.findings.length - errors;
  const refused = view.refused?.length ?? 0;
  if (errors) say(`${errors} error${errors > 1 ? "s" : ""} in ${view.template_id}.`);
  else if (refused) say("The values do not fit.");
  else say(`Rendered in ${view.rendered?.language}${warnings ? `, ${warnings} warning${warnings > 1 ? "s" : ""}` : ""}.`);
}

function options(select, names, chosen, none) {
  const list = none && names.length === 0 ? [element("option", { value: "" }, none)] : [];
  select.replaceChildren(...list, ...names.map((name) => element("option", { value: name }, name)));
  if (chosen) select.value = chosen;
}

function finding(each) {
  const place = each.line ? `${each.file}, line ${each.line}, column ${each.column}` : each.file;
  const box = element("div", { className: `finding ${each.severity}` },
    element("p", {}, element("span", { className: "severity" }, each.severity === "error" ? "Error" : "Warning"), ` ${place}: ${each.message}`));
  if (each.snippet) box.append(element("pre", { tabIndex: 0, ariaLabel: `The place in ${each.file}` }, each.snippet));
  return box;
}

function drawProblems(view) {
  $("problems").hidden = view.findings.length === 0;
  $("problem-list").replaceChildren(...view.findings.map(finding));
}

function drawParts(view, isHtml) {
  const parts = view.rendered;
  const only = (id, condition) => { $(id).hidden = !(parts && condition); return parts && condition; };
  if (only("inbox", view.type === "email")) {
    $("inbox-subject").textContent = parts.subject ?? "(no subject)";
    $("inbox-preheader").textContent = view.inbox_line;
  }
  if (only("frames", isHtml)) drawFrames(view);
  if (only("text", view.type === "email")) $("text-body").textContent = parts.text ?? "";
  if (only("sms", view.type === "sms")) drawSms(parts);
  if (only("push", view.type === "push")) {
    $("push-heading").textContent = parts.title ?? "";
    $("push-body").textContent = parts.body;
  }
  if (only("json", view.type === "json")) $("json-body").textContent = JSON.stringify(parts.document, null, 2);
}

function drawFrames(view) {
  const dark = $("dark").checked;
  const query = `?dark=${dark ? 1 : 0}&rtl=${$("rtl").checked ? 1 : 0}`;
  for (const id of ["wide", "narrow"]) {
    const frame = $(id);
    const source = `/frame/${view.frame}${query}`;
    frame.classList.toggle("dark", dark);
    if (frame.getAttribute("src") !== source) frame.src = source;
  }
  $("dark-note").hidden = !(dark && !view.has_dark_styles);
  drawFrames.view = view;
}

function drawSms(parts) {
  const costly = new Set(parts.costly);
  const pieces = [...parts.body].map((each) => (costly.has(each) ? element("mark", {}, each) : each));
  $("sms-body").replaceChildren(...pieces);
  const unit = parts.encoding === "GSM-7" ? "septets" : "characters of 16 bits";
  $("sms-count").textContent = `${parts.segments} segment${parts.segments === 1 ? "" : "s"}, ${parts.length} ${unit}, ${parts.encoding}`;
  const why = (each) => (parts.ucs2_characters?.includes(each) ? "makes the whole text UCS-2" : "counts twice");
  $("sms-costly").replaceChildren(...parts.costly.map((each) =>
    element("li", {}, `${each} (U+${each.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}) ${why(each)}`)));
}

// ---- values

const KINDS = { integer: "number", number: "number", boolean: "checkbox", date: "date", url: "url", email: "email" };

function at(values, path) {
  return path.reduce((value, step) => (value && typeof value === "object" ? value[step] : undefined), values);
}

function put(values, path, value) {
  const copy = { ...(values ?? {}) };
  const [first, ...rest] = path;
  if (rest.length) copy[first] = put(typeof copy[first] === "object" && copy[first] !== null ? copy[first] : {}, rest, value);
  else if (value === undefined) delete copy[first];
  else copy[first] = value;
  return copy;
}

function drawValues(view) {
  $("values-problem").textContent = (view.refused ?? []).map((each) => `${each.path}: ${each.message}`).join("\n");
  drawValues.values = view.values;
  const json = $("values-json");
  if (document.activeElement !== json) json.value = JSON.stringify(view.values, null, 2);
  const simple = view.variables.filter((each) => /^[\w.]+$/.test(each.name));
  const shape = JSON.stringify([view.template_id, simple.map((each) => [each.name, each.type])]);
  if (drawValues.shape !== shape) {
    drawValues.shape = shape;
    $("values").replaceChildren(...simple.flatMap(field));
  }
  for (const input of $("values").querySelectorAll("[data-name]")) {
    if (input === document.activeElement) continue;
    const value = at(view.values, input.dataset.name.split("."));
    if (input.type === "checkbox") input.checked = value === true;
    else input.value = value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);
  }
}

function field(variable) {
  const id = `value-${variable.name}`;
  const isLong = ["array", "object", "markdown"].includes(variable.type);
  const input = isLong ? element("textarea", { id, rows: 3 }) : element("input", { id, type: KINDS[variable.type] ?? "text", autocomplete: "off" });
  if (variable.type === "number") input.step = "any";
  input.dataset.name = variable.name;
  input.dataset.type = variable.type;
  const note = element("span", { className: "note" }, ` ${variable.type}${variable.required ? ", required" : ""}`);
  if (variable.description) input.title = variable.description;
  return [element("label", { htmlFor: id }, variable.name, note), input];
}

function typed(input) {
  const { type } = input.dataset;
  if (input.type === "checkbox") return input.checked;
  if (input.value === "") return type === "string" ? "" : undefined;
  if (["integer", "number", "array", "object", "any"].includes(type)) {
    try {
      return JSON.parse(input.value);
    } catch {
      return input.value;
    }
  }
  return input.value;
}

// ---- sources, with problems at their lines

function drawSources(view) {
  const open = new Set([...$("sources").querySelectorAll("details[open]")].map((each) => each.dataset.file));
  const sources = view.sources.filter((each) => each.text !== null).map((source) => {
    const here = view.findings.filter((each) => each.file === source.file && each.line);
    const lines = source.text.split("\n").map((text, index) => line(text, index + 1, here));
    const details = element("details", { open: open.has(source.file) || here.some((each) => each.severity === "error") },
      element("summary", {}, source.file), element("pre", { className: "source", tabIndex: 0, ariaLabel: source.file }, ...lines));
    details.dataset.file = source.file;
    return details;
  });
  keepingFocus($("sources"), "file", () => $("sources").replaceChildren(...sources));
}

function line(text, number, findings) {
  const here = findings.filter((each) => each.line === number);
  const row = element("span", { className: here.length ? "line at" : "line" },
    element("span", { className: "number", ariaHidden: "true" }, String(number)), text);
  for (const each of here) {
    const indent = " ".repeat(Math.max(0, each.column - 1));
    row.append(element("span", { className: "caret" },
      element("span", { className: "number" }), `${indent}^ ${each.severity}: ${each.message}`));
  }
  return row;
}

// ---- changes of files

const socket = {
  connect() {
    this.connection = new WebSocket(`ws://${location.host}/api/changes`);
    this.connection.onopen = () => { this.watch(); if (this.wasLost) loadList().then(show); this.wasLost = false; };
    this.connection.onmessage = async (event) => {
      const { changed } = JSON.parse(event.data);
      if (changed === null || changed.includes(state.template)) await show();
      await loadList();
    };
    this.connection.onclose = () => {
      this.wasLost = true;
      say("The preview has stopped; it is looked for again.");
      setTimeout(() => this.connect(), 1000);
    };
  },
  watch() {
    if (this.connection?.readyState === WebSocket.OPEN) this.connection.send(state.template);
  },
};

// ---- events

$("filter").addEventListener("input", drawList);
addEventListener("hashchange", () => choose(decodeURIComponent(location.hash.slice(1))));
$("language").addEventListener("change", (event) => { state.language = event.target.value; show(); });
$("sample").addEventListener("change", (event) => {
  Object.assign(state, { sample: event.target.value, language: null, values: null });
  show();
});
for (const id of ["dark", "rtl"]) $(id).addEventListener("change", () => drawFrames(drawFrames.view));
$("values").addEventListener("submit", (event) => event.preventDefault());
$("values").addEventListener("input", (event) => {
  state.values = put(drawValues.values, event.target.dataset.name.split("."), typed(event.target));
  show();
});
$("values-json").addEventListener("input", (event) => {
  try {
    const values = JSON.parse(event.target.value);
    if (typeof values !== "object" || values === null || Array.isArray(values)) throw new Error("an object is expected");
    state.values = values;
    show();
  } catch (error) {
    $("values-problem").textContent = `Not valid JSON: ${error.message}`;
  }
});
$("reset").addEventListener("click", () => { state.values = null; show(); });

state.template = decodeURIComponent(location.hash.slice(1));
socket.connect();
await loadList();
if (state.template) await show();
