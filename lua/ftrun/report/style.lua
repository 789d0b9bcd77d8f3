--- The style of a report: one column, type sizes in steps, figures of one width; light, dark and on paper.
return [[
:root { --paper: #fffefb; --ink: #1c1c1a; --soft: #5a5a55; --rule: #dcdad3; --shade: #f4f2ec;
  --train: #2f55a4; --valid: #a8400c; --good: #1d6b37; --bad: #a3201d; --del: #fbe4df; --ins: #dfeedd;
  color-scheme: light dark; }
@media screen and (prefers-color-scheme: dark) {
  :root { --paper: #17181a; --ink: #e8e6e1; --soft: #a9a8a2; --rule: #3a3b3d; --shade: #212224;
    --train: #93b4f5; --valid: #f0a36a; --good: #7fce97; --bad: #f59a92; --del: #45211e; --ins: #1d3a26; }
}
* { box-sizing: border-box; }
html { background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, "Noto Sans", "DejaVu Sans", sans-serif;
  -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; overflow-wrap: break-word; }
h1 { font-size: 2rem; line-height: 1.15; letter-spacing: -.015em; margin: 0 0 .35rem; font-weight: 650; }
h2 { font-size: 1.25rem; line-height: 1.25; margin: 3rem 0 .9rem; padding-top: .7rem; border-top: 1px solid var(--rule);
  font-weight: 650; }
h3 { font-size: 1rem; margin: 1.8rem 0 .4rem; font-weight: 650; }
p { margin: 0 0 .8rem; max-width: 42rem; }
.lead { font-size: 1.125rem; margin-bottom: 1.4rem; }
.soft, figcaption, caption, dt, .unit { color: var(--soft); }
.good { color: var(--good); } .bad { color: var(--bad); }
.good, .bad { font-weight: 600; }
.notice { border-left: 3px solid var(--bad); background: var(--shade); padding: .7rem .9rem; max-width: none; }
.notice.mild { border-color: var(--soft); } dl + .notice { margin-top: 1.2rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.25rem; margin: 0; }
dt, dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
code, pre, .hash { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .875em; }
.hash { overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
.scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--train); outline-offset: 2px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; margin: 0 0 .5rem; }
caption { text-align: left; padding-bottom: .3rem; font-size: .9375rem; }
th, td { text-align: left; vertical-align: baseline; padding: .32rem .9rem .32rem 0; font-weight: 400;
  border-bottom: 1px solid var(--rule); }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--soft); font-size: .875rem; vertical-align: bottom; }
.n { text-align: right; white-space: nowrap; }
.under { display: block; color: var(--soft); font-size: .875rem; }
.path, .model { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .8125rem; }
.model { overflow-wrap: anywhere; min-width: 6.5rem; } .interval { min-width: 3.4rem; }
.scroll + .scroll, .scroll + dl, dl + table, table + dl { margin-top: 1.4rem; } .scroll + dl { margin-top: .6rem; }
.half { width: auto; min-width: min(100%, 26rem); }
td.bar { width: 50%; padding-right: 0; }
td.bar span { display: block; height: .7rem; background: var(--train); min-width: 1px; }
.pair > .scroll { margin-top: 0; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1.5rem; }
figure { margin: 0; min-width: 0; }
figcaption { font-size: .9375rem; } figcaption b { color: var(--ink); font-weight: 650; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font-size: 11px; fill: var(--soft); font-variant-numeric: tabular-nums; }
svg .y { text-anchor: end; } svg .x { text-anchor: middle; }
.grid { stroke: var(--rule); stroke-width: 1; }
.curve { fill: none; stroke-linejoin: round; stroke-width: 1; }
.curve.marked { stroke-width: 1.75; } .curve.valid { stroke-dasharray: 5 2; }
.train { stroke: var(--train); } .valid { stroke: var(--valid); }
.band { stroke: none; opacity: .16; } .band.train { fill: var(--train); } .band.valid { fill: var(--valid); }
.mark { stroke: var(--paper); stroke-width: 1; } .mark.train { fill: var(--train); } .mark.valid { fill: var(--valid); }
th.train, dt.train { color: var(--train); font-weight: 650; }
th.valid, dt.valid { color: var(--valid); font-weight: 650; }
td.side { overflow-wrap: anywhere; width: 36%; }
svg .name { font-weight: 600; stroke: var(--paper); stroke-width: 3px; paint-order: stroke; }
svg .name.train { fill: var(--train); }
svg .name.valid { fill: var(--valid); } svg .tick.name { font-weight: 400; }
details { margin: .8rem 0; }
summary { cursor: pointer; padding: .3rem 0; color: var(--soft); } details[open] > summary { color: var(--ink); }
pre { background: var(--shade); padding: .9rem; margin: .3rem 0; overflow-x: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; line-height: 1.45; }
del, ins { text-decoration: none; border-radius: 2px; padding: 0 .15em; color: var(--ink);
  box-decoration-break: clone; -webkit-box-decoration-break: clone; }
del { background: var(--del); border-bottom: 1px dashed var(--bad); }
ins { background: var(--ins); border-bottom: 1px solid var(--good); }
.example { border-top: 1px solid var(--rule); margin: 0; } .example:last-child { border-bottom: 1px solid var(--rule); }
.example summary { padding: .5rem 0; } .example .question { font-size: .9375rem; max-width: none; }
.triple { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); gap: .4rem 1rem;
  margin-bottom: 1rem; }
.triple pre { font-size: .75rem; padding: .6rem .7rem; } .triple p { margin: .3rem 0; }
.text { overflow-wrap: anywhere; } .same { color: var(--soft); }
.matrix { width: auto; } .matrix td, .matrix thead th { min-width: 3.5rem; }
.matrix .hit { font-weight: 650; background: var(--shade); } .matrix .miss { text-decoration: underline dotted; }
ul.bars { list-style: none; margin: 0; padding: 0; }
ol.events { list-style: none; margin: 0; padding: 0; }
ol.events li { display: grid; grid-template-columns: minmax(max-content, 11.5rem) 1fr; gap: 0 1rem; padding: .2rem 0;
  overflow-wrap: anywhere; }
time { font-variant-numeric: tabular-nums; white-space: nowrap; } ol.events time { color: var(--soft); }
footer { margin-top: 3rem; padding-top: .7rem; border-top: 1px solid var(--rule); color: var(--soft);
  font-size: .9375rem; }
@media (max-width: 34rem) {
  body { padding-top: 1.5rem; } h1 { font-size: 1.625rem; }
  dl.facts { grid-template-columns: 1fr; gap: 0; } dl.facts dd { margin-bottom: .55rem; }
  dl.facts dt { font-size: .875rem; }
  table { font-size: .8125rem; } th, td { padding-right: .5rem; } .interval { white-space: normal; }
  thead th, td .under, th .under { font-size: .75rem; } .interval { min-width: 3rem; }
  .path { display: block; overflow-wrap: anywhere; min-width: 5rem; font-size: .75rem; }
  .under.path { min-width: 6.5rem; } .model { min-width: 5.2rem; font-size: .75rem; }
  caption span { display: block; max-width: calc(100vw - 2.5rem); }
  ol.events li { grid-template-columns: 1fr; padding: .35rem 0; }
}
@media print {
  @page { margin: 18mm 16mm; }
  html { font-size: 10pt; background: none; } body { max-width: none; padding: 0; }
  h2, h3, caption, summary, thead { break-after: avoid; } figure, tr, dl, li, .notice, .half { break-inside: avoid; }
  tbody tr:first-child { break-before: avoid; } tbody tr:last-child { break-before: avoid; }
  summary { list-style: none; } summary::-webkit-details-marker { display: none; }
  .screen, details:not(.paper) { display: none; }
  .triple { grid-template-columns: repeat(3, 1fr); gap: .4rem .7rem; } .triple figure { break-inside: auto; }
  .triple pre { font-size: 6.5pt; padding: .4rem .5rem; box-decoration-break: clone; }
  details.paper::details-content { content-visibility: visible; display: block; }
  .pair { grid-template-columns: 1fr 1fr; }
}
]]
