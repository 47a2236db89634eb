// What is known of each bar, as a strip under the chart; what the newest bar may lack, as a
// hatch over it; and the names of zones.

const STATES = {
  received: ["Received", "up"], backfilled: ["Backfilled", "accent"], "no-trade": ["No trade", "muted"],
  closed: ["Market closed", "muted"], doubt: ["In doubt", "amber"], missing: ["Missing", "down"],
}
const STRIP_HEIGHT = 8

function hatch(context, color, scale) {
  const tile = document.createElement("canvas"), size = Math.round(6 * scale)
  tile.width = tile.height = size
  const pen = tile.getContext("2d")
  pen.globalAlpha = 0.38
  pen.fillStyle = pen.strokeStyle = color
  pen.fillRect(0, 0, size, size)
  pen.globalAlpha = 1
  pen.lineWidth = 1.6 * scale
  for (const shift of [-size, 0, size]) {
    pen.beginPath()
    pen.moveTo(shift - 1, size + 1)
    pen.lineTo(shift + size + 1, -1)
    pen.stroke()
  }
  return context.createPattern(tile, "repeat")
}

// Runs and marks from the server; none where bars were numbered anew since.
function stripOf(view) {
  const [runs, marks, incomplete, loads] = view.x.tags ?? []
  const holds = runs != null && loads === view.meta.loads
  return {runs: holds ? runs : [], marks: holds ? marks : [], incomplete: holds && incomplete && view.count > 0}
}

function drawStrip(view, pane) {
  if (!view.spec.strip || pane.i != view.figures.length - 1) return
  pane.strip ??= make("strip", pane.box, "canvas")
  pane.tip ??= make("tip", pane.box)
  const {left, width, bottom} = pane.view.frame.bbox, {start, end} = view.x
  const {runs, marks} = stripOf(view), theme = view.meta.theme ?? {}
  const key = [start, end, left, width, bottom, view.last, theme.name, view.meta.loads].join()
  if (pane.stripKey !== key || pane.stripTags !== view.x.tags) {
    pane.stripKey = key
    pane.stripTags = view.x.tags
    paintStrip(view, pane, runs, marks, theme)
  }
  drawTip(view, pane, runs, marks)
}

function paintStrip(view, pane, runs, marks, theme) {
  const {left, width, bottom} = pane.view.frame.bbox, {start, end} = view.x
  const scale = devicePixelRatio || 1, canvas = pane.strip, context = canvas.getContext("2d")
  canvas.width = Math.round(width * scale)
  canvas.height = Math.round(STRIP_HEIGHT * scale)
  canvas.style.width = width + "px"
  canvas.style.height = STRIP_HEIGHT + "px"
  move(canvas, left, bottom + 2)
  const place = (x) => ((x - start) / (end - start)) * canvas.width
  const color = (state) => theme[STATES[state]?.[1]] ?? theme.muted
  let pattern = null
  const block = (from, to, state) => {
    const full = state === "missing" || state === "doubt" || state === "backfilled"
    const high = full ? canvas.height : Math.max(1, Math.round(2 * scale))
    context.globalAlpha = state === "received" ? 0.5 : state === "backfilled" ? 0.75 : state === "doubt" || state === "missing" ? 1 : 0.45
    context.fillStyle = state === "missing" ? (pattern ??= hatch(context, color(state), scale)) : color(state)
    context.fillRect(from, Math.round((canvas.height - high) / 2), Math.max(scale, to - from), high)
  }
  for (const [first, last, state] of runs) {
    const from = place(first - 0.5), to = place((last ?? view.last) + 0.5)
    if (to >= 0 && from <= canvas.width) block(Math.max(0, from), Math.min(canvas.width, to), state)
  }
  for (const [x, state] of marks) {
    const at = place(x - 0.5)
    if (at >= 0 && at <= canvas.width && state !== "closed" && state !== "no-trade") block(at - 1.5 * scale, at + 1.5 * scale, state)
    else if (at >= 0 && at <= canvas.width) {
      context.globalAlpha = 0.6
      context.fillStyle = color(state)
      context.fillRect(Math.round(at), 0, Math.max(1, scale), canvas.height)
    }
  }
  const count = (state) => [...runs, ...marks].filter((one) => one.includes(state)).length
  canvas.setAttribute("role", "img")
  canvas.setAttribute("aria-label", `What is known of the bars: ${count("missing")} stretches missing, ${count("doubt")} in doubt`)
}

function drawTip(view, pane, runs, marks) {
  const {left, right, bottom} = pane.view.frame.bbox, {start, end} = view.x
  const over = view.hover?.pane === pane.i && view.hover.sy > bottom && view.hover.sy <= bottom + STRIP_HEIGHT + 4 && view.hover.sx <= right
  const one = over ? stripAt(view, runs, marks, start + ((view.hover.sx - left) / (right - left)) * (end - start), (4 * (end - start)) / (right - left)) : null
  pane.tip.hidden = one == null
  if (one == null) return
  const key = one.join()
  if (pane.tipKey !== key) {
    pane.tipKey = key
    const [state, reason, from, to] = one
    pane.tip.replaceChildren()
    const name = make("", pane.tip, "b")
    name.textContent = STATES[state]?.[0] ?? state
    name.style.color = `var(--${STATES[state]?.[1] ?? "text"})`
    make("", pane.tip, "span").textContent = span(view, from, to)
    if (reason) make("", pane.tip, "i").textContent = reason
  }
  const wide = pane.tip.offsetWidth, high = pane.tip.offsetHeight
  move(pane.tip, Math.max(left + 2, Math.min(right - wide - 2, view.hover.sx - wide / 2)), bottom - high - 6)
}

function stripAt(view, runs, marks, x, reach) {
  for (const [at, ...told] of marks) if (Math.abs(at - 0.5 - x) <= reach) return told
  for (const [first, last, ...told] of runs) if (x >= first - 0.5 && x <= (last ?? view.last) + 0.5) return told
  return null
}

function span(view, from, to) {
  const k = Math.max(0, Math.min(view.count - 1, Math.round(view.hovered()) - view.data.x[0]))
  const shift = view.data.wall[k] - view.data.utc[k] // of the time zone, then
  const clock = (ms) => new Date(Math.round(ms + shift)).toISOString().slice(11, 19)
  const day = (ms) => { const t = new Date(ms + shift); return `${t.getUTCDate()} ${MONTHS[t.getUTCMonth()]} ` }
  if (from == null) return to == null ? "" : `until ${day(to)}${clock(to)}`
  if (to == null) return `since ${day(from)}${clock(from)}`
  return `${day(from)}${clock(from)} – ${day(from) === day(to) ? "" : day(to)}${clock(to)}`
}

// The newest bar is hollow while some of its trades may be absent.
function drawHollow(view, pane) {
  const incomplete = stripOf(view).incomplete
  pane.hollow ??= make("hollow", pane.box)
  pane.incomplete = incomplete
  const {left, right, top, bottom, width} = pane.view.frame.bbox, {start, end} = view.x, k = view.count - 1
  const per = width / (end - start), middle = left + (view.last - start) * per
  const a = incomplete ? view.toPixel(pane, view.data.open[k]) : 0, b = incomplete ? view.toPixel(pane, view.data.close[k]) : 0
  const low = Math.min(bottom, Math.max(a, b) + 1), high = Math.max(top, Math.min(a, b) - 1)
  const from = Math.max(left, middle - 0.36 * per), to = Math.min(right, middle + 0.36 * per)
  pane.hollow.hidden = !incomplete || to - from < 1 || low < high
  if (pane.hollow.hidden) return
  pane.hollow.style.width = Math.max(3, to - from) + "px"
  pane.hollow.style.height = Math.max(3, low - high) + "px"
  pane.hollow.style.color = view.data.up[k] ? "var(--up)" : "var(--down)"
  move(pane.hollow, from, high)
}

// Names of open zones at their right end; where two would touch, the one on top is named.
function drawNames(view, pane) {
  const {left, right, top, bottom, width} = pane.view.frame.bbox, {start, end} = view.x
  const data = view.zones.data, n = data.label?.length ?? 0, taken = []
  pane.names ??= []
  let used = 0
  for (let k = n - 1; k >= 0 && view.count; k--) {
    if (!data.label[k]) continue
    const from = left + ((data.left[k] - start) / (end - start)) * width
    const upper = view.toPixel(pane, data.high[k]), lower = view.toPixel(pane, data.low[k])
    const y = lower - upper > 30 ? Math.max(top, upper) + 9 : lower - upper < 6 ? upper - 8 : (upper + lower) / 2 // names of lines stand above them
    if (from > right - 30 || lower < top || y < top + 8 || y > bottom - 8 || taken.some((other) => Math.abs(other - y) < 13)) continue
    taken.push(y)
    const el = (pane.names[used] ??= make("zone", pane.box))
    used += 1
    el.hidden = false
    text(el, data.label[k])
    el.style.color = data.color[k]
    el.style.width = right - left - 6 + "px"
    move(el, left, Math.round(y - 7))
  }
  for (let k = used; k < pane.names.length; k++) pane.names[k].hidden = true
}
