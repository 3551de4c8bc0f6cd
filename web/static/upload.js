// The upload page with a script: the file is shown before it is sent, and sending shows its progress.

const form = byId("upload");
const file = byId("file");
const drop = file.closest(".drop");
const fields = [...form.querySelectorAll("details [name]")];
const column = byId("text_column");
const DETECTED = ["encoding", "delimiter", "header", "quoting"];

let chosen = null; // a file that was picked, dropped or pasted
let key = null; // one key for one choice: sending it again makes no second job
let turn = 0; // of previews: only the answer to the last one asked for is shown

// --- problems ------------------------------------------------------------------------------------------------------

function show(problem) {
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
  if (problem.status === 422) form.querySelector("details").open = true;
  box.scrollIntoView({ block: "nearest" });
}

function options() {
  const given = new URLSearchParams({ filename: chosen.name });
  for (const field of fields) if (field.value) given.set(field.name, field.value);
  return given;
}

// --- before it is sent ---------------------------------------------------------------------------------------------

async function preview() {
  const mine = ++turn;
  const box = byId("preview");
  const given = options();
  given.set("bytes", chosen.size);
  box.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(`${form.dataset.preview}?${given}`, {
      method: "POST",
      headers: { "HX-Request": "true", "Content-Type": "application/octet-stream" },
      body: chosen.slice(0, Number(form.dataset.head)),
    });
    if (mine !== turn) return;
    if (response.headers.has("HX-Redirect")) location.assign(response.headers.get("HX-Redirect"));
    if (!response.ok) throw new Error(response.status);
    const focused = box.contains(document.activeElement) ? document.activeElement.value : null;
    box.innerHTML = await response.text();
    htmx.process(box);
    if (focused !== null) box.querySelector(`[name=preview_column][value="${CSS.escape(focused)}"]`)?.focus();
    sayWhatWasFound();
  } catch {
    if (mine === turn) box.replaceChildren(); // it can be sent all the same
  } finally {
    if (mine === turn) box.setAttribute("aria-busy", "false");
  }
}

function sayWhatWasFound() {
  const found = byId("found")?.dataset ?? {};
  for (const field of fields.filter(({ name }) => DETECTED.includes(name))) {
    const value = found[field.name];
    if (field.tagName === "SELECT") field.options[0].textContent = value && !field.value ? `detected: ${value}` : "detect";
    else field.placeholder = value && !field.value ? `detected: ${value}` : "detect";
  }
}

function take(given) {
  chosen = given;
  file.required = false; // what was pasted is in no field
  if (column.dataset.clicked) column.value = ""; // a column of the file before
  delete column.dataset.clicked;
  key = null;
  byId("problem").replaceChildren();
  byId("preview").replaceChildren();
  drop.classList.add("full");
  byId("chosen").textContent = `${chosen.name}, ${words(chosen.size)}`;
  byId("go").textContent = "Label it";
  preview();
}

form.addEventListener("change", (event) => {
  const { target } = event;
  if (target === file) {
    if (file.files.length) take(file.files[0]);
    return;
  }
  key = null;
  byId("problem").replaceChildren();
  if (target.name === "preview_column") {
    column.value = target.value;
    column.dataset.clicked = "yes";
  } else if (target === column) delete column.dataset.clicked;
  if (chosen) preview();
});

for (const [name, over] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
  drop.addEventListener(name, () => drop.classList.toggle("over", over));
}

document.addEventListener("paste", (event) => {
  if (event.target.closest("input, textarea, select") && event.target !== file) return;
  const [pasted] = event.clipboardData.files;
  const text = event.clipboardData.getData("text/plain");
  if (pasted) take(pasted);
  else if (text.trim()) take(new File([text], "pasted.csv", { type: "text/csv" }));
});

// --- sending -------------------------------------------------------------------------------------------------------

function busy(is) {
  byId("go").disabled = is;
  byId("sending").hidden = !is;
  byId("go").textContent = is ? "Uploading …" : chosen ? "Label it" : "Upload and label";
}

function progress(sent, total) {
  byId("sent").value = total ? sent / total : 0;
  byId("sent-words").textContent =
    sent < total ? `${words(sent)} of ${words(total)} sent` : "Sent. The file is being looked over …";
}

const newKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(16)).join("-");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  chosen ??= file.files[0];
  if (chosen.size > Number(form.dataset.limit)) {
    const limit = words(Number(form.dataset.limit));
    show({ detail: `The file is larger than ${limit}.`, next_step: "Split it, or compress it with gzip (.csv.gz)." });
    return;
  }
  key ??= newKey();
  const request = new XMLHttpRequest();
  request.open("POST", `${form.dataset.api}?${options()}`);
  request.setRequestHeader("Content-Type", "text/csv");
  request.setRequestHeader("Idempotency-Key", key);
  request.responseType = "json";
  request.upload.addEventListener("progress", (sent) => progress(sent.loaded, sent.total));
  request.addEventListener("load", () => {
    if (request.status === 202) {
      location.assign(request.response.links.page);
      return;
    }
    busy(false);
    if (request.status === 401) location.assign("/sign-in");
    else show(request.response ?? { detail: `The server answered ${request.status}.`, next_step: "Try again." });
  });
  request.addEventListener("error", () => {
    busy(false);
    show({ detail: "The connection broke, or the file changed.", next_step: "Choose the file again and send it." });
  });
  byId("problem").replaceChildren();
  progress(0, chosen.size);
  busy(true);
  request.send(chosen);
});

addEventListener("pageshow", () => {
  busy(false);
  if (file.files.length && !chosen) take(file.files[0]); // the browser kept it, coming back
});
