// Names of groups are offered as soon as they are written, and what each has gathered is said.

const taxonomy = document.getElementById("taxonomy");

taxonomy.addEventListener("input", () => {
  const groups = new Map();
  for (const field of taxonomy.querySelectorAll("[name^=group-]")) {
    const name = field.value.trim();
    if (!name) continue;
    const key = name.toLowerCase();
    const group = groups.get(key) ?? { name, count: 0 };
    group.count += 1;
    groups.set(key, group);
  }
  const found = [...groups.values()];
  document.getElementById("groups").replaceChildren(...found.map(({ name }) => {
    const option = document.createElement("option");
    option.value = name;
    return option;
  }));
  const said = document.getElementById("gathered");
  said.hidden = !found.length;
  said.textContent = found.map(({ name, count }) => `${name} (${count})`).join(" · ");
});
