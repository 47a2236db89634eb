"""The frame of a page: where its parts stand on wide and on narrow screens."""

from __future__ import annotations

from typing import Any

import panel as pn

from workbench.plots.theme import DARK, Theme

__all__ = ["page"]

_HTML = """
{% extends base %}
{% block postamble %}
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<style>
:root { VARIABLES color-scheme:dark }
html, body { margin:0; padding:0; height:100%; background:var(--wb-background) !important; color:var(--wb-text) }
body { display:flex; flex-direction:column; height:100dvh; min-height:520px; overflow-x:hidden }
.wb-top { flex:none; position:relative; z-index:20 }
.wb-main { flex:1 1 0; min-height:0; display:grid; grid-template-columns:minmax(0,1fr) 286px }
.wb-chart, .wb-list { position:relative; min-width:0; min-height:0; overflow:hidden }
.wb-list { border-left:1px solid var(--wb-border) }
.wb-list { display:flex; flex-direction:column }
.wb-list > .wb-rows { flex:1 1 0; min-height:0 } .wb-list > .wb-warm { flex:none }
.wb-log { flex:none; position:relative; z-index:10 }
@media (max-width:820px) {
  body { height:auto; min-height:100dvh }
  .wb-main { display:block; flex:none }
  .wb-chart { height:max(360px, calc(100dvh - 190px)) }
  .wb-list { display:block; border-left:0; border-top:1px solid var(--wb-border); height:auto }
}
</style>
{% endblock %}
{% block contents %}
<header class="wb-top">{{ embed(roots.top) }}</header>
<main class="wb-main">
  <div class="wb-chart">{{ embed(roots.chart) }}</div>
  <aside class="wb-list" aria-label="Watchlist"><div class="wb-rows">{{ embed(roots.list) }}</div>
    {% for root in doc.roots if root.name == "warm" %}<div class="wb-warm">{{ embed(root) }}</div>{% endfor %}
  </aside>
</main>
<footer class="wb-log">{{ embed(roots.log) }}</footer>
{% for root in doc.roots if root.name not in ("top", "chart", "list", "log", "warm") %}
{{ embed(root) }}
{% endfor %}
{% endblock %}
"""  # noqa: E501 - rules of style read best one to a line


def page(title: str, theme: Theme = DARK, **parts: Any) -> pn.Template:
    """Return a page made of parts.

    Parameters
    ----------
    title : str
    theme : Theme
        Colours until the page's own script has set them.
    **parts
        `top`, `chart`, `list` and `log`, and `warm` if there are warm-ups: anything Panel shows.
    """
    variables = " ".join(f"--wb-{name}:{color};" for name, color in theme.tokens().items())
    template = pn.Template(_HTML.replace("VARIABLES", variables))
    template.title = title
    template.location = True  # the address tells what is shown
    for name, part in parts.items():
        template.add_panel(name, part)
    return template
