// Shows the share of each row of the table in the chosen measure.

const columnOf = (name) => document.querySelector(`#costs [data-column="${name}"]`).cellIndex;
const cellsOf = (row) => [...row.cells].map((cell) => cell.textContent);

/** The columns of the share and of its count, the total of the count, and the largest count of a row. */
const shared = { share: 0, measured: 0, total: 0, largest: 0 };

/** The count that a cell states, for sorting; unknown comes last. */
const counted = (text) => (text === "?" ? -1 : number(text));

/** The share of a row, from the texts of its cells; ties round to even, as in Python. */
function shareOf(texts) {
  const text = texts[shared.measured];
  if (text === "?" || !shared.total) return "?";
  const share = (100 * number(text)) / shared.total;
  return `${(share % 1 === 0.25 ? share - 0.01 : share).toFixed(1)} %`;
}

/** Writes a share into its cell, with a bar that is full for the largest row. */
function writeShare(cell, texts) {
  cell.lastChild.textContent = shareOf(texts);
  cell.dataset.order = counted(texts[shared.measured]);
  const width = (100 * number(texts[shared.measured])) / (shared.largest || 1);
  cell.querySelector("i")?.style.setProperty("width", `${width}%`);
}

const shareHeading = () => find("costs").tHead.rows[0].cells[shared.share];

/** Names the button of the heading after its text, which DataTables reads only once. */
function labelShares() {
  const button = shareHeading().querySelector(".dt-column-order");
  button.ariaLabel = button.ariaLabel.replace(/^[^:]*/, shareHeading().textContent);
}

/** Takes the shares from the column of the chosen measure. */
function chooseShares(table, rows) {
  const name = measure().replace("_", " ");
  const total = table.tFoot.rows[0];
  shared.share = columnOf("share of macs");
  shared.measured = columnOf(name);
  shared.total = number(total.cells[shared.measured].textContent);
  shared.largest = rows.reduce((most, texts) => Math.max(most, number(texts[shared.measured])), 0);
  const heading = shareHeading();
  (heading.querySelector(".dt-column-title") ?? heading).textContent = `share of ${name}`;
  writeShare(total.cells[shared.share], cellsOf(total));
}
