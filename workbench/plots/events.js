// What happened to the connection, newest first, under one line that opens.

const CSS = `
details { background:var(--wb-background); border-top:1px solid var(--wb-border) }
summary { display:flex; gap:10px; align-items:center; min-height:30px; padding:0 12px; cursor:pointer; list-style:none; color:var(--wb-muted); font-size:12px }
summary::-webkit-details-marker { display:none }
summary::before { content:""; width:5px; height:5px; border:solid var(--wb-muted); border-width:1.5px 1.5px 0 0; transform:rotate(-45deg) translate(-1px,1px); flex:none }
details[open] summary::before { transform:rotate(135deg) }
summary b { font-weight:550; color:var(--wb-text); flex:none }
summary span { overflow:hidden; white-space:nowrap; text-overflow:ellipsis }
ol { margin:0; padding:2px 0 8px; list-style:none; max-height:190px; overflow:auto; scrollbar-width:thin; scrollbar-color:var(--wb-panel) transparent }
li { display:grid; grid-template-columns:64px 96px minmax(0,1fr); gap:8px; padding:2px 12px; font-size:12px }
li time { color:var(--wb-muted) } li p { margin:0; overflow-wrap:anywhere }
.bad { color:var(--wb-down) } .warn { color:var(--wb-amber) } .good { color:var(--wb-up) }
@media (max-width:560px) { li { grid-template-columns:58px 84px minmax(0,1fr) } }
`
const tone = (kind) =>
  ["error", "failed", "refused", "missing"].includes(kind) ? "bad"
    : ["stale", "disconnected", "reconnecting", "gap", "quality", "fetch_error"].includes(kind) ? "warn"
    : ["connected", "reconnected", "filled", "recovered"].includes(kind) ? "good" : ""
const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB")

export function render({model}) {
  const root = make("", null, "details")
  root.appendChild(styled(CSS))
  const head = make("", root, "summary")
  make("", head, "b").textContent = "Events"
  const newest = make("", head, "span")
  const list = make("", root, "ol")
  const update = () => {
    const first = model.entries[0]
    text(newest, first ? `${clock(first[0])}  ${first[1]}  ${first[2]}` : "Nothing to report")
    newest.className = first ? tone(first[1]) : ""
    list.replaceChildren()
    for (const [ms, kind, said] of model.entries) {
      const item = make("", list, "li")
      make("", item, "time").textContent = clock(ms)
      make(tone(kind), item, "span").textContent = kind
      make("", item, "p").textContent = said
    }
  }
  model.on("entries", update)
  update()
  return root
}
