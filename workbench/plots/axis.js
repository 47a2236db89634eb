// Ticks and labels of a chart whose x is the ordinal of a bar, and number formats.

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR
const STEPS = [
  SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND, 30 * SECOND,
  MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY,
]
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
const pad = (n) => String(n).padStart(2, "0")

// How much a bar that starts a new year, month, day or hour matters as a place for a label.
function rank(wall, before) {
  const a = new Date(before), b = new Date(wall)
  if (a.getUTCFullYear() != b.getUTCFullYear()) return 4
  if (a.getUTCMonth() != b.getUTCMonth()) return 3
  if (a.getUTCDate() != b.getUTCDate()) return 2
  return a.getUTCHours() != b.getUTCHours() ? 1 : 0
}

function tickLabel(wall, level, step) {
  const t = new Date(wall)
  if (level >= 4) return String(t.getUTCFullYear())
  if (level == 3 && step >= DAY) return MONTHS[t.getUTCMonth()]
  if (level >= 2) return step >= DAY ? String(t.getUTCDate()) : `${t.getUTCDate()} ${MONTHS[t.getUTCMonth()]}`
  const seconds = step < MINUTE ? ":" + pad(t.getUTCSeconds()) : ""
  return `${pad(t.getUTCHours())}:${pad(t.getUTCMinutes())}${seconds}`
}

function fullLabel(wall, seconds) {
  const t = new Date(wall)
  const day = `${["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][t.getUTCDay()]} ${t.getUTCDate()} ${MONTHS[t.getUTCMonth()]} ’${pad(t.getUTCFullYear() % 100)}`
  if (seconds >= 86400) return day
  const clock = `${pad(t.getUTCHours())}:${pad(t.getUTCMinutes())}`
  return `${day}  ${clock}${seconds < 60 ? ":" + pad(t.getUTCSeconds()) : ""}`
}

// Choose bars for labels: first those that start a larger unit, then others that keep clear.
function timeTicks(wallAt, first, last, pixelsPerBar, seconds) {
  const want = 84, gap = 62
  const perBar = seconds * 1000
  const step = STEPS.find((s) => s >= perBar && (s / perBar) * pixelsPerBar >= want)
    ?? Math.ceil(want / pixelsPerBar) * perBar
  const found = []
  let before = wallAt(first - 1)
  for (let x = first; x <= last; x++) {
    const wall = wallAt(x)
    const level = rank(wall, before)
    const turns = Math.floor(wall / step) != Math.floor(before / step)
    if (turns || level >= 2) found.push({x, level, label: tickLabel(wall, level, step)})
    before = wall
  }
  found.sort((a, b) => b.level - a.level || a.x - b.x)
  const taken = []
  for (const tick of found)
    if (taken.every((other) => Math.abs(other.x - tick.x) * pixelsPerBar >= gap)) taken.push(tick)
  return taken.sort((a, b) => a.x - b.x)
}

function priceTicks(low, high, height, spacing, decimals) {
  const span = high - low
  if (!(span > 0) || !(height > 0)) return []
  const rough = (span * spacing) / height
  const power = 10 ** Math.floor(Math.log10(rough))
  // Every tick must be what its label says: steps have no more decimals than labels.
  const exact = (s) => Math.abs(s * 10 ** decimals - Math.round(s * 10 ** decimals)) < 1e-6
  const steps = [1, 2, 2.5, 5, 10].map((m) => m * power)
  const step = steps.find((s) => s >= rough * 0.999 && exact(s)) ?? Math.max(steps.at(-1), 10 ** -decimals)
  const ticks = []
  const margin = (9 * span) / height // a label cut by the edge of the pane is none
  for (let k = Math.ceil((low + margin) / step); k * step <= high - margin; k++) ticks.push(k * step)
  return ticks
}

const formats = new Map()
function number(value, decimals) {
  if (!Number.isFinite(value)) return "–"
  if (!formats.has(decimals))
    formats.set(decimals, new Intl.NumberFormat("en-US", {
      minimumFractionDigits: decimals, maximumFractionDigits: decimals,
    }))
  return formats.get(decimals).format(value)
}

function compact(value) {
  if (!Number.isFinite(value)) return "–"
  for (const [size, unit] of [[1e9, "B"], [1e6, "M"], [1e3, "K"]])
    if (Math.abs(value) >= size) return (value / size).toFixed(2) + " " + unit
  return value >= 100 || value == 0 ? value.toFixed(0) : String(Number(value.toPrecision(3)))
}
