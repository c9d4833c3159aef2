// Makes the table sort and filter, and shows the rows of a long one on demand.

const SPARE = 20; // rows above and below those in view

/** A row of the table, made from one of the document. */
function makeRow(pattern, texts, at) {
  const row = pattern.cloneNode(true);
  row.ariaRowIndex = at + 2;
  texts.forEach((text, i) => {
    const cell = row.cells[i];
    if (i === shared.share) return writeShare(cell, texts);
    const name = cell.querySelector(".name");
    (name ?? cell.lastChild ?? cell.appendChild(new Text())).textContent = text;
    if (name) name.title = text;
    if (cell.matches(".number")) cell.classList.toggle("nothing", !number(text));
  });
  return row;
}

/** Keeps the rows in view in the document, and as much space above and below as the others need. */
function showOnDemand(table, pattern, printed) {
  const body = table.table().body();
  const frame = body.closest(".scroll");
  const longest = data.rows.reduce((best, texts) => best.map((text, i) => (texts[i].length > text.length ? texts[i] : text)));
  let order, height, drawn;
  const rows = (from, to) => order.slice(from, to).map((row, i) => makeRow(pattern, data.rows[row], from + i));
  const show = () => {
    const at = Math.floor(frame.scrollTop / height / SPARE) * SPARE;
    if (!order.length || at === drawn) return;
    const [from, to] = [Math.max(0, at - SPARE), at + Math.ceil(innerHeight / height) + 2 * SPARE];
    body.replaceChildren(space(from * height), ...rows(from, to), space((order.length - to) * height));
    drawn = at;
  };
  const restart = (top = 0) => {
    const row = makeRow(pattern, longest, 0);
    order = table.rows({ search: "applied" }).indexes().toArray();
    countRows(table.table().node(), order.length);
    if (!order.length) return;
    body.replaceChildren(row);
    setWidths(table, row);
    height = row.getBoundingClientRect().height;
    body.replaceChildren(space(order.length * height));
    frame.scrollTop = top;
    drawn = undefined;
    show();
  };
  table.table().node().classList.add("long");
  restart();
  table.on("draw", () => restart());
  frame.addEventListener("scroll", show);
  addEventListener("resize", () => restart(frame.scrollTop));
  addEventListener("beforeprint", () => order.length && body.replaceChildren(...rows(0, printed)));
  addEventListener("afterprint", () => restart());
}

/** A row that is as high as many others. */
function space(height) {
  const row = document.createElement("tr");
  row.className = "space";
  row.ariaHidden = "true";
  row.insertCell().style.height = `${Math.max(0, height)}px`;
  return row;
}

/** Tells assistive technology how many rows there are, with the headings and the total. */
function countRows(node, count) {
  node.ariaRowCount = count + 2;
  node.tHead.rows[0].ariaRowIndex = 1;
  node.tFoot.rows[0].ariaRowIndex = count + 2;
}

/** Gives each column the width of a row with the longest texts, so that it does not change with the rows in view. */
function setWidths(table, row) {
  const headings = table.columns().header().toArray();
  for (const heading of headings) heading.style.minWidth = "";
  const widths = [...row.cells].map((cell) => cell.getBoundingClientRect().width);
  headings.forEach((heading, i) => { heading.style.minWidth = `${widths[i]}px`; });
}

/** The options of a table that has its rows from the data. DataTables draws one of them, and takes text for markup. */
function long(numbers) {
  const share = { targets: ".bar", render: (_, type, texts) => (type === "sort" ? counted(texts[shared.measured]) : shareOf(texts)) };
  return {
    data: data.rows, paging: true, pageLength: 1,
    columnDefs: [
      { ...numbers, ...share }, // a share is rounded, its count is not
      { ...numbers, render: (text, type) => (type === "sort" ? counted(text) : text) },
      { targets: "_all", type: "string", render: (text, type) => (type === "sort" ? text : escaped(text)) },
    ],
  };
}

/** Lets headings sort and the input filter; returns a function that shows the shares of the chosen measure. */
function makeTable(DataTable) {
  const body = find("costs").tBodies[0];
  const rows = [...body.rows];
  const showShares = () => {
    chooseShares(find("costs"), data.rows ?? rows.map(cellsOf));
    if (!data.rows) for (const row of rows) writeShare(row.cells[shared.share], cellsOf(row));
  };
  showShares();
  if (data.rows) body.replaceChildren(); // DataTables would read how to sort from these
  const numbers = { targets: [".number", ".bar"], type: "num", orderSequence: ["desc", "asc", ""] };
  const nothing = { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null };
  const table = new DataTable("#costs", {
    paging: false, order: [], autoWidth: false, columnDefs: [numbers], layout: nothing,
    language: { zeroRecords: "Nothing matches." }, ...(data.rows ? long(numbers) : {}),
  });
  if (data.rows) showOnDemand(table, rows[0], rows.length);
  const tell = () => {
    const { recordsDisplay, recordsTotal } = table.page.info();
    const [some, all] = [recordsDisplay, recordsTotal].map((count) => count.toLocaleString("en"));
    find("shown").textContent = recordsDisplay < recordsTotal ? `${some} of ${all} rows` : `${all} rows`;
  };
  table.on("draw", tell);
  table.on("draw", labelShares);
  find("filter").addEventListener("input", (event) => table.search(event.target.value).draw());
  tell();
  return () => {
    const frame = body.closest(".scroll");
    const top = frame.scrollTop;
    showShares();
    table.rows().invalidate().draw(false);
    frame.scrollTop = top;
  };
}
