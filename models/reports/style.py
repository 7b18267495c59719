"""How a report looks."""

STYLE = """<style>
:root { color-scheme: light; }
body { margin: 0; background: #fff; color: #222; font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 46rem; margin: 0 auto; padding: 1.5rem 1.1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; }
.lead { font-size: 1.1rem; color: #444; margin: 0 0 1.4rem; }
.leak, .sound { border-left: 3px solid; padding: .1rem 0 .1rem .8rem; margin: 1.2rem 0; overflow-wrap: anywhere; }
.leak { border-color: #c8553d; }
.sound { border-color: #4a8a5c; }
.note { color: #666; font-size: .88rem; margin: .4rem 0 1.4rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .95rem; }
th, td { padding: .32rem .6rem .32rem 0; text-align: right; border-bottom: 1px solid #e6e6e6; vertical-align: top; }
th:first-child { text-align: left; font-weight: 500; }
thead th { color: #666; font-weight: 500; }
.words td { text-align: left; overflow-wrap: anywhere; }
.words th { white-space: nowrap; color: #666; }
.words ul { list-style: none; margin: 0; padding: 0; columns: 15rem; }
.words li { break-inside: avoid; }
figure { margin: 1.4rem 0; }
figure svg { max-width: 100%; height: auto; }
.wide svg { min-width: 34rem; }
.beside { display: flex; flex-wrap: wrap; gap: .6rem; }
.beside svg { flex: 1 1 19rem; min-width: 0; }
figcaption { color: #666; font-size: .88rem; }
@media (max-width: 34rem) {
  .words tr { display: block; padding: .4rem 0; border-bottom: 1px solid #e6e6e6; }
  .words th, .words td { display: block; border: 0; padding: 0; }
}
@media print { main { max-width: none; padding: 0; } h2, figure { break-inside: avoid; } h2 { break-after: avoid; } }
</style>"""
