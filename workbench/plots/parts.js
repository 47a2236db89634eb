// Small pieces shared by the parts of a page. Outside text only ever goes into textContent.

const make = (name, parent, tag = "div") => {
  const el = document.createElement(tag)
  if (name) el.className = name
  parent?.appendChild(el)
  return el
}
const text = (el, value) => { if (el.textContent !== value) el.textContent = value }
const styled = (css) => {
  const style = document.createElement("style")
  style.textContent = COMMON + css
  return style
}
const COMMON = `
:host { display:block; font:13px/1.4 -apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
  color:var(--wb-text); font-variant-numeric:tabular-nums; -webkit-text-size-adjust:100% }
* { box-sizing:border-box }
button, input { font:inherit; color:inherit; background:none; border:0; margin:0; padding:0 }
button { cursor:pointer; touch-action:manipulation }
:is(button, input, summary, [tabindex]):focus-visible { outline:2px solid var(--wb-accent); outline-offset:-2px; border-radius:5px }
[hidden] { display:none !important }
`
const formats = new Map()
function number(value, decimals) {
  if (value == null || !Number.isFinite(value)) return "–"
  if (!formats.has(decimals))
    formats.set(decimals, new Intl.NumberFormat("en-US", {
      minimumFractionDigits: decimals, maximumFractionDigits: decimals,
    }))
  return formats.get(decimals).format(value)
}
function signed(value, decimals) {
  if (value == null || !Number.isFinite(value)) return ""
  const shown = Number(value.toFixed(decimals))
  return (shown < 0 ? "−" : shown > 0 ? "+" : "") + number(Math.abs(shown), decimals)
}
const side = (value) => (value > 0 ? "up" : value < 0 ? "down" : "flat")
const sideOf = (percent) => side(percent == null ? 0 : Number(percent.toFixed(2)))
