// What a chart does in the page: ranges, follow, scale, legend, price line and crosshair.
// It runs once for each animation frame in which something changed. Ranges are set without
// telling the server: what one viewer looks at is no business of anybody else.

const STYLE = `
.wb { position:absolute; inset:0; overflow:hidden; cursor:crosshair; touch-action:pan-y;
  user-select:none; -webkit-user-select:none; font:12px/1.35 -apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
  font-variant-numeric:tabular-nums; color:var(--text); -webkit-tap-highlight-color:transparent }
.wb.pan { cursor:grabbing } .wb.y { cursor:ns-resize } .wb.x { cursor:ew-resize }
.wb > * { position:absolute; left:0; top:0; pointer-events:none; will-change:transform }
.wb .h, .wb .v { opacity:.85 } .wb .h { border-top:1px dashed var(--cross) } .wb .v { border-left:1px dashed var(--cross); height:100% }
.wb .line { border-top:1px dotted currentColor }
.wb .tag { padding:2px 0 2px 6px; border-radius:2px; box-sizing:border-box; white-space:nowrap; font-size:11.5px }
.wb .read { background:var(--panel); color:var(--text) }
.wb .last { color:#fff; font-weight:600 } .wb .last small { display:block; font-size:10.5px; font-weight:400; opacity:.9 }
.wb .strip { height:8px } .wb .zone { text-align:right; font-size:10.5px; line-height:14px; opacity:.9; text-shadow:0 0 2px var(--background),0 0 2px var(--background) }
.wb .hollow { border:1px solid currentColor; background:repeating-linear-gradient(135deg,var(--background) 0 3px,currentColor 3px 4.5px) }
.wb .tip { display:flex; flex-wrap:wrap; gap:0 9px; padding:5px 10px; border-radius:5px; background:var(--card); border:1px solid var(--border); box-shadow:0 2px 10px #0005; font-size:11.5px; max-width:min(460px,96%); z-index:3 }
.wb .tip i { font-style:normal; color:var(--muted); overflow-wrap:anywhere } .wb .tip b { font-weight:600 }
.wb .last .flag { font-weight:600; opacity:1 }
.wb .when { padding:2px 8px; border-radius:2px; background:var(--panel); white-space:nowrap; font-size:11.5px }
.wb .legend { max-width:calc(100% - 70px); padding:7px 0 0 10px; text-shadow:0 0 3px var(--background),0 0 3px var(--background) }
.wb .legend div { display:flex; flex-wrap:wrap; column-gap:9px }
.wb .legend b { font-size:13px; font-weight:600 } .wb .legend i { font-style:normal; color:var(--muted) }
.wb .curves span { white-space:nowrap }
.wb .live { pointer-events:auto; cursor:pointer; border:1px solid var(--border); background:var(--panel); color:var(--text);
  border-radius:14px; height:28px; padding:0 12px; font:inherit; font-weight:500; box-shadow:0 1px 5px #0004; left:auto; top:auto }
.wb .live:hover { filter:brightness(1.12) }
.wb .wait { inset:0; display:flex; align-items:center; justify-content:center; flex-direction:column; gap:10px; color:var(--muted); font-size:14px; text-align:center; padding:0 24px }
.wb .wait::before { content:""; width:9px; height:9px; border-radius:50%; background:var(--up); animation:wb 1.4s ease-in-out infinite }
@keyframes wb { 50% { opacity:.15; transform:scale(.7) } }
.wb [hidden] { display:none !important }
@media (max-width:560px) { .wb .legend { font-size:11px; padding:5px 0 0 8px } .wb .legend div { column-gap:7px } }
`
const MARGIN = 4 // bars kept free right of the newest
const make = (name, parent, tag = "div") => {
  const el = document.createElement(tag)
  el.className = name
  parent.appendChild(el)
  return el
}
const text = (el, value) => { if (el.textContent !== value) el.textContent = value }
const move = (el, x, y) => { el.style.transform = `translate(${x}px,${y}px)` }
const quiet = {sync: false}

class View {
  constructor({source, zones, figures, x_range, y_ranges, volume_range, spec}) {
    Object.assign(this, {source, zones, figures, x: x_range, ys: y_ranges, volume: volume_range, spec})
    this.panes = figures.map(() => null)
    this.auto = figures.map(() => true)
    this.follow = spec.follow
    this.touched = false // whether the user chose what is visible
    this.newest = null // ordinal of the newest bar when the last frame was drawn
    this.key = null
    this.loads = null
    this.hover = null // {pane, sx, sy} of the pointer
    this.queued = false
  }

  get meta() { return this.source.tags[0] ?? {} }
  get data() { return this.source.data }
  get count() { return this.data.x.length }
  get last() { return this.data.x[this.count - 1] }

  schedule() {
    if (this.queued) return
    this.queued = true
    requestAnimationFrame(() => { this.queued = false; this.frame() })
  }

  frame() {
    if (!this.attach()) return
    this.place()
    this.figures.forEach((_, i) => this.scale(i))
    this.draw()
  }

  // Bokeh makes new elements when a figure is shown again: lay ours over whatever is there now.
  attach() {
    this.figures.forEach((figure, i) => {
      const view = this.index?.find_one(figure)
      const root = view?.canvas_view?.shadow_el
      if (root == null || !view.frame.bbox.width) { this.panes[i] = null; return }
      if (this.panes[i]?.box.parentNode === root) return
      this.panes[i]?.box.remove()
      this.panes[i] = this.overlay(view, root, i)
    })
    return this.panes.every((pane) => pane != null)
  }

  overlay(view, root, i) {
    const style = document.createElement("style")
    style.textContent = STYLE
    const box = make("wb", root)
    box.prepend(style)
    const pane = {view, box, i}
    pane.line = i == 0 ? make("line", box) : null
    pane.v = make("v", box)
    pane.h = make("h", box)
    pane.legend = make("legend", box)
    pane.tag = i == 0 ? make("tag last", box) : null
    if (pane.tag) { pane.price = make("", pane.tag, "span"); pane.timer = make("", pane.tag, "small"); pane.flag = make("flag", pane.tag, "small"); pane.flag.textContent = "incomplete" }
    pane.read = make("tag read", box)
    pane.when = i == this.figures.length - 1 ? make("when", box) : null
    if (i == 0) {
      pane.live = make("live", box, "button")
      pane.live.type = "button"
      pane.live.title = "Back to the newest bar"
      pane.live.textContent = "Live »"
      pane.live.addEventListener("click", () => this.reset())
      pane.wait = make("wait", box)
    }
    gestures(this, pane)
    // Ticks depend on the width of the pane, which is known only now.
    view.request_paint?.()
    return pane
  }

  // ---- ranges
  width() { return this.panes[0].view.frame.bbox.width }

  place() {
    if (this.count == 0) return
    const key = `${this.meta.symbol} ${this.meta.timeframe}`
    const kept = memory.get(this.spec.id)
    if (this.key === null && kept?.key === key) this.restore(kept)
    else if (this.key !== key) this.reset(false)
    else if (this.loads !== this.meta.loads && !this.follow) {
      // The bars were numbered anew: stay at the same time.
      const shift = this.ordinalOf(this.edge) - this.x.end
      this.setX(this.x.start + shift, this.x.end + shift)
    } else if (this.follow && !this.touched && this.last !== this.newest) this.reset(false)
    else if (this.follow && this.last !== this.newest)
      this.setX(this.x.start + this.last - this.newest, this.x.end + this.last - this.newest)
    this.key = key
    this.loads = this.meta.loads
    this.newest = this.last
    this.edge = this.utcAt(this.x.end)
    memory.set(this.spec.id, {
      key, follow: this.follow, touched: this.touched, back: this.last - this.x.end, span: this.x.end - this.x.start, auto: this.auto[0],
      start: this.ys[0].start, end: this.ys[0].end,
    })
  }

  restore(kept) {
    this.follow = kept.follow
    this.touched = kept.touched
    const end = this.last - kept.back
    this.setX(end - kept.span, end)
    this.auto[0] = kept.auto
    if (!kept.auto) this.ys[0].setv({start: kept.start, end: kept.end}, quiet)
  }

  reset(redraw = true) {
    // A young series has wide bars rather than an empty left half, but not broader than 20 px.
    const usual = Math.min(220, Math.max(30, Math.round(this.width() / 7.5)))
    const bars = Math.min(usual, Math.max(Math.round(this.width() / 20), this.count + MARGIN + 1))
    this.follow = this.spec.follow
    this.touched = false
    this.auto = this.auto.map(() => true)
    this.setX(this.last + MARGIN - bars, this.last + MARGIN)
    this.newest = this.last
    if (redraw) this.schedule()
  }

  setX(start, end) {
    if (start === this.x.start && end === this.x.end) return
    this.x.setv({start, end}, quiet)
  }

  // The user moved or zoomed: keep some bars in sight, and follow only at the right edge.
  look(start, end) {
    if (this.count == 0) return
    const most = Math.max(60, this.count * 1.5)
    const span = Math.min(most, Math.max(5, end - start))
    const middle = (start + end) / 2
    if (span !== end - start) { start = middle - span / 2; end = middle + span / 2 }
    const low = this.data.x[0] + 2 - span, high = this.last - 2
    const shift = start > high ? high - start : start < low ? low - start : 0
    this.setX(start + shift, end + shift)
    this.touched = true
    this.follow = this.spec.follow && this.x.end >= this.last + 0.5
    this.newest = this.last
    this.schedule()
  }

  visible() {
    const first = this.data.x[0]
    const from = Math.max(0, Math.ceil(this.x.start - first - 0.5))
    const to = Math.min(this.count - 1, Math.floor(this.x.end - first + 0.5))
    return [from, to]
  }

  scale(i) {
    const [from, to] = this.visible()
    if (to < from) return
    const spec = this.spec.panes[i]
    if (i == 0 && this.volume != null) {
      let most = 0
      for (let k = from; k <= to; k++) most = Math.max(most, this.data.volume[k])
      const end = (most || 1) * 5.5
      if (end !== this.volume.end) this.volume.setv({start: 0, end}, quiet)
    }
    if (!this.auto[i]) return
    let [start, end] = spec.range ?? [NaN, NaN]
    if (!spec.range) {
      let low = Infinity, high = -Infinity
      const take = (column) => {
        for (let k = from; k <= to; k++) {
          const value = column[k]
          if (value < low) low = value
          if (value > high) high = value
        }
      }
      if (i == 0) { take(this.data.low); take(this.data.high) }
      const reach = i == 0 ? high - low : Infinity
      const [least, most] = [low - reach, high + reach]
      for (const curve of spec.curves) {
        if (curve.bars && low > 0) low = 0
        if (curve.bars && high < 0) high = 0
        // A curve far away, such as a session's VWAP after a jump, must not flatten candles.
        const before = [low, high]
        take(this.data[curve.column])
        if (low < least) low = before[0]
        if (high > most) high = before[1]
      }
      if (!(high >= low)) return
      const span = high - low || Math.abs(high) * 0.002 || 1
      const foot = i == 0 && this.volume != null ? 0.2 : 0.1
      start = low - span * foot
      end = high + span * 0.12
    }
    const y = this.ys[i]
    if (y.start !== start || y.end !== end) y.setv({start, end}, quiet)
  }

  // ---- places and times
  utcAt(x) { return this.timeAt(this.data.utc, x) }
  wallAt(x) { return this.timeAt(this.data.wall, x) }

  timeAt(column, x) {
    const k = Math.round(x) - this.data.x[0], n = this.count, step = this.meta.seconds * 1000
    if (k < 0) return column[0] + k * step
    return k < n ? column[k] : column[n - 1] + (k - n + 1) * step
  }

  ordinalOf(utc) {
    const column = this.data.utc, n = this.count, step = this.meta.seconds * 1000
    if (utc > column[n - 1]) return this.last + (utc - column[n - 1]) / step
    let low = 0, high = n - 1
    while (low < high) { const mid = (low + high) >> 1; if (column[mid] < utc) low = mid + 1; else high = mid }
    return this.data.x[low]
  }

  xTicks() {
    if (this.count == 0 || this.panes[0] == null) return []
    const from = Math.ceil(this.x.start), to = Math.floor(this.x.end)
    const key = `${from} ${to} ${this.width()} ${this.last} ${this.meta.loads} ${this.data.wall[0]}`
    if (this.ticksKey !== key) {
      this.ticksKey = key
      const pixels = this.width() / (this.x.end - this.x.start)
      this.ticks = timeTicks((x) => this.wallAt(x), from, to, pixels, this.meta.seconds)
    }
    return this.ticks
  }

  yTicks(i) {
    const bbox = this.panes[i]?.view.frame.bbox, {start, end} = this.ys[i]
    if (bbox == null || this.count == 0) return []
    return this.spec.panes[i].levels.length ? this.spec.panes[i].levels : priceTicks(start, end, bbox.height, i == 0 ? 52 : 34, this.decimals(i))
  }

  yLabel(i, value) {
    return this.spec.panes[i].levels.length ? String(value) : number(value, this.decimals(i))
  }

  decimals(i) {
    if (i == 0) return this.meta.decimals ?? 2
    const span = Math.abs(this.ys[i].end - this.ys[i].start)
    return span >= 20 ? 1 : Math.min(10, Math.max(2, 2 - Math.floor(Math.log10(span || 1))))
  }

  // ---- what lies over the figures
  draw() {
    for (const pane of this.panes) this.dress(pane)
    const first = this.panes[0]
    const empty = this.count == 0
    first.wait.hidden = !empty
    text(first.wait, empty ? `Waiting for the first trade of ${this.meta.symbol ?? "…"}` : "")
    first.live.hidden = empty || this.follow || !this.spec.follow
    for (const pane of this.panes) {
      this.drawCross(pane, empty)
      this.drawLegend(pane, empty)
      drawStrip(this, pane)
    }
    drawHollow(this, first)
    drawNames(this, first)
    this.drawPrice(first, empty)
    const {bottom, right} = first.view.frame.bbox
    first.live.style.right = first.box.clientWidth - right + 12 + "px"
    first.live.style.bottom = first.box.clientHeight - bottom + 12 + "px"
  }

  dress(pane) {
    const theme = this.meta.theme ?? {}
    if (pane.skin === theme.name) return
    pane.skin = theme.name
    for (const [name, color] of Object.entries(theme)) pane.box.style.setProperty("--" + name, color)
  }

  toPixel(pane, value) {
    const {bottom, height} = pane.view.frame.bbox, {start, end} = this.ys[pane.i]
    return bottom - ((value - start) / (end - start)) * height
  }

  drawPrice(pane, empty) {
    const {left, right, top, bottom} = pane.view.frame.bbox
    const k = this.count - 1
    const y = empty ? NaN : this.toPixel(pane, this.data.close[k])
    const shown = Number.isFinite(y) && y >= top && y <= bottom
    pane.line.hidden = pane.tag.hidden = !shown
    if (!shown) return
    const colors = this.meta.theme ?? {}
    const color = this.data.up[k] ? colors.up : colors.down
    pane.line.style.color = color
    pane.line.style.width = right - left + "px"
    move(pane.line, left, Math.round(y) - 0.5)
    pane.tag.style.background = color
    pane.tag.style.width = pane.box.clientWidth - right - 1 + "px"
    text(pane.price, number(this.data.close[k], this.meta.decimals))
    this.tickTimer(pane, k)
    pane.flag.hidden = !pane.incomplete
    const height = 20 + 14 * !pane.timer.hidden + 14 * !pane.flag.hidden
    move(pane.tag, right + 1, Math.round(Math.min(bottom - height, Math.max(top, y - 10))))
  }

  tickTimer(pane, k) {
    const rest = this.data.utc[k] + this.meta.seconds * 1000 - Date.now()
    const live = rest > 0 && rest <= this.meta.seconds * 1000
    pane.timer.hidden = !live || !this.meta.steady || this.meta.seconds < 5
    if (live) {
      const s = Math.ceil(rest / 1000), h = Math.floor(s / 3600)
      text(pane.timer, (h ? h + ":" + pad(Math.floor(s / 60) % 60) : pad(Math.floor(s / 60))) + ":" + pad(s % 60))
    }
  }

  drawCross(pane, empty) {
    const {left, right, top, bottom} = pane.view.frame.bbox
    const on = this.hover != null && !empty
    const here = on && this.hover.pane === pane.i && this.hover.sy >= top && this.hover.sy <= bottom
    pane.v.hidden = !on
    pane.h.hidden = pane.read.hidden = !here
    if (pane.when) pane.when.hidden = !on
    if (!on) return
    const x = this.hovered()
    const sx = Math.round(left + ((x - this.x.start) / (this.x.end - this.x.start)) * (right - left))
    pane.v.style.height = bottom - top + "px"
    move(pane.v, sx, top)
    if (pane.when) {
      text(pane.when, fullLabel(this.wallAt(x), this.meta.seconds))
      const half = pane.when.offsetWidth / 2
      move(pane.when, Math.min(right - 2 * half, Math.max(left, sx - half)), bottom + 3 + this.spec.strip)
    }
    if (!here) return
    pane.h.style.width = right - left + "px"
    move(pane.h, left, this.hover.sy)
    const {start, end} = this.ys[pane.i]
    const value = start + ((bottom - this.hover.sy) / (bottom - top)) * (end - start)
    text(pane.read, number(value, this.decimals(pane.i)))
    pane.read.style.width = pane.box.clientWidth - right - 1 + "px"
    move(pane.read, right + 1, this.hover.sy - 10)
  }

  hovered() {
    const {left, right} = this.panes[0].view.frame.bbox
    return Math.round(this.x.start + ((this.hover.sx - left) / (right - left)) * (this.x.end - this.x.start))
  }

  drawLegend(pane, empty) {
    const d = this.data, n = this.count
    let k = this.hover && !empty ? this.hovered() - d.x[0] : n - 1
    if (k < 0 || k >= n) k = n - 1
    const parts = pane.parts ??= this.legendParts(pane)
    if (pane.i == 0) {
      text(parts.symbol, this.meta.symbol ?? "")
      text(parts.frame, this.meta.timeframe ?? "")
      parts.prices.hidden = empty
      if (!empty) {
        const digits = this.meta.decimals
        const base = k > 0 ? d.close[k - 1] : d.open[k]
        const change = d.close[k] - base
        const sign = change >= 0 ? "+" : "−"
        const color = `var(--${d.up[k] ? "up" : "down"})`
        for (const name of ["open", "high", "low", "close"]) {
          text(parts[name], number(d[name][k], digits))
          parts[name].style.color = color
        }
        text(parts.change, `${sign}${number(Math.abs(change), digits)} (${sign}${number(Math.abs((100 * change) / base), 2)}%)`)
        parts.change.style.color = `var(--${change >= 0 ? "up" : "down"})`
        text(parts.volume, compact(d.volume[k]))
        parts.volume.style.color = color
      }
    }
    for (const [curve, el] of parts.curves)
      text(el, empty ? "" : number(d[curve.column][k], this.decimals(pane.i)))
  }

  legendParts(pane) {
    const parts = {curves: []}
    if (pane.i == 0) {
      const row = make("", pane.legend)
      const head = make("", row, "span")
      parts.symbol = make("", head, "b")
      head.append(" ")
      parts.frame = make("", head, "i")
      parts.prices = make("", row)
      for (const [name, label] of [["open", "O"], ["high", "H"], ["low", "L"], ["close", "C"], ["change", ""], ["volume", "Vol"]]) {
        const cell = make("", parts.prices, "span")
        if (label) { make("", cell, "i").textContent = label + " " }
        parts[name] = make("", cell, "span")
      }
    }
    const row = make("curves", pane.legend)
    for (const curve of this.spec.panes[pane.i].curves) {
      const cell = make("", row, "span")
      make("", cell, "i").textContent = curve.label + " "
      const value = make("", cell, "span")
      value.style.color = curve.bars ? "var(--text)" : curve.color
      parts.curves.push([curve, value])
    }
    return parts
  }
}
