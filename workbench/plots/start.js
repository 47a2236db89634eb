// One view for each chart on the page, found again by the ticks of its axes.

const views = (globalThis.workbench_views ??= new WeakMap())
const memory = (globalThis.workbench_memory ??= new Map())
let clock = null

export default (args, _object, _data, context) => {
  let view = views.get(args.source)
  if (view == null) {
    view = new View(args)
    views.set(args.source, view)
    view.figures.forEach((figure, i) => views.set(figure, {view, i}))
    // Only the countdown changes without data; the timer ends with the chart.
    const held = new WeakRef(view)
    clock = setInterval(() => {
      const alive = held.deref()
      const pane = alive?.panes[0]
      if (pane == null || !pane.box.isConnected) {
        if (alive == null || alive.panes.some((p) => p != null)) clearInterval(clock)
        return
      }
      if (alive.count) alive.drawPrice(pane, false)
    }, 1000)
  }
  view.index = context.index
  view.schedule()
}
