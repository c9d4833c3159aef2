// Reads the data of the page, unpacks its libraries and starts its charts and its table.

const find = (id) => document.getElementById(id);
const data = JSON.parse(find("data").textContent);
const { modules, operators } = data;
const children = modules.labels.map(() => []);
modules.parents.forEach((parent, i) => parent === null || children[parent].push(i));
const number = (text) => Number(text.replace(/[^0-9.]/g, ""));
const escaped = (text) => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);

/** The address of a text that the page carries compressed. */
async function unpack(id, type = "text/javascript") {
  const letters = atob(find(id).textContent);
  const packed = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) packed[i] = letters.charCodeAt(i);
  const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return URL.createObjectURL(new Blob([await new Response(plain).blob()], { type }));
}

/** Saves the report when a button is pressed. */
function offerDownloads() {
  const made = {};
  for (const button of document.querySelectorAll("[data-download]"))
    button.addEventListener("click", async () => {
      const { download, type, name } = button.dataset;
      made[download] ??= unpack(download, type);
      Object.assign(document.createElement("a"), { href: await made[download], download: name }).click();
    });
}

/** Keeps jumps and the focus out from under the bar, whose height depends on the width. */
function clearBar() {
  const bar = document.querySelector(".chooser");
  const height = () => (getComputedStyle(bar).position === "sticky" ? bar.offsetHeight : 0);
  new ResizeObserver(() => document.documentElement.style.setProperty("--bar", `${height()}px`)).observe(bar);
}

async function start() {
  const { default: DataTable } = await import(await unpack("datatables"));
  const showShares = makeTable(DataTable);
  await import(await unpack("plotly"));
  for (const hidden of document.querySelectorAll(".needs-script")) hidden.hidden = false;
  clearBar();
  offerDownloads();
  await draw();
  fillModules();
  walkProfile();
  for (const choice of document.querySelectorAll("input[name=measure]")) choice.addEventListener("change", () => (draw(), showShares()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  for (const when of ["beforeprint", "afterprint"])
    addEventListener(when, () => {
      document.documentElement.toggleAttribute("data-paper", when === "beforeprint");
      draw();
    });
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    requestAnimationFrame(draw);
  });
  find(location.hash.slice(1))?.scrollIntoView();
  document.documentElement.dataset.ready = "";
}

start();
