// Drag, wheel, pinch and double click. Registered on our own layer over the figure.

function gestures(chart, pane) {
  const {box} = pane
  const fingers = new Map()
  let grip = null
  const at = (event) => {
    const area = box.getBoundingClientRect()
    return {sx: event.clientX - area.left, sy: event.clientY - area.top}
  }
  const zone = ({sx, sy}) => {
    const {right, bottom} = pane.view.frame.bbox
    return sx > right ? "y" : sy > bottom ? "x" : "pan"
  }
  const grab = () => {
    const points = [...fingers.values()]
    const {start, end} = chart.x, y = chart.ys[pane.i]
    grip = {points, start, end, low: y.start, high: y.end, zone: zone(points[0])}
  }
  const zoomY = (factor) => {
    const middle = (grip.low + grip.high) / 2, half = ((grip.high - grip.low) / 2) * factor
    chart.auto[pane.i] = false
    chart.touched = true
    chart.ys[pane.i].setv({start: middle - half, end: middle + half}, quiet)
    chart.schedule()
  }

  box.addEventListener("pointerdown", (event) => {
    if (event.button != 0 || event.target === pane.live) return
    try { box.setPointerCapture(event.pointerId) } catch { /* the pointer has gone already */ }
    fingers.set(event.pointerId, at(event))
    grab()
    box.classList.toggle("pan", grip.zone == "pan")
  })
  box.addEventListener("pointermove", (event) => {
    const here = at(event)
    chart.hover = {pane: pane.i, ...here}
    if (!fingers.has(event.pointerId)) {
      const over = zone(here)
      box.classList.toggle("y", over == "y")
      box.classList.toggle("x", over == "x")
      if (over == "y") chart.hover = null
      return chart.schedule()
    }
    fingers.set(event.pointerId, here)
    const points = [...fingers.values()], {width, height} = pane.view.frame.bbox
    const span = grip.end - grip.start
    if (points.length > 1) {
      // The two ordinals first touched stay under the two fingers.
      const per = span / width, gap = (p) => Math.max(12, Math.abs(p[1].sx - p[0].sx))
      const anchor = grip.start + ((grip.points[0].sx + grip.points[1].sx) / 2 - pane.view.frame.bbox.left) * per
      const scale = gap(grip.points) / gap(points)
      const middle = ((points[0].sx + points[1].sx) / 2 - pane.view.frame.bbox.left) / width
      return chart.look(anchor - middle * span * scale, anchor + (1 - middle) * span * scale)
    }
    const dx = here.sx - grip.points[0].sx, dy = here.sy - grip.points[0].sy
    if (grip.zone == "y") return zoomY(Math.exp(dy / 160))
    if (grip.zone == "x") {
      const scale = Math.exp(-dx / 240)
      return chart.look(grip.end - span * scale, grip.end)
    }
    if (!chart.auto[pane.i]) {
      const shift = (dy / height) * (grip.high - grip.low)
      chart.ys[pane.i].setv({start: grip.low + shift, end: grip.high + shift}, quiet)
    }
    if (Math.abs(dx) >= 1 || !chart.auto[pane.i]) {
      const shift = (-dx / width) * span
      chart.look(grip.start + shift, grip.end + shift)
    }
  })
  const release = (event) => {
    fingers.delete(event.pointerId)
    if (fingers.size) return grab()
    grip = null
    box.classList.remove("pan")
    if (event.pointerType == "touch" && event.type == "pointercancel") { chart.hover = null; chart.schedule() }
  }
  box.addEventListener("pointerup", release)
  box.addEventListener("pointercancel", release)
  box.addEventListener("pointerleave", (event) => {
    if (event.pointerType == "touch") return
    chart.hover = null
    chart.schedule()
  })
  box.addEventListener("wheel", (event) => {
    event.preventDefault()
    const {sx, sy} = at(event), {left, width} = pane.view.frame.bbox
    const lines = event.deltaMode == 1 ? 33 : 1
    const {start, end} = chart.x, span = end - start
    if (zone({sx, sy}) == "y") {
      grip = {low: chart.ys[pane.i].start, high: chart.ys[pane.i].end}
      zoomY(Math.exp((event.deltaY * lines) / 800))
      grip = null
    } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const shift = ((event.deltaX * lines) / width) * span
      chart.look(start + shift, end + shift)
    } else {
      const scale = Math.exp(Math.max(-1, Math.min(1, (event.deltaY * lines) / 500)))
      const focus = Math.min(1, Math.max(0, (sx - left) / width))
      const anchor = start + focus * span
      chart.look(anchor - focus * span * scale, anchor + (1 - focus) * span * scale)
    }
  }, {passive: false})
  box.addEventListener("dblclick", (event) => {
    if (zone(at(event)) == "y") { chart.auto[pane.i] = true; chart.schedule() }
    else chart.reset()
  })
}
