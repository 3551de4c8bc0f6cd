// What forms and links cannot do alone: local times, and saying that the server is away.

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

const SILENT = byId("offline").textContent;
const away = (is, why) => {
  byId("offline").hidden = !is;
  if (is) byId("offline").textContent = why ? `${why} ${byId("offline").dataset.trying}` : SILENT;
};
const isPoll = (element) => (element.getAttribute("hx-trigger") || "").startsWith("every");

let skipped = 0;
document.addEventListener("htmx:beforeRequest", (event) => {
  // A page that nobody looks at asks less often: its title still counts, and the end is told.
  if (document.hidden && isPoll(event.detail.elt) && ++skipped % 5) event.preventDefault();
});
document.addEventListener("htmx:configRequest", (event) => {
  const { etag } = event.detail.elt.dataset;
  if (etag) event.detail.headers["If-None-Match"] = etag;
});
document.addEventListener("htmx:sendError", () => away(true));
document.addEventListener("htmx:responseError", (event) => {
  const { status, responseText } = event.detail.xhr;
  if (status === 404) location.reload();
  else away(true, new DOMParser().parseFromString(responseText, "text/html").querySelector(".notice-title")?.textContent);
});
document.addEventListener("htmx:afterOnLoad", () => away(false));

// --- telling that a job is over ------------------------------------------------------------------------------------

const tell = byId("tell");
if (tell && "Notification" in window) {
  const ask = () => { tell.hidden = Notification.permission !== "default"; };
  tell.addEventListener("click", async () => {
    await Notification.requestPermission();
    ask();
  });
  ask();
}

document.addEventListener("htmx:beforeOnLoad", (event) => {
  const { xhr } = event.detail;
  if (!byId("live") || xhr.getResponseHeader("HX-Refresh") !== "true") return;
  if ("Notification" in window && Notification.permission === "granted") {
    new Notification(new DOMParser().parseFromString(xhr.responseText, "text/html").title);
  }
});
