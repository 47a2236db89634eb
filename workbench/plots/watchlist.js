// Symbols with their last price and change; a press shows one in the chart.

const CSS = `
:host { height:100%; min-height:0 }
.list { height:100%; overflow-y:auto; overflow-x:hidden; background:var(--wb-background); scrollbar-width:thin; scrollbar-color:var(--wb-panel) transparent }
.head, .row { display:grid; grid-template-columns:minmax(0,1fr) auto 74px; align-items:center; gap:8px; padding:0 14px 0 12px }
.head { height:32px; color:var(--wb-muted); font-size:11.5px; position:sticky; top:0; background:var(--wb-background); border-bottom:1px solid var(--wb-border); z-index:1 }
.head span:not(:first-child), .row span:not(:first-child) { text-align:right }
.row { width:100%; height:34px; text-align:left; border-left:2px solid transparent }
.row:hover { background:var(--wb-card) }
.row[aria-current=true] { background:var(--wb-card); border-left-color:var(--wb-accent) }
.row b { font-weight:600; overflow:hidden; text-overflow:ellipsis; white-space:nowrap }
.row .last { transition:background-color .7s; border-radius:3px; padding:1px 4px; margin-right:-4px }
.row .last.up { background:color-mix(in srgb, var(--wb-up) 30%, transparent); transition:none }
.row .last.down { background:color-mix(in srgb, var(--wb-down) 30%, transparent); transition:none }
.share.up { color:var(--wb-up) } .share.down { color:var(--wb-down) } .flat { color:var(--wb-muted) }
.none { color:var(--wb-muted); padding:14px 12px }
`

export function render({model}) {
  const root = make("list")
  root.appendChild(styled(CSS))
  const head = make("head", root)
  for (const name of ["Symbol", "Last", "Change"]) make("", head, "span").textContent = name
  const none = make("none", root)
  none.textContent = "No symbols yet"
  const rows = new Map()

  function row(symbol) {
    const el = make("row", root, "button")
    el.type = "button"
    const name = make("", el, "b"), last = make("last", el, "span"), share = make("share", el, "span")
    name.textContent = symbol
    el.title = symbol
    el.addEventListener("click", () => { model.symbol = symbol })
    const made = {el, last, share, price: null, timer: null}
    rows.set(symbol, made)
    return made
  }
  function update() {
    const seen = new Set()
    for (const [symbol, price, percent, decimals] of model.rows) {
      seen.add(symbol)
      const r = rows.get(symbol) ?? row(symbol)
      text(r.last, number(price, decimals))
      text(r.share, percent == null ? "–" : signed(percent, 2) + "%")
      r.share.className = "share " + sideOf(percent)
      if (r.price != null && price != null && price !== r.price) {
        r.last.className = "last " + side(price - r.price)
        clearTimeout(r.timer)
        r.timer = setTimeout(() => { r.last.className = "last" }, 180)
      }
      r.price = price
    }
    for (const [symbol, r] of rows)
      if (!seen.has(symbol)) { r.el.remove(); rows.delete(symbol) }
    none.hidden = rows.size > 0
    mark()
  }
  function mark() {
    for (const [symbol, r] of rows) r.el.setAttribute("aria-current", String(symbol === model.symbol))
  }
  model.on("rows", update)
  model.on("symbol", mark)
  update()
  return root
}
