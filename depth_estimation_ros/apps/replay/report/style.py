"""How the report looks: on a screen by day and by night, on a phone, and on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --card: #f5f7fa; --ink: #1c2430; --faint: #5a6677; --rule: #d5dbe3;
  --bar: #8fb5df; --line: #14589c; --band: #b7d1ee; --received: #3f9b6c; --missing: #d3364c;
  --bad: #e08a00; --good: #217346;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181f; --card: #1d232d; --ink: #e6eaf0; --faint: #9aa6b6; --rule: #343d4b;
    --bar: #3f6796; --line: #8cc0f8; --band: #2c4a6e; --received: #3f9b6c; --missing: #ef5468;
    --bad: #f3a83b; --good: #5cc48f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 66rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; overflow-wrap: anywhere; }
p { margin: .4rem 0; overflow-wrap: anywhere; }
.faint, caption, figcaption { color: var(--faint); font-size: .875rem; }
.status { font-weight: 600; }
.status.good { color: var(--good); }
.status.poor { color: var(--missing); }
.keys { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1rem 0; padding: 0; }
.keys div { background: var(--card); border-radius: .5rem; padding: .5rem .9rem; }
.keys dt { color: var(--faint); font-size: .8rem; }
.keys dd { margin: 0; font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.charts {
  display: grid; gap: 1rem 2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr));
}
figure { margin: 0; min-width: 0; }
svg { display: block; width: 100%; height: auto; max-width: 36rem; }
svg text { font-size: 13px; fill: var(--faint); font-family: inherit; }
svg text.strong {
  fill: var(--ink); font-weight: 600;
  paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round;
}
.grid { stroke: var(--rule); stroke-width: 1; }
.bar { fill: var(--bar); }
.mark { stroke: var(--ink); stroke-width: 1.5; }
.p90 { stroke-dasharray: 6 3; }
.p99 { stroke-dasharray: 2 3; }
.band { fill: var(--band); }
.line { fill: none; stroke: var(--line); stroke-width: 1.6; stroke-linejoin: round; }
svg.strip { max-width: none; height: 1.6rem; background: var(--card); border-radius: .2rem; }
.received { fill: var(--received); } .missing { fill: var(--missing); } .bad { fill: var(--bad); }
.ends { display: flex; justify-content: space-between; color: var(--faint); font-size: .875rem; }
.key {
  display: inline-block; width: .8em; height: .8em; border-radius: .15em; margin: 0 .3em 0 .9em;
}
.key.received { background: var(--received); } .key.missing { background: var(--missing); }
.key.bad { background: var(--bad); }
.scroll { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; font-size: .9rem; }
caption { text-align: left; padding-bottom: .3rem; }
th, td {
  text-align: left; vertical-align: top; padding: .2rem 1.2rem .2rem 0;
  border-bottom: 1px solid var(--rule);
}
th { font-weight: 600; }
tbody th { font-weight: 400; }
td { overflow-wrap: anywhere; }
th.number, td.number {
  text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: normal;
}
.row {
  display: grid; gap: .6rem;
  grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr)); margin: .6rem 0 1rem;
  align-items: start;
}
.row.three { grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); }
img { display: block; width: 100%; height: auto; border-radius: .2rem; }
summary { cursor: pointer; }
@media print {
  :root {
    --paper: #fff; --card: #f5f7fa; --ink: #000; --faint: #444; --rule: #bbb; --bar: #8fb5df;
    --line: #14589c; --band: #b7d1ee; --missing: #d3364c; --bad: #e08a00; --good: #217346;
  }
  body { padding: 0; max-width: none; font-size: 10pt; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .row { grid-template-columns: repeat(4, 1fr); }
  .row.three { grid-template-columns: repeat(3, 1fr); }
  figure, tr, .row, .keys { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
"""
