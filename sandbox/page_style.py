"""The style sheet of the page."""

STYLE = """
:root { color-scheme: light dark; --ink:#1d2733; --soft:#667585; --line:#dfe5ec; --card:#fff; --back:#f3f6f9;
  --good:#1f8a4c; --busy:#2563c9; --wait:#b36b00; --bad:#c6282d; --idle:#b9c3ce; --chip:#e8eef5; }
@media (prefers-color-scheme: dark) { :root { --ink:#e6ebf0; --soft:#98a5b3; --line:#2f3a45; --card:#1b232b;
  --back:#12181e; --good:#4cc27f; --busy:#6ea3f5; --wait:#e7a33e; --bad:#f0696d; --idle:#46525f;
  --chip:#28323d; } }
* { box-sizing:border-box }
body { margin:0 auto; max-width:1120px; padding:24px 20px 60px; background:var(--back); color:var(--ink);
  font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif }
.gone { opacity:.45 }
header { display:flex; align-items:baseline; gap:14px; flex-wrap:wrap; margin-bottom:18px }
h1 { font-size:24px; margin:0 } h2 { font-size:18px; margin:30px 0 10px } h3 { font-size:17px; margin:0 }
h4 { font-size:12px; letter-spacing:.05em; text-transform:uppercase; color:var(--soft); margin:18px 0 6px }
.soft { color:var(--soft) } .small { font-size:13px }
  code { font:13px ui-monospace,"DejaVu Sans Mono",monospace }
.card { background:var(--card); border:1px solid var(--line); border-radius:10px; padding:16px 18px;
  margin:12px 0 }
.row { display:flex; align-items:center; gap:10px; flex-wrap:wrap }
.badge { border-radius:99px; padding:1px 10px; font-size:13px; font-weight:600; color:#fff;
  background:var(--soft) }
.badge.good { background:#1f8a4c } .badge.busy { background:#2563c9 } .badge.wait { background:#a86400 }
.badge.bad { background:#c6282d }
.chip { background:var(--chip); border-radius:6px; padding:1px 8px; font-size:13px }
table { border-collapse:collapse; width:100%; font-size:14px }
.slots { table-layout:fixed }
th { text-align:left; font-weight:600; color:var(--soft); font-size:13px }
th,td { padding:5px 12px 5px 0; border-bottom:1px solid var(--line); vertical-align:top }
tr:last-child td { border-bottom:0 }
.step { display:grid; grid-template-columns:minmax(150px,1.3fr) 2fr 170px; gap:12px; align-items:center;
  margin:5px 0 }
.bar { height:9px; border-radius:5px; background:var(--line); overflow:hidden }
.bar i { display:block; height:100%; background:var(--idle) }
.good .bar i { background:var(--good) } .busy .bar i { background:var(--busy) }
.wait .bar i { background:var(--wait) } .bad .bar i { background:var(--bad) }
.step.good .word { color:var(--good) } .step.busy .word { color:var(--busy) }
.step.wait .word { color:var(--wait); font-weight:600 } .step.bad .word { color:var(--bad); font-weight:600 }
.word { font-size:13px; color:var(--soft) }
.message { border-left:3px solid var(--bad); padding:2px 0 2px 10px; margin:4px 0 8px; font-size:14px;
  overflow-wrap:anywhere }
details { margin-top:8px } summary { cursor:pointer; padding:3px 0 }
.scroll { overflow-x:auto } .num { font-variant-numeric:tabular-nums; white-space:nowrap }
"""
