// Draws the charts of the page from the numbers in it, and makes its table sort and filter.

const find = (id) => document.getElementById(id);
const data = JSON.parse(find("data").textContent);
const { modules, operators } = data;
const MODULE = -1;

/** The address of a script that the page carries compressed. */
async function unpack(id) {
  const letters = atob(find(id).textContent);
  const packed = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) packed[i] = letters.charCodeAt(i);
  const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = new Blob([await new Response(plain).blob()], { type: "text/javascript" });
  return URL.createObjectURL(script);
}

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const kindColor = (kind) => (kind === MODULE ? color("module") : color(`kind-${kind}`));
const measure = () => document.querySelector("input[name=measure]:checked").value;

/** What both charts share: the page's font and colours, and no part of their own that only a mouse reaches. */
function layout(more) {
  const font = { family: getComputedStyle(document.body).fontFamily, size: 12, color: color("ink") };
  const label = { bgcolor: color("tip"), bordercolor: color("line"), align: "left", namelength: -1 };
  return {
    font, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: false, showlegend: false,
    hoverlabel: { ...label, font: { ...font, color: color("tip-ink") } }, ...more,
  };
}
const config = { displayModeBar: false, responsive: false, doubleClick: false, scrollZoom: false };

/** A column of modules for each level, which a click or the list enters. */
function drawIcicle() {
  const chart = find("icicle");
  const narrow = chart.clientWidth < 600;
  const trace = {
    type: "icicle", branchvalues: "total", sort: false, maxdepth: narrow ? 4 : 6, leaf: { opacity: 1 }, level: find("module").value,
    ids: modules.labels.map((_, i) => String(i)), labels: modules.labels,
    parents: modules.parents.map((parent) => (parent === null ? "" : String(parent))),
    values: modules.values[measure()], customdata: modules.texts,
    marker: { colors: modules.kinds.map(kindColor), line: { width: 0.5, color: color("paper") } },
    texttemplate: narrow ? "%{label}" : "%{label}  %{percentRoot:.1%}", hovertemplate: "%{customdata}<extra></extra>",
    textfont: { color: modules.kinds.map((kind) => (kind === MODULE ? color("ink") : color("on-kind"))) },
    tiling: { orientation: "h", pad: 0 }, pathbar: { visible: false }, root: { color: color("module") },
  };
  const margin = { l: 0, r: 0, t: 0, b: 0 };
  const size = { height: narrow ? 480 : 620, uniformtext: { minsize: 10, mode: "hide" } };
  return Plotly.react(chart, [trace], layout({ margin, ...size }), config);
}

/** A bar for each operator, over bands that are blocks. */
function drawProfile() {
  const chart = find("profile");
  const count = operators.kinds.length;
  const ends = [...operators.blocks.slice(1).map(([, start]) => start), count];
  const band = { type: "rect", yref: "paper", y0: 0, y1: 1, layer: "below", line: { width: 0 } };
  const bands = operators.blocks.map(([, start], i) => ({
    ...band, x0: start - 0.5, x1: ends[i] - 0.5, fillcolor: i % 2 ? "rgba(0,0,0,0)" : color("band"),
  }));
  const ticks = named(operators.blocks, chart.clientWidth / count);
  const trace = {
    type: "bar", x: operators.kinds.map((_, i) => i), y: operators.values[measure()],
    customdata: operators.texts, hovertemplate: "%{customdata}<extra></extra>",
    marker: { color: operators.kinds.map(kindColor), line: { width: 0 } },
  };
  const axis = { fixedrange: true, zeroline: false, linecolor: color("line"), gridcolor: color("line") };
  return Plotly.react(chart, [trace], layout({
    height: 300, margin: { l: 44, r: 4, t: 8, b: 28 }, bargap: 0.12, hovermode: "x", shapes: bands,
    xaxis: {
      ...axis, range: [-0.5, count - 0.5], showgrid: false, tickmode: "array", tickangle: 0,
      tickvals: ticks.map(([, start]) => start), ticktext: ticks.map(([name]) => name), ticklabelposition: "outside right",
    },
    yaxis: { ...axis, rangemode: "tozero", tickformat: "~s", nticks: 6 },
  }), config);
}

/** The blocks whose names fit beside each other, where an operator is so many pixels wide. */
function named(blocks, pixels) {
  const shown = [];
  let free = -1;
  for (const [name, start] of blocks) {
    if (start * pixels < free) continue;
    shown.push([name, start]);
    free = start * pixels + 7 * name.length + 16;
  }
  return shown;
}

/** The list that does for the keyboard what a click does in the icicle. */
function fillModules() {
  for (const i of modules.holders) find("module").add(new Option(modules.paths[i], String(i)));
  find("module").addEventListener("change", drawIcicle);
  find("icicle").on("plotly_icicleclick", ({ nextLevel }) => {
    if (nextLevel !== undefined && modules.holders.includes(Number(nextLevel))) find("module").value = nextLevel;
  });
}

/** A coloured name for each kind of operator. */
function fillLegends() {
  for (const legend of document.querySelectorAll(".legend"))
    data.kinds.forEach((name, i) => {
      const entry = document.createElement("li");
      entry.textContent = name;
      entry.style.setProperty("--mark", `var(--kind-${i})`);
      legend.append(entry);
    });
}

/** The arrow keys show one operator of the profile after the other, and say it. */
function walkProfile() {
  const chart = find("profile");
  const last = operators.kinds.length - 1;
  const steps = { ArrowLeft: (i) => i - 1, ArrowRight: (i) => i + 1, Home: () => 0, End: () => last };
  let at = -1;
  const show = (i) => {
    at = Math.min(Math.max(i, 0), last);
    Plotly.Fx.hover(chart, [{ curveNumber: 0, pointNumber: at }]);
    const said = new DOMParser().parseFromString(operators.texts[at].replaceAll("<br>", ", "), "text/html");
    find("said").textContent = said.body.textContent;
  };
  chart.addEventListener("keydown", (event) => {
    if (event.key === "Escape") Plotly.Fx.unhover(chart);
    if (!(event.key in steps) || last < 0) return;
    event.preventDefault();
    show(steps[event.key](at));
  });
  chart.addEventListener("blur", () => Plotly.Fx.unhover(chart));
}

/** Everything that depends on the measure, the colours or the width. */
function draw() {
  for (const caption of document.querySelectorAll("[data-caption]"))
    caption.textContent = data.captions[measure()][caption.dataset.caption];
  return Promise.all([drawIcicle(), drawProfile()]);
}

/** Lets headings sort and the input filter. */
function makeTable(DataTable) {
  const numbers = { targets: [".number", ".bar"], type: "num", orderSequence: ["desc", "asc", ""] };
  const nothing = { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null };
  const table = new DataTable("#costs", {
    paging: false, order: [], autoWidth: false, columnDefs: [numbers], layout: nothing,
    language: { zeroRecords: "Nothing matches." },
  });
  const tell = () => {
    const { recordsDisplay, recordsTotal } = table.page.info();
    find("shown").textContent = recordsDisplay < recordsTotal ? `${recordsDisplay} of ${recordsTotal} rows` : `${recordsTotal} rows`;
  };
  table.on("draw", tell);
  find("filter").addEventListener("input", (event) => table.search(event.target.value).draw());
  tell();
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
