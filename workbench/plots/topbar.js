// The head of a page: what is shown, how it looks, the last price and the connection.

const CSS = `
.bar { display:flex; align-items:center; gap:6px 10px; padding:0 12px; min-height:50px; background:var(--wb-background); border-bottom:1px solid var(--wb-border) }
.brand { display:flex; align-items:center; gap:8px; font-weight:650; letter-spacing:.1px; margin-right:4px }
.brand svg { width:20px; height:20px; flex:none }
.pick { position:relative }
.pick input { width:128px; height:32px; padding:0 24px 0 11px; border-radius:6px; background:var(--wb-card); border:1px solid var(--wb-border); font-weight:600 }
.pick input:hover { border-color:var(--wb-muted) }
.pick::after { content:""; position:absolute; right:11px; top:13px; width:5px; height:5px; border:solid var(--wb-muted); border-width:0 1.5px 1.5px 0; transform:rotate(45deg) scale(1.05); pointer-events:none }
.menu { position:absolute; top:38px; left:0; min-width:190px; max-height:min(340px,60vh); overflow:auto; padding:5px; border-radius:8px; background:var(--wb-card); border:1px solid var(--wb-border); box-shadow:0 8px 28px #0006; z-index:50 }
.menu button { display:flex; width:100%; align-items:center; gap:9px; padding:7px 10px; border-radius:5px; text-align:left; white-space:nowrap }
.menu button:hover, .menu button.on { background:var(--wb-panel) }
.menu .hint { color:var(--wb-muted); padding:6px 10px; font-size:12px }
.menu form { display:flex; padding:2px 2px 6px } .menu input { flex:1; min-width:180px; height:30px; padding:0 9px; border-radius:5px; background:var(--wb-background); border:1px solid var(--wb-border) }
.right .menu { left:auto; right:0 } .overlays .menu, .zones .menu { left:0; right:auto }
.menu.table { padding:8px 4px; max-width:min(460px,94vw) } .menu table { border-collapse:collapse; font-size:12px; white-space:nowrap }
.menu th { font-weight:500; color:var(--wb-muted); text-align:right; padding:2px 8px 5px; text-transform:capitalize } .menu td { text-align:right; padding:2px 8px }
.menu :is(th,td):first-child { text-align:left } .menu td.warn { color:var(--wb-amber) } .menu td.bad { color:var(--wb-down) }
.line { display:flex; gap:14px; justify-content:space-between; padding:3px 10px; font-size:12px; white-space:nowrap } .line b { font-weight:500 } .line span { color:var(--wb-muted); overflow:hidden; text-overflow:ellipsis }
.menu small { margin-left:auto; padding-left:18px; color:var(--wb-muted) }
.tool[data-on=true] { color:var(--wb-accent); background:color-mix(in srgb, var(--wb-accent) 14%, transparent) }
.check { width:15px; height:15px; border-radius:4px; border:1.5px solid var(--wb-muted); flex:none; position:relative }
[aria-checked=true] .check { background:var(--wb-accent); border-color:var(--wb-accent) }
[aria-checked=true] .check::after { content:""; position:absolute; left:3.5px; top:.5px; width:3.5px; height:7px; border:solid #fff; border-width:0 1.7px 1.7px 0; transform:rotate(42deg) }
.frames { display:flex; gap:1px; min-width:0; overflow-x:auto; scrollbar-width:none }
.frames::-webkit-scrollbar { display:none }
.frames button { padding:0 9px; height:32px; border-radius:6px; color:var(--wb-muted); flex:none; font-weight:500 }
.frames button:hover, .tool:hover { background:var(--wb-panel); color:var(--wb-text) }
.frames button[aria-pressed=true] { color:var(--wb-accent); background:color-mix(in srgb, var(--wb-accent) 14%, transparent) }
.tool { height:32px; padding:0 10px; border-radius:6px; color:var(--wb-muted); font-weight:500; display:flex; align-items:center; gap:6px; white-space:nowrap }
.tool svg { width:17px; height:17px }
.space { flex:1 1 0 }
.price { display:flex; align-items:baseline; gap:9px; white-space:nowrap }
.price b { font-size:19px; font-weight:650; letter-spacing:-.2px; transition:color .6s }
.price b.up, .price b.down { transition:none }
.up { color:var(--wb-up) } .down { color:var(--wb-down) } .flat { color:var(--wb-muted) }
.price span { font-weight:550 }
.badge { display:flex; align-items:center; gap:7px; height:28px; padding:0 11px; border-radius:14px; background:var(--wb-card); border:1px solid var(--wb-border); white-space:nowrap; font-size:12px; color:var(--tone) }
.badge i { width:8px; height:8px; border-radius:50%; background:var(--tone); flex:none }
.badge[data-level=good] { --tone:var(--wb-up) } .badge[data-level=warn] { --tone:var(--wb-amber) }
.badge[data-level=bad] { --tone:var(--wb-down) } .badge[data-level=idle] { --tone:var(--wb-muted) }
.badge[data-level=warn] i { animation:pulse 1.2s ease-in-out infinite }
.badge .count, .badge .brief { display:none } .score { gap:6px } .score .long { color:var(--wb-muted) } .score b { font-weight:650 }
button.badge:hover { border-color:var(--wb-muted) } .badge.pill { background:color-mix(in srgb, var(--wb-amber) 14%, var(--wb-background)); border-color:color-mix(in srgb, var(--wb-amber) 45%, transparent) }
@keyframes pulse { 50% { opacity:.25 } }
.refused { padding:7px 14px; background:color-mix(in srgb, var(--wb-down) 16%, var(--wb-background)); border-bottom:1px solid var(--wb-border); display:flex; gap:10px; align-items:flex-start }
.refused span { flex:1; overflow-wrap:anywhere } .refused button { color:var(--wb-muted); padding:0 4px }
@media (max-width:1380px) { .pill .long, .score .long { display:none } .pill .brief { display:inline } .overlays .name, .zones .name { display:none } .tool { padding:0 8px } }
@media (max-width:1120px) { .brand span { display:none } .frames { flex:0 1 auto } .price span.abs { display:none } .badge.pill .brief { display:none } .badge.pill .count { display:inline } }
@media (max-width:820px) {
  .bar { flex-wrap:wrap; padding:7px 10px; gap:7px 8px }
  .brand, .space { display:none } .price { flex:1; justify-content:flex-end; gap:7px } .price b { font-size:17px }
  .frames { order:9; flex:1 1 120px } .badge { padding:0 9px }
  :is(.overlays, .zones, .kinds) .menu { left:auto; right:0 } :is(.overlays, .zones, .kinds, .quality, .alerts) { order:10 }
  .pick input { width:116px }
}
@media (max-width:480px) { .badge .long { display:none } .badge { padding:0; width:28px; justify-content:center } .badge.pill, .badge.score { width:auto; padding:0 8px; gap:5px } .tool .name { display:none } .tool { padding:0 8px } }
`
const LOGO = `<svg viewBox="0 0 20 20" aria-hidden="true"><g stroke-width="1.6" stroke-linecap="round"><path d="M5 4v13M5 4" stroke="var(--wb-up)"/><path d="M15 2v12" stroke="var(--wb-down)"/></g><rect x="2.4" y="7" width="5.2" height="7" rx="1.2" fill="var(--wb-up)"/><rect x="12.4" y="4.5" width="5.2" height="6.5" rx="1.2" fill="var(--wb-down)"/></svg>`
const CURVE = `<svg viewBox="0 0 18 18" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="M2 13.5c3 0 3.6-8 6.6-8 2.6 0 2.4 5 4.4 5 1.5 0 2-2.5 3-4"/></svg>`
const ZONE = `<svg viewBox="0 0 18 18" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><rect x="5.5" y="3" width="10.5" height="5"/><path d="M2 13.5h14" stroke-dasharray="2.5 2.6"/></svg>`
const STEPS = `<svg viewBox="0 0 18 18" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linejoin="round" aria-hidden="true"><rect x="2" y="9.5" width="4" height="5.5"/><rect x="7" y="6" width="4" height="5.5"/><rect x="12" y="2.5" width="4" height="5.5"/></svg>`
const SUN = `<svg viewBox="0 0 18 18" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" aria-hidden="true"><circle cx="9" cy="9" r="3.2"/><path d="M9 1.8v1.6M9 14.6v1.6M1.8 9h1.6M14.6 9h1.6M3.9 3.9l1.15 1.15M12.95 12.95l1.15 1.15M3.9 14.1l1.15-1.15M12.95 5.05l1.15-1.15"/></svg>`
const MOON = `<svg viewBox="0 0 18 18" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linejoin="round" aria-hidden="true"><path d="M15 10.7A6.4 6.4 0 0 1 7.3 3a6.4 6.4 0 1 0 7.7 7.7z"/></svg>`

// A menu that a press elsewhere or Escape closes.
function popup(owner, menu, opens) {
  menu.hidden = true
  const away = (event) => {
    if (event.type === "keydown" ? event.key === "Escape" : !event.composedPath().includes(owner)) show(false)
  }
  const show = (on) => {
    if (menu.hidden === !on) return
    menu.hidden = !on
    opens?.(on)
    for (const type of ["pointerdown", "keydown"])
      document[on ? "addEventListener" : "removeEventListener"](type, away, true)
  }
  return show
}

function symbolPicker(model, bar) {
  const pick = make("pick", bar)
  const input = make("", pick, "input")
  Object.assign(input, {spellcheck: false, autocomplete: "off", title: "Symbol", maxLength: 40})
  input.setAttribute("aria-label", "Symbol")
  const menu = make("menu", pick)
  const show = popup(pick, menu, (on) => { if (!on) input.value = model.symbol })
  let at = -1
  const choose = (symbol) => {
    if (symbol && symbol !== model.symbol) model.symbol = symbol
    show(false)
    input.blur()
  }
  const fill = (all) => {
    const typed = input.value.trim().toUpperCase()
    const found = model.symbols.filter((s) => all || s.toUpperCase().includes(typed))
    menu.replaceChildren()
    at = -1
    for (const symbol of found.slice(0, 200)) {
      const row = make(symbol === model.symbol ? "on" : "", menu, "button")
      row.type = "button"
      row.textContent = symbol
      row.addEventListener("click", () => choose(symbol))
    }
    if (!found.length) make("hint", menu).textContent = typed ? `Enter adds ${typed}` : "Type a symbol"
    show(true)
  }
  input.addEventListener("focus", () => {
    input.placeholder = model.symbol
    input.value = ""
    fill(true)
  })
  input.addEventListener("input", () => fill(false))
  input.addEventListener("keydown", (event) => {
    const rows = [...menu.querySelectorAll("button")]
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault()
      at = Math.max(0, Math.min(rows.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)))
      rows.forEach((row, i) => row.classList.toggle("on", i === at))
      rows[at]?.scrollIntoView({block: "nearest"})
    } else if (event.key === "Enter") {
      const typed = input.value.trim(), same = model.symbols.find((s) => s.toUpperCase() === typed.toUpperCase())
      choose(at >= 0 ? rows[at].textContent : same ?? (rows.length === 1 ? rows[0].textContent : typed))
    } else if (event.key === "Escape") input.blur()
  })
  const update = () => { if (menu.hidden) input.value = model.symbol }
  model.on("symbol", update)
  update()
}

function frames(model, bar) {
  const strip = make("frames", bar)
  strip.setAttribute("role", "group")
  strip.setAttribute("aria-label", "Timeframe")
  const update = () => {
    for (const button of strip.children) {
      const on = button.textContent === model.timeframe
      button.setAttribute("aria-pressed", String(on))
      if (on && strip.scrollWidth > strip.clientWidth)
        strip.scrollLeft = button.offsetLeft - strip.offsetLeft - strip.clientWidth / 2 + button.clientWidth / 2
    }
  }
  const fill = () => {
    strip.replaceChildren()
    for (const name of model.timeframes) {
      const button = make("", strip, "button")
      button.type = "button"
      button.textContent = name
      button.addEventListener("click", () => { model.timeframe = name })
    }
    update()
  }
  model.on("timeframes", fill)
  model.on("timeframe", update)
  fill()
  requestAnimationFrame(update)
}

// Bars that no clock ends, or that are drawn from others; any may be typed.
function kinds(model, bar) {
  const pick = make("pickless kinds", bar)
  pick.style.position = "relative"
  const button = make("tool", pick, "button")
  button.type = "button"
  button.title = "Other kinds of bars"
  button.innerHTML = STEPS
  const name = make("name", button, "span")
  const menu = make("menu", pick)
  const form = make("", menu, "form"), input = make("", form, "input")
  Object.assign(input, {spellcheck: false, autocomplete: "off", placeholder: "volume:1000", maxLength: 60})
  input.setAttribute("aria-label", "Kind of bars")
  const show = popup(pick, menu)
  const choose = (kind) => {
    if (kind && kind !== model.timeframe) model.timeframe = kind
    show(false)
  }
  form.addEventListener("submit", (event) => { event.preventDefault(); choose(input.value.trim()) })
  button.addEventListener("click", () => show(menu.hidden))
  const rows = make("", menu)
  const update = () => {
    const on = !model.timeframes.includes(model.timeframe)
    button.dataset.on = String(on)
    text(name, on ? model.timeframe : "Bars")
    rows.replaceChildren()
    for (const [kind, title] of model.kinds) {
      const row = make(kind === model.timeframe ? "on" : "", rows, "button")
      row.type = "button"
      make("", row, "span").textContent = kind
      make("", row, "small").textContent = title
      row.addEventListener("click", () => choose(kind))
    }
  }
  for (const what of ["timeframe", "timeframes", "kinds"]) model.on(what, update)
  update()
}

// A menu of things that are drawn or not.
function checks(model, bar, {name, title, icon, offered, chosen}) {
  const pick = make("pickless right " + name, bar)
  pick.style.position = "relative"
  const button = make("tool", pick, "button")
  button.type = "button"
  button.title = title
  button.setAttribute("aria-haspopup", "menu")
  button.innerHTML = icon
  make("name", button, "span").textContent = title
  const menu = make("menu", pick)
  menu.setAttribute("role", "menu")
  const show = popup(pick, menu)
  button.addEventListener("click", () => show(menu.hidden))
  const update = () => {
    pick.hidden = !model[offered].length
    menu.replaceChildren()
    for (const name of model[offered]) {
      const row = make("", menu, "button"), on = model[chosen].includes(name)
      row.type = "button"
      row.setAttribute("role", "menuitemcheckbox")
      row.setAttribute("aria-checked", String(on))
      make("check", row, "span")
      make("", row, "span").textContent = name
      row.addEventListener("click", () => {
        model[chosen] = model[offered].filter((n) => (n === name ? !on : model[chosen].includes(n)))
      })
    }
  }
  for (const what of [chosen, offered]) model.on(what, update)
  update()
}

function price(model, bar) {
  const box = make("price", bar)
  const last = make("", box, "b"), abs = make("abs", box, "span"), share = make("", box, "span")
  let before = null, key = null, timer = null
  const update = () => {
    const {price, change, percent, decimals, symbol} = model.quote
    text(last, price == null ? "" : number(price, decimals))
    text(abs, signed(change, decimals))
    text(share, percent == null ? "" : signed(percent, 2) + "%")
    abs.className = "abs " + sideOf(percent)
    share.className = sideOf(percent)
    if (key === symbol && before != null && price !== before) {
      last.className = side(price - before)
      clearTimeout(timer)
      timer = setTimeout(() => { last.className = "" }, 350)
    }
    if (key !== symbol || price !== before)
      document.title = price == null ? `${symbol ?? ""} · ${model.title}` : `${number(price, decimals)} ${symbol} · ${model.title}`
    before = price
    key = symbol
  }
  model.on("quote", update)
  update()
}

function badge(model, bar) {
  const box = make("badge", bar)
  box.setAttribute("role", "status")
  make("", box, "i")
  const long = make("long", box, "span")
  const update = () => {
    box.dataset.level = model.status.level ?? "idle"
    text(long, model.status.text ?? "")
    box.title = model.status.hint ?? model.status.text ?? ""
  }
  model.on("status", update)
  update()
}

// Series without data now, as long as there are any.
function alertPill(model, bar) {
  const pick = make("pickless right alerts", bar)
  pick.style.position = "relative"
  const button = make("badge pill", pick, "button")
  button.type = "button"
  button.dataset.level = "warn"
  make("", button, "i")
  const long = make("long", button, "span"), brief = make("brief", button, "span"), count = make("count", button, "span")
  const menu = make("menu table", pick)
  const show = popup(pick, menu)
  button.addEventListener("click", () => show(menu.hidden))
  const update = () => {
    const {text: said, short, lines = [], count: number} = model.alert
    pick.hidden = !said
    if (!said) return show(false)
    text(long, said)
    text(brief, short)
    text(count, String(number))
    button.setAttribute("aria-label", said)
    menu.replaceChildren()
    for (const [name, why] of lines) {
      const row = make("line", menu)
      make("", row, "b").textContent = name
      make("", row, "span").textContent = why
    }
  }
  model.on("alert", update)
  update()
}

// Quality of the data from 0 to 100; a press lists what it is made of.
function quality(model, bar) {
  const pick = make("pickless right quality", bar)
  pick.style.position = "relative"
  const button = make("badge score", pick, "button")
  button.type = "button"
  make("long", button, "span").textContent = "Quality"
  const score = make("", button, "b"), menu = make("menu table", pick)
  const show = popup(pick, menu)
  button.addEventListener("click", () => show(menu.hidden))
  const update = () => {
    const {level, text: said, factors = [], rows = [], more = 0} = model.quality
    pick.hidden = !said
    if (!said) return show(false)
    button.dataset.level = level
    text(score, said)
    button.title = `Quality of the data: ${said} of 100`
    button.setAttribute("aria-label", button.title)
    menu.replaceChildren()
    const table = make("", menu, "table"), head = make("", make("", table, "thead"), "tr")
    for (const name of ["Series", "Score", ...factors]) make("", head, "th").textContent = name
    const body = make("", table, "tbody")
    for (const [series, ...values] of rows) {
      const row = make("", body, "tr")
      make("", row, "td").textContent = series
      for (const value of values) {
        const cell = make(value >= 95 ? "" : value >= 80 ? "warn" : "bad", row, "td")
        cell.textContent = number(value, value === 100 ? 0 : 1)
      }
    }
    if (more) make("hint", menu).textContent = `and ${more} more`
  }
  model.on("quality", update)
  update()
}

function theme(model, bar) {
  const button = make("tool", bar, "button")
  button.type = "button"
  const update = () => {
    const colors = model.colors[model.dark ? "dark" : "light"] ?? {}
    const root = document.documentElement
    root.dataset.theme = model.dark ? "dark" : "light"
    root.style.colorScheme = root.dataset.theme
    for (const [name, color] of Object.entries(colors)) root.style.setProperty("--wb-" + name, color)
    button.innerHTML = model.dark ? SUN : MOON
    button.title = model.dark ? "Light colours" : "Dark colours"
    button.setAttribute("aria-label", button.title)
  }
  button.addEventListener("click", () => { model.dark = !model.dark })
  model.on("dark", update)
  update()
}

export function render({model}) {
  const root = make("")
  root.appendChild(styled(CSS))
  const bar = make("bar", root)
  const brand = make("brand", bar)
  brand.innerHTML = LOGO
  make("", brand, "span").textContent = model.title
  symbolPicker(model, bar)
  frames(model, bar)
  kinds(model, bar)
  checks(model, bar, {name: "overlays", title: "Indicators", icon: CURVE, offered: "overlays", chosen: "chosen"})
  checks(model, bar, {name: "zones", title: "Zones", icon: ZONE, offered: "zones", chosen: "zoned"})
  make("space", bar)
  price(model, bar)
  alertPill(model, bar)
  quality(model, bar)
  badge(model, bar)
  theme(model, bar)
  const error = make("refused", root)
  error.setAttribute("role", "alert")
  const said = make("", error, "span"), close = make("", error, "button")
  close.type = "button"
  close.textContent = "Close"
  close.addEventListener("click", () => { model.error = "" })
  const tell = () => { error.hidden = !model.error; text(said, model.error) }
  model.on("error", tell)
  tell()
  return root
}
