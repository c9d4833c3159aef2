// Draws the charts and lets mouse and keyboard ask them.

const MODULE = -1;
const ALL = 1000; // modules that the icicle draws at once
const SOME = 400; // modules that it draws at once if there are more

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const measureName = () => data.measures.find(([name]) => name === measure())[1];
const measure = () => document.querySelector("input[name=measure]:checked").value;

/** The colour of each of many kinds. */
function kindColors(kinds) {
  const colors = { [MODULE]: color("module") };
  return kinds.map((kind) => (colors[kind] ??= color(`kind-${kind}`)));
}

/** The numbers of the measure in tooltips; unknown is 0. */
function values(tips) {
  const at = 2 + data.measures.findIndex(([name]) => name === measure());
  return tips.map((tip) => number(tip[at]));
}

/** A tooltip as markup. */
function tooltip([name, what, ...counts]) {
  return [`<b>${name}</b>`, what, ...counts.map((count, i) => `${count} ${data.measures[i][1]}`)].join("<br>");
}

/** What both charts share: the page's font and colours, and no part of their own that only a mouse reaches. */
function layout(chart, more) {
  const font = { family: getComputedStyle(document.body).fontFamily, size: 12, color: color("ink") };
  const label = { bgcolor: color("tip"), bordercolor: color("line"), align: "left", namelength: -1 };
  return {
    font, width: chart.clientWidth, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: false, showlegend: false,
    hoverlabel: { ...label, font: { ...font, color: color("tip-ink") } }, ...more,
  };
}
const config = { displayModeBar: false, responsive: false, doubleClick: false, scrollZoom: false };

/** The modules to draw from one of them: all, or if there are too many its parents and its first levels. */
function near(top) {
  if (modules.labels.length <= ALL) return [...modules.labels.keys()];
  const parents = [];
  for (let i = modules.parents[top]; i !== null; i = modules.parents[i]) parents.push(i);
  const shown = [top];
  for (let level = children[top]; level.length; level = level.flatMap((i) => children[i])) {
    if (shown.length > 1 && shown.length + level.length > SOME) break;
    shown.push(...level);
  }
  return [...parents, ...shown];
}

/** A column of modules for each level, which a click or the list enters. */
function drawIcicle() {
  const chart = find("icicle");
  const narrow = chart.clientWidth < 600;
  const shown = near(Number(find("module").value));
  const [labels, parents, kinds, tips] = ["labels", "parents", "kinds", "tips"].map((key) => shown.map((i) => modules[key][i]));
  const [ink, onKind] = [color("ink"), color("on-kind")];
  const trace = {
    type: "icicle", branchvalues: "total", sort: false, maxdepth: narrow ? 4 : 6, leaf: { opacity: 1 }, level: find("module").value,
    ids: shown.map(String), labels, parents: parents.map((parent) => (parent === null ? "" : String(parent))),
    values: values(tips), customdata: tips.map(tooltip),
    marker: { colors: kindColors(kinds), line: { width: 0.5, color: color("paper") } },
    texttemplate: narrow ? "%{label}" : "%{label}  %{percentRoot:.1%}", hovertemplate: "%{customdata}<extra></extra>",
    textfont: { color: kinds.map((kind) => (kind === MODULE ? ink : onKind)) },
    tiling: { orientation: "h", pad: 0 }, pathbar: { visible: false }, root: { color: color("module") },
  };
  showKinds("modules", visible(Number(find("module").value), trace.maxdepth));
  const margin = { l: 22, r: 0, t: 0, b: 22 };
  const size = { height: narrow ? 480 : 620, uniformtext: { minsize: 10, mode: "hide" } };
  const title = { showarrow: false, xref: "paper", yref: "paper" };
  const annotations = [
    { ...title, text: `share of ${measureName()} (%)`, x: 0, y: 0.5, xanchor: "right", textangle: -90, yanchor: "middle", xshift: -2 },
    { ...title, text: "depth in the modules", x: 0.5, y: 0, yanchor: "top", yshift: -2 },
  ];
  return Plotly.react(chart, [trace], layout(chart, { margin, annotations, ...size }), config);
}

/** The kinds of the operators with a share that the icicle shows from a module on. */
function visible(top, levels) {
  const kinds = new Set();
  let level = [top];
  for (let i = 0; i < levels; i++, level = level.flatMap((at) => children[at]))
    for (const at of level) if (values([modules.tips[at]])[0]) kinds.add(modules.kinds[at]);
  return kinds;
}

/** A bar for each operator, over bands that are blocks. */
function drawProfile() {
  const chart = find("profile");
  const count = operators.kinds.length;
  const blocks = operators.blocks.map(([name, start]) => [name, start / operators.length]);
  const ends = [...blocks.slice(1).map(([, start]) => start), operators.count / operators.length];
  const band = { type: "rect", yref: "paper", y0: 0, y1: 1, layer: "below", line: { width: 0 } };
  const bands = (operators.shaded ? blocks : []).map(([, start], i) => ({
    ...band, x0: start - 0.5, x1: ends[i] - 0.5, fillcolor: i % 2 ? "rgba(0,0,0,0)" : color("band"),
  }));
  const order = chart.clientWidth < 600 ? "operators, by block" : "operators in order of execution, by block";
  const ticks = named(blocks, chart.clientWidth / count);
  const trace = {
    type: "bar", x: operators.kinds.map((_, i) => i), y: values(operators.tips),
    customdata: operators.tips.map(tooltip), hovertemplate: "%{customdata}<extra></extra>",
    marker: { color: kindColors(operators.kinds), line: { width: 0 } },
  };
  showKinds("depth", new Set(operators.kinds.filter((_, i) => trace.y[i])));
  const axis = { fixedrange: true, zeroline: false, linecolor: color("line"), gridcolor: color("line") };
  return Plotly.react(chart, [trace], layout(chart, {
    height: 300, margin: { l: 62, r: 4, t: 8, b: 46 }, bargap: 0.12, hovermode: "x", shapes: bands,
    xaxis: {
      ...axis, title: { text: order, standoff: 6 }, range: [-0.5, count - 0.5], showgrid: false, tickmode: "array", tickangle: 0,
      tickvals: ticks.map(([, start]) => start), ticktext: ticks.map(([name]) => name), ticklabelposition: "outside right",
    },
    yaxis: { ...axis, title: { text: data.axes[measure()], standoff: 6 }, rangemode: "tozero", tickformat: "~s", nticks: 6 },
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
  find("module").append(...modules.holders.map(([i, path]) => new Option(path, String(i))));
  find("module").addEventListener("change", drawIcicle);
  find("icicle").on("plotly_icicleclick", ({ nextLevel }) => {
    if (nextLevel === undefined || !children[nextLevel].length) return true;
    find("module").value = nextLevel;
    showKinds("modules", visible(Number(nextLevel), find("icicle").data[0].maxdepth));
    if (modules.labels.length <= ALL) return true; // all are drawn, and Plotly moves to it
    drawIcicle();
    return false;
  });
}

/** A coloured name for each kind of operator that a chart shows. */
function showKinds(section, kinds) {
  const entries = data.kinds.map((name, i) => {
    const entry = document.createElement("li");
    entry.textContent = name;
    entry.style.setProperty("--mark", `var(--kind-${i})`);
    return entry;
  });
  document.querySelector(`#${section} .legend`).replaceChildren(...entries.filter((_, i) => kinds.has(i)));
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
    const said = new DOMParser().parseFromString(tooltip(operators.tips[at]).replaceAll("<br>", ", "), "text/html");
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
