//! How the page looks: in light and dark, from a telephone on.

/// Text has at least 4.5 times the contrast of what is behind it, and what is pressed is at least 44 pixels high.
pub(super) const SHEET: &str = "\
:root{--paper:#fff;--ink:#1b1f24;--faint:#57606a;--line:#d0d7de;--canary:#b84700;--stable:#0072b2;--bad:#a40e26}
@media (prefers-color-scheme:dark){:root{--paper:#15181c;--ink:#f2f4f6;--faint:#a3adb8;--line:#3a424c;\
--canary:#ff9d5c;--stable:#63b8ee;--bad:#ff8b95}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:1rem;background:var(--paper);color:var(--ink);\
font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.2;margin:.2rem 0 .6rem}
h2{font-size:1.15rem;margin:1.6rem 0 .4rem}
p{margin:.4rem 0}
.where,.small,footer{color:var(--faint)}
.small{font-size:.9rem}
.bar{display:block;width:100%;height:1.2rem}
.bar .rest{fill:var(--stable)}
.bar .next{fill:var(--canary);opacity:.45}
.bar .now{fill:var(--canary)}
.refused,.against strong{color:var(--bad)}
.refused{border-left:.3rem solid var(--bad);padding-left:.6rem}
ul,ol{padding-left:1.4rem;margin:.4rem 0}
li[aria-current]{font-weight:600}
figure{margin:1rem 0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:.4rem 0}
dt{color:var(--faint)}
dd{margin:0}
pre{padding:.6rem;border:1px solid var(--line);border-radius:.3rem;overflow-x:auto;white-space:pre-wrap}
textarea{display:block;width:100%;padding:.5rem;font:inherit;color:inherit;background:transparent;\
border:1px solid var(--faint);border-radius:.3rem}
.buttons{display:flex;flex-wrap:wrap;gap:.6rem;margin:.8rem 0}
button,.button{min-height:2.75rem;padding:.4rem 1.2rem;font:inherit;font-weight:600;color:var(--paper);border:2px \
solid transparent;border-radius:.3rem;cursor:pointer}
.button{display:inline-flex;align-items:center;text-decoration:none}
.plain{color:var(--ink);background:transparent;border-color:var(--faint)}
.visitor{display:flex;flex-wrap:wrap;align-items:center;gap:.6rem;margin:.8rem 0}
.approve,.button{background:var(--stable)}
.reject{background:var(--bad)}
:focus-visible{outline:3px solid var(--ink);outline-offset:2px}
a:not(.button){color:var(--stable)}
footer{margin-top:2rem;border-top:1px solid var(--line);font-size:.9rem}
@media (max-width:30rem){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.4rem}button,.button{width:100%;justify-content:center}}
";
