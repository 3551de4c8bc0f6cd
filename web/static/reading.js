// The threshold's slider and the field beside it say the same; and what a page offers as text can be copied.

function sliders() {
  const slider = document.getElementById("read-slider");
  const field = document.getElementById("read-threshold");
  const auto = document.getElementById("read-auto");
  if (!slider) return;
  slider.hidden = auto.hidden = false;
  const show = () => {
    slider.classList.toggle("unset", !field.value);
    if (field.value) slider.value = field.value;
    auto.disabled = !field.value;
  };
  let due = 0;
  slider.addEventListener("input", (event) => {
    event.stopPropagation();
    field.value = slider.value;
    show();
    clearTimeout(due);
    due = setTimeout(() => field.dispatchEvent(new Event("change", { bubbles: true })), 120);
  });
  slider.addEventListener("change", (event) => event.stopPropagation()); // what moved it has been sent, or will be
  field.addEventListener("change", show);
  auto.addEventListener("click", () => {
    field.value = "";
    show();
    field.dispatchEvent(new Event("change", { bubbles: true }));
  });
  show();
}

sliders();

function offerCopies(root) {
  for (const button of root.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).value);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
});
document.addEventListener("htmx:load", (event) => offerCopies(event.target));
offerCopies(document);
