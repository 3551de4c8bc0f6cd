// Keys for the check: a digit answers, Shift and a digit ticks one of several, Enter takes what is ticked.

const KEYS = "emobatch.keys";
const wanted = () => localStorage.getItem(KEYS) !== "off";
const card = () => byId("card");

function press(key) {
  const button = card().querySelector(`[data-key="${key}"]`);
  if (!button || card().querySelector(".htmx-request")) return false;
  button.click();
  return true;
}

function tick(label) {
  const box = card().querySelector(`[name=several][value="${CSS.escape(label)}"]`);
  card().querySelector(".several").open = true;
  box.checked = !box.checked;
}

// --- many labels: found by typing ----------------------------------------------------------------------------------

const choices = () => [...card().querySelectorAll(".choice")];

function find(words) {
  const shown = choices().filter((choice) => {
    const name = choice.value.toLowerCase();
    choice.hidden = !name.includes(words);
    choice.classList.remove("first");
    return !choice.hidden;
  });
  // A label that begins with what was typed comes before one that has it somewhere.
  const first = shown.find((choice) => choice.value.toLowerCase().startsWith(words)) ?? shown[0];
  if (words) first?.classList.add("first");
}

// --- keys ----------------------------------------------------------------------------------------------------------

document.addEventListener("keydown", (event) => {
  if (!card() || !wanted() || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const { target } = event;
  const typing = target.matches("input[type=search]");
  if (typing && target.value && event.key !== "Enter") return;
  if (!typing && target.matches("textarea, select, input[type=text]")) return;
  if (event.key === "Enter") {
    if (typing) {
      event.preventDefault();
      if (target.value) card().querySelector(".choice.first")?.click();
    } else if (!target.matches("button, a, summary") && card().querySelector("[name=several]:checked") && press("Enter")) {
      event.preventDefault();
    }
    return;
  }
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1];
  const labelled = digit && card().querySelector(`.choice[data-key="${digit}"]`);
  if (labelled && event.shiftKey) {
    if (labelled.name === "labels") tick(labelled.value);
    event.preventDefault();
  } else if (labelled ? press(digit) : ["?", "ArrowRight", "Backspace"].includes(event.key) && press(event.key)) {
    event.preventDefault();
  }
});

document.addEventListener("input", (event) => {
  if (event.target.id === "find") find(event.target.value.trim().toLowerCase());
});

document.addEventListener("change", (event) => {
  if (event.target.id === "keys") localStorage.setItem(KEYS, event.target.checked ? "on" : "off");
});

// --- each new card -------------------------------------------------------------------------------------------------

function prepare() {
  if (!card()) return;
  card().querySelector(".keys-line").hidden = false;
  byId("keys").checked = wanted();
  const finder = card().querySelector(".finder");
  if (finder) finder.hidden = false;
  // A phone's keyboard would cover half of the card.
  const by = finder && matchMedia("(hover: hover)").matches ? byId("find") : byId("ask-text");
  by.focus({ preventScroll: true });
}

document.addEventListener("htmx:load", (event) => { if (event.target.id === "card") prepare(); });
prepare();
