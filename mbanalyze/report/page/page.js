// Reads the data of the page, unpacks its libraries and starts its charts and its table.

const find = (id) => document.getElementById(id);
const data = JSON.parse(find("data").textContent);
const { modules, operators } = data;
const children = modules.labels.map(() => []);
modules.parents.forEach((parent, i) => parent === null || children[parent].push(i));
const number = (text) => Number(text.replace(/[^0-9.]/g, ""));
const escaped = (text) => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);

/** The address of a script that the page carries compressed. */
async function unpack(id) {
  const letters = atob(find(id).textContent);
  const packed = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) packed[i] = letters.charCodeAt(i);
  const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = new Blob([await new Response(plain).blob()], { type: "text/javascript" });
  return URL.createObjectURL(script);
}

async function start() {
  const { default: DataTable } = await import(await unpack("datatables"));
  makeTable(DataTable);
  await import(await unpack("plotly"));
  for (const hidden of document.querySelectorAll(".needs-script")) hidden.hidden = false;
  fillLegends();
  await draw();
  fillModules();
  walkProfile();
  for (const choice of document.querySelectorAll("input[name=measure]")) choice.addEventListener("change", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    requestAnimationFrame(draw);
  });
  document.documentElement.dataset.ready = "";
}

start();
