// What forms and links cannot do alone: upload progress, local times, and saying that the server is away.

const byId = (id) => document.getElementById(id);

function words(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  for (; bytes >= 1000 && at < units.length - 1; at += 1) bytes /= 1000;
  return `${at && bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)} ${units[at]}`;
}

// --- times ---------------------------------------------------------------------------------------------------------

function localTimes(root) {
  const style = { dateStyle: "medium", timeStyle: "short" };
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.title = time.dateTime;
    time.textContent = new Date(time.dateTime).toLocaleString(undefined, style);
  }
}

document.addEventListener("htmx:load", (event) => localTimes(event.target));
localTimes(document);

// --- polling -------------------------------------------------------------------------------------------------------

const away = (is) => { byId("offline").hidden = !is; };
const isPoll = (element) => (element.getAttribute("hx-trigger") || "").startsWith("every");

document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && isPoll(event.detail.elt)) event.preventDefault();
});
document.addEventListener("htmx:sendError", () => away(true));
document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  if (status === 404) location.reload();
  else away(true);
});
document.addEventListener("htmx:afterOnLoad", () => away(false));

// --- upload --------------------------------------------------------------------------------------------------------

const form = byId("upload");
if (form) {
  const file = byId("file");
  const drop = file.closest(".drop");
  let key = null; // one key for one choice: sending it again makes no second job

  const show = (problem) => {
    const lines = [problem.detail];
    const row = problem.row ? `data row ${problem.row}` : "";
    const line = problem.line ? `file line ${problem.line}` : "";
    const column = problem.column ? `column ${problem.column}` : "";
    const place = [row && line ? `${row} (${line})` : row || line, column].filter(Boolean).join(", ");
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
  };

  const busy = (is) => {
    byId("go").disabled = is;
    byId("sending").hidden = !is;
    byId("go").textContent = is ? "Uploading …" : "Upload and label";
  };

  const progress = (sent, total) => {
    byId("sent").value = total ? sent / total : 0;
    byId("sent-words").textContent =
      sent < total ? `${words(sent)} of ${words(total)} sent` : "Sent. The file is being looked over …";
  };

  const newKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(16)).join("-");

  form.addEventListener("change", () => {
    key = null;
    const [chosen] = file.files;
    byId("problem").replaceChildren();
    drop.classList.toggle("full", Boolean(chosen));
    if (chosen) byId("chosen").textContent = `${chosen.name}, ${words(chosen.size)}`;
  });
  for (const [name, over] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
    drop.addEventListener(name, () => drop.classList.toggle("over", over));
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const [chosen] = file.files;
    if (chosen.size > Number(form.dataset.limit)) {
      const limit = words(Number(form.dataset.limit));
      show({ detail: `The file is larger than ${limit}.`, next_step: "Split it, or compress it with gzip (.csv.gz)." });
      return;
    }
    key ??= newKey();
    const options = new URLSearchParams({ filename: chosen.name });
    for (const field of form.querySelectorAll("details [name]")) if (field.value) options.set(field.name, field.value);
    const request = new XMLHttpRequest();
    request.open("POST", `${form.dataset.api}?${options}`);
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

  addEventListener("pageshow", () => busy(false));
}
