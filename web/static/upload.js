// The upload page with a script: files and pasted texts are shown before they are sent, and sending shows its progress.

const form = byId("upload");
const file = byId("file");
const drop = file.closest(".drop");
const optionsBox = form.querySelector(".options");
const fields = [...optionsBox.querySelectorAll("[name]")];
const column = byId("text_column");
const DETECTED = ["encoding", "delimiter", "header", "quoting"];
const addresses = { jobs: form.dataset.api, uploads: form.dataset.uploads };

let items = []; // what was chosen, dropped or pasted, in that order
let current = null; // the one that is shown
let sending = null;
let turn = 0; // of looks at the current one: only the answer to the last one is shown

class Item {
  constructor(given, options = {}) {
    this.file = given;
    this.options = options; // overrides of what is detected
    this.key = newKey(); // one key for one choice: sending it again makes no second job
    this.page = null; // of its job
    this.problem = null;
    this.row = byId("file-item").content.cloneNode(true).firstElementChild;
    const [name, cross] = this.row.querySelectorAll("button");
    name.textContent = given.name;
    name.addEventListener("click", () => select(this));
    cross.setAttribute("aria-label", `${cross.title} ${given.name}`);
    cross.addEventListener("click", () => remove(this));
    this.say(words(given.size));
    byId("files").append(this.row);
  }

  say(text) {
    this.row.querySelector(".file-note").textContent = text;
  }

  sent(bytes) {
    const bar = this.row.querySelector("progress");
    bar.hidden = bytes === null;
    bar.value = this.file.size ? (bytes ?? 0) / this.file.size : 1;
  }

  done(page) {
    this.page = page;
    this.sent(null);
    const link = Object.assign(document.createElement("a"), { href: page, textContent: "on its way" });
    this.row.querySelector(".file-note").replaceChildren(link);
  }

  get query() {
    return { filename: this.file.name, ...this.options };
  }
}

// --- problems ------------------------------------------------------------------------------------------------------

function show(problem, status) {
  const lines = [problem.detail];
  const row = problem.row ? `data row ${problem.row}` : "";
  const line = problem.line ? `file line ${problem.line}` : "";
  const place = [row && line ? `${row} (${line})` : row || line, problem.column ? `column ${problem.column}` : ""]
    .filter(Boolean).join(", ");
  if (place) lines.push(`Where: ${place}`);
  if (problem.next_step) lines.push(problem.next_step);
  const box = document.createElement("div");
  box.className = "notice bad";
  box.setAttribute("role", "alert");
  lines.forEach((text, at) => {
    const paragraph = document.createElement("p");
    if (at === 0) paragraph.className = "notice-title";
    paragraph.textContent = text.replaceAll("`", "");
    box.append(paragraph);
  });
  byId("problem").replaceChildren(box);
  const told = document.querySelector("#preview .notice.bad");
  if (told?.textContent.includes(problem.detail)) told.remove(); // once is enough
  if (status === 422) optionsBox.open = true;
  box.scrollIntoView({ block: "nearest" });
}

// --- choosing ------------------------------------------------------------------------------------------------------

function take(given, options) {
  const same = items.find(({ file: { name, size, lastModified }, page }) =>
    !page && name === given.name && size === given.size && lastModified === given.lastModified);
  const item = same ?? new Item(given, options);
  if (!same) items.push(item);
  return item;
}

function takeAll(given) {
  const taken = [...given].map((one) => take(one));
  for (const other of taken.slice(1)) look(other);
  if (taken.length) select(taken[0]);
}

function remove(item) {
  items = items.filter((other) => other !== item);
  item.row.remove();
  if (current === item) {
    current = null;
    if (items.length) select(items[0]);
    else byId("preview").replaceChildren();
  }
  arrange();
}

function select(item) {
  current = item;
  for (const field of fields) field.value = item.options[field.name] ?? "";
  byId("problem").replaceChildren();
  byId("preview").replaceChildren();
  if (item.problem) show(item.problem);
  arrange();
  look(item);
}

function arrange() {
  for (const item of items) item.row.querySelector("button").setAttribute("aria-pressed", item === current);
  const open = items.filter(({ page }) => !page);
  byId("files").hidden = !items.length;
  byId("for-all").hidden = open.length < 2;
  file.required = !items.length; // what was pasted, or chosen before, is in no field
  drop.classList.toggle("full", items.length > 0);
  const go = byId("go");
  go.disabled = Boolean(sending) || (items.length > 0 && !open.length);
  go.textContent = sending ? "Uploading …" : !items.length ? "Upload and label" :
    open.length > 1 ? `Label ${open.length} files` : "Label it";
  byId("stop").hidden = !sending;
}

// --- looking at one before it is sent ------------------------------------------------------------------------------

async function look(item) {
  const shown = item === current;
  const mine = shown ? ++turn : null;
  const box = byId("preview");
  if (shown) box.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(`${form.dataset.preview}?${new URLSearchParams({ ...item.query, bytes: item.file.size })}`, {
      method: "POST",
      headers: { "HX-Request": "true", "Content-Type": "application/octet-stream" },
      body: item.file.slice(0, Number(form.dataset.head)),
    });
    if (response.headers.has("HX-Redirect")) location.assign(response.headers.get("HX-Redirect"));
    if (!response.ok) throw new Error(response.status);
    const html = await response.text();
    if (!item.page && sending?.item !== item) item.say(`${words(item.file.size)} · ${inShort(html)}`);
    if (mine !== turn || item !== current) return;
    const focused = box.contains(document.activeElement) ? document.activeElement.value : null;
    box.innerHTML = html;
    htmx.process(box);
    showChosen(box);
    if (focused !== null) box.querySelector(`[name=preview_column][value="${CSS.escape(focused)}"]`)?.focus();
    sayWhatWasFound();
    byId("looked").textContent = `${item.file.name}: ${inShort(html)}`;
  } catch {
    if (mine === turn) box.replaceChildren(); // it can be sent all the same
  } finally {
    if (mine === turn) box.setAttribute("aria-busy", "false");
  }
}

// Of many columns the one to be labelled is in sight.
function showChosen(box) {
  const chosen = box.querySelector("th.chosen");
  const scroll = box.querySelector(".rows-scroll");
  if (chosen) scroll.scrollLeft += chosen.getBoundingClientRect().right - scroll.getBoundingClientRect().right;
}

function inShort(html) {
  const found = new DOMParser().parseFromString(html, "text/html");
  return found.getElementById("found")?.dataset.short ?? found.querySelector(".notice-title")?.textContent ?? "";
}

function sayWhatWasFound() {
  const found = byId("found")?.dataset ?? {};
  for (const field of fields.filter(({ name }) => DETECTED.includes(name))) {
    const value = found[field.name];
    if (field.tagName === "SELECT") field.options[0].textContent = value && !field.value ? `detected: ${value}` : "detect";
    else field.placeholder = value && !field.value ? `detected: ${value}` : "detect";
  }
}

form.addEventListener("change", (event) => {
  const { target } = event;
  if (target === file) {
    takeAll(file.files);
    file.value = ""; // the same file may be chosen again
    return;
  }
  if (!current || !target.name) return;
  byId("problem").replaceChildren();
  if (target.name === "preview_column") column.value = target.value;
  current.options = Object.fromEntries(fields.filter(({ value }) => value).map(({ name, value }) => [name, value]));
  current.key = newKey();
  current.problem = null;
  look(current);
});

byId("for-all").addEventListener("click", () => {
  for (const item of items.filter((other) => other !== current && !other.page)) {
    Object.assign(item, { options: { ...current.options }, key: newKey(), problem: null });
    look(item);
  }
});

for (const [name, over] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
  drop.addEventListener(name, () => drop.classList.toggle("over", over));
}

// --- pasted text ---------------------------------------------------------------------------------------------------

let pastes = 0;

// Cells from a spreadsheet have tabs between them. Other signs are a table's if each line has as many of them, and the
// first line is short words: else they stand in sentences, and each line is a text.
function isTable(text) {
  const lines = text.split(/\r\n?|\n/).filter((line) => line.trim()).slice(0, 50);
  const counts = (sign) => lines.map((line) => line.replace(/"[^"]*"/g, "").split(sign).length - 1);
  if (counts("\t").every((count) => count > 0)) return true;
  return lines.length > 1 && [",", ";", "|"].some((sign) => {
    const [first, ...rest] = counts(sign);
    const heads = lines[0].split(sign);
    return first > 0 && rest.every((count) => count === first || lines[0].includes('"'))
      && heads.every((head) => /^[^.!?]{1,40}$/.test(head.trim()));
  });
}

function takeText(text) {
  pastes += 1;
  const table = isTable(text);
  const name = `pasted${pastes > 1 ? ` ${pastes}` : ""}.${table ? "csv" : "txt"}`;
  const given = new File([text], name, { type: "text/csv" });
  select(take(given, table ? {} : { delimiter: "none", header: "no", quoting: "no" }));
}

byId("use").addEventListener("click", () => {
  const box = byId("pasted");
  if (!box.value.trim()) return box.focus();
  takeText(box.value);
  box.value = "";
  byId("paste").open = false;
});

document.addEventListener("paste", (event) => {
  if (event.target.closest("input, textarea, select") && event.target !== file) return;
  const text = event.clipboardData.getData("text/plain");
  if (event.clipboardData.files.length) takeAll(event.clipboardData.files);
  else if (text.trim()) takeText(text);
});

// --- sending -------------------------------------------------------------------------------------------------------

function report(item, { sent, broken }) {
  const { size } = item.file;
  item.sent(sent);
  if (broken) item.say(`The connection broke at ${words(sent)} of ${words(size)}. Trying again in ${broken} s …`);
  else item.say(sent < size ? `${words(sent)} of ${words(size)} sent` : "Sent. The file is being looked over …");
}

async function send(item) {
  if (item.file.size > Number(form.dataset.limit)) {
    const detail = `The file is larger than ${words(Number(form.dataset.limit))}.`;
    throw new Refused({ detail, next_step: "Split it, or compress it with gzip (.csv.gz)." }, 413);
  }
  sending = new Sending(item.file, item.query, item.key, addresses, (told) => report(item, told));
  sending.item = item;
  arrange();
  report(item, { sent: 0 });
  item.done(await sending.run());
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("problem").replaceChildren();
  let refused = null;
  try {
    for (const item of items.filter(({ page }) => !page)) {
      try {
        await send(item);
      } catch (error) {
        item.sent(null);
        item.say(words(item.file.size));
        if (!(error instanceof Refused)) throw error;
        if (error.status === 401) return location.assign("/sign-in");
        Object.assign(item, { problem: error.problem });
        item.say(error.problem.detail);
        refused ??= [item, error];
      }
    }
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    return;
  } finally {
    sending = null;
    arrange();
  }
  if (refused) {
    const [item, { problem, status }] = refused;
    if (current !== item) select(item);
    show(items.length > 1 ? { ...problem, detail: `${item.file.name}: ${problem.detail}` } : problem, status);
  } else location.assign(items.length === 1 ? items[0].page : form.dataset.jobs);
});

byId("stop").addEventListener("click", () => sending?.stop());

addEventListener("beforeunload", (event) => {
  if (sending) event.preventDefault();
});

file.multiple = true;
byId("paste").hidden = false;
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload(); // what was sent is not sent again by going back
  else if (file.files.length) takeAll(file.files); // the browser kept it
});
