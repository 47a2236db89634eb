// Warm-ups of the symbol that is shown: a line each, how far they are, and what went wrong.

const CSS = `
details { background:var(--wb-background); border-top:1px solid var(--wb-border) }
summary { display:flex; align-items:center; gap:8px; height:34px; padding:0 8px 0 12px; cursor:pointer; list-style:none; font-size:12px; color:var(--wb-muted) }
summary::-webkit-details-marker { display:none }
summary::before { content:""; width:5px; height:5px; border:solid var(--wb-muted); border-width:1.5px 1.5px 0 0; transform:rotate(45deg) translate(-1px,1px); flex:none }
details[open] summary::before { transform:rotate(135deg) }
summary b { font-weight:550; color:var(--wb-text); flex:none }
summary .how { flex:1; text-align:right; white-space:nowrap; overflow:hidden; text-overflow:ellipsis }
summary button { width:26px; height:26px; border-radius:5px; display:grid; place-items:center; color:var(--wb-muted) }
summary button:hover { background:var(--wb-panel); color:var(--wb-text) }
summary button svg { width:15px; height:15px } .on svg { animation:turn 1s linear infinite }
@keyframes turn { to { transform:rotate(360deg) } }
.bar { height:2px; background:transparent } .bar i { display:block; height:100%; width:0; background:var(--wb-accent); transition:width .25s }
.list { max-height:min(252px,32vh); overflow:auto; padding:2px 0 8px; scrollbar-width:thin; scrollbar-color:var(--wb-panel) transparent }
.row { display:grid; grid-template-columns:8px minmax(0,1fr) auto; gap:0 8px; align-items:baseline; padding:3px 12px; font-size:12px }
.row i { width:7px; height:7px; border-radius:50%; background:var(--tone); align-self:center }
.row b { font-weight:500; white-space:nowrap; overflow:hidden; text-overflow:ellipsis }
.row span { color:var(--wb-muted); font-size:11px; white-space:nowrap }
.row p { grid-column:2 / 4; margin:0; color:var(--wb-muted); font-size:11.5px; overflow:hidden; text-overflow:ellipsis; white-space:nowrap; min-height:16px }
.row[data-state=done] { --tone:var(--wb-up) } .row[data-state=cached] { --tone:var(--wb-accent) }
.row[data-state=running] { --tone:var(--wb-amber) } .row[data-state=failed] { --tone:var(--wb-down) }
.row[data-state=waiting], .row[data-state=cancelled] { --tone:var(--wb-panel) }
.row[data-state=running] i { animation:pulse 1.2s ease-in-out infinite } @keyframes pulse { 50% { opacity:.25 } }
.row[data-state=failed] p { display:none }
.wrong { padding:4px 12px; border-top:1px solid var(--wb-border); font-size:11.5px; color:var(--wb-down); overflow:hidden; text-overflow:ellipsis; white-space:nowrap }
`
const TURN = `<svg viewBox="0 0 18 18" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="M15 9a6 6 0 1 1-1.9-4.4M15 2.6v3h-3"/></svg>`
const age = (ms) => {
  const s = Math.max(0, (Date.now() - ms) / 1000)
  return !ms ? "" : s < 90 ? `${Math.round(s)} s ago` : s < 5400 ? `${Math.round(s / 60)} min ago` : `${Math.round(s / 3600)} h ago`
}

export function render({model}) {
  const root = make("", null, "details")
  root.appendChild(styled(CSS))
  root.open = innerWidth > 820
  const head = make("", root, "summary")
  make("", head, "b").textContent = "Warm-up"
  const how = make("how", head, "span"), again = make("", head, "button")
  again.type = "button"
  again.innerHTML = TURN
  again.title = "Fetch again"
  again.setAttribute("aria-label", "Fetch the warm-ups again")
  again.addEventListener("click", (event) => { event.preventDefault(); model.force += 1 })
  const bar = make("bar", root), fill = make("", bar, "i")
  bar.setAttribute("role", "progressbar")
  bar.setAttribute("aria-label", "Warm-ups")
  const list = make("list", root), wrong = make("", root)
  const state = () => {
    const [completed, total] = model.done
    const share = total ? Math.round((100 * completed) / total) : 100
    fill.style.width = model.running ? share + "%" : "0"
    bar.setAttribute("aria-valuenow", String(share))
    again.classList.toggle("on", model.running)
    const bad = model.errors.length
    text(how, !total ? "" : `${model.symbol}  ` + (model.running ? `${completed} of ${total}` : bad ? `${bad} with trouble` : `${total} ready`))
    how.style.color = bad && !model.running ? "var(--wb-amber)" : ""
    wrong.replaceChildren()
    for (const [name, reason] of model.errors) {
      const line = make("wrong", wrong)
      line.textContent = line.title = `${name}: ${reason}`
    }
  }
  const rows = () => {
    list.replaceChildren()
    for (const [name, frame, how, bars, says, fetched] of model.rows) {
      const row = make("row", list)
      row.dataset.state = how
      row.title = `${name}: ${how}${says ? ", " + says : ""}`
      make("", row, "i")
      make("", row, "b").textContent = name.replace(/_/g, " ")
      const told = make("", row, "span")
      told.textContent = bars ? `${bars} × ${frame}` : frame
      told.title = age(fetched)
      make("", row, "p").textContent = says || (how === "waiting" ? "Waiting" : how === "running" ? "Fetching" : "")
    }
  }
  model.on("rows", rows)
  for (const what of ["running", "done", "errors", "symbol"]) model.on(what, state)
  rows()
  state()
  return root
}
