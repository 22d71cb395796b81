"""How pages look: the palette, the style sheet, and the document around a page's content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lifecycle.pages.markup import Child, Html, style_hash, tag

if TYPE_CHECKING:
    from collections.abc import Mapping

# Names of colours, light and dark. Each text stands on a ground of ``PAIRS``.
PALETTE: Final[Mapping[str, tuple[str, str]]] = {
    "ground": ("#ffffff", "#12161c"),
    "panel": ("#f3f5f7", "#1b2129"),
    "line": ("#c9d0d6", "#3d4753"),
    "text": ("#16191f", "#e6e9ed"),
    "muted": ("#4d5661", "#aab4be"),
    "link": ("#0a56a3", "#82baff"),
    "good": ("#15601a", "#86e093"),
    "good-ground": ("#e6f4e6", "#133019"),
    "warn": ("#734500", "#ffca66"),
    "warn-ground": ("#fff2da", "#392a0b"),
    "bad": ("#9c160a", "#ffa198"),
    "bad-ground": ("#fde8e6", "#43170f"),
    "info": ("#0a4785", "#a3caff"),
    "info-ground": ("#e5effa", "#14294a"),
    "lead": ("#ffffff", "#0d1624"),
    "lead-ground": ("#0a4785", "#8fbfff"),
}
# What is written on what.
PAIRS: Final = (
    ("text", "ground"),
    ("text", "panel"),
    ("muted", "ground"),
    ("muted", "panel"),
    ("link", "ground"),
    ("link", "panel"),
    *((tone, f"{tone}-ground") for tone in ("good", "warn", "bad", "info", "lead")),
)
TONES: Final = ("good", "warn", "bad", "info")


def _variables(which: int) -> str:
    return "".join(f"--{name}:{pair[which]};" for name, pair in PALETTE.items())


STYLE: Final = (
    f":root{{color-scheme:light dark;{_variables(0)}}}"
    f"@media (prefers-color-scheme:dark){{:root{{{_variables(1)}}}}}"
    """
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);overflow-wrap:break-word;
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
main,header,footer{max-width:68rem;margin:0 auto;padding:0 1rem}
header{padding-top:1.5rem}
footer{padding-bottom:2rem;color:var(--muted);font-size:.875rem}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .75rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2rem 0 .6rem;padding-top:1rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.2rem 0 .4rem}
p,ul,ol{margin:.4rem 0;max-width:75ch}
li{margin:.2rem 0}
a{color:var(--link)}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;
font-size:.875em}
code{overflow-wrap:anywhere}
pre{margin:.5rem 0;padding:.75rem;background:var(--panel);border:1px solid var(--line);
border-radius:6px;white-space:pre-wrap;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:minmax(7.5rem,max-content) 1fr;gap:.25rem 1rem;margin:.5rem 0}
dt{color:var(--muted)}
dd{margin:0;overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin:.5rem 0}
table{border-collapse:collapse;width:100%}
caption{text-align:left;font-weight:600;padding:.25rem 0}
th,td{text-align:left;vertical-align:top;padding:.35rem .75rem .35rem 0;
border-bottom:1px solid var(--line)}
thead th{color:var(--muted);font-weight:600;font-size:.875rem}
tbody th{font-weight:600}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.chip{display:inline-block;padding:.05rem .55rem;border:1px solid currentColor;border-radius:1rem;
font-size:.8125rem;font-weight:600;white-space:nowrap}
h1 .chip{font-size:1rem;vertical-align:.15em;margin-left:.25rem}
.good{color:var(--good);background:var(--good-ground)}
.warn{color:var(--warn);background:var(--warn-ground)}
.bad{color:var(--bad);background:var(--bad-ground)}
.info{color:var(--info);background:var(--info-ground)}
.note{border-left:4px solid;border-radius:4px;padding:.6rem .9rem;margin:.75rem 0}
.note p,.note ul{max-width:none}
.note ul{padding-left:1.2rem}
.note a{color:inherit}
.tiles{display:flex;flex-wrap:wrap;gap:.6rem;list-style:none;padding:0;margin:1rem 0;max-width:none}
.tiles li{flex:1 1 9rem;background:var(--panel);border:1px solid var(--line);border-radius:6px;
padding:.5rem .75rem;margin:0}
.tiles .value{display:block;font-size:1.2rem;font-weight:600;font-variant-numeric:tabular-nums}
.muted,.tiles .name{color:var(--muted);font-size:.875rem}
.grids{display:flex;flex-wrap:wrap;gap:0 2rem}
.grid{width:auto}
.grid th,.grid td{padding:.25rem .35rem;text-align:center;border:0}
.grid tbody th{text-align:right;font-weight:400;padding-right:.6rem;white-space:nowrap}
.cell{display:block;min-width:2.6rem;padding:.15rem .3rem;border-radius:4px;
border:2px solid transparent;font-weight:600;font-size:.875rem;line-height:1.3}
.leader{color:var(--lead);background:var(--lead-ground);border-color:var(--lead-ground)}
.follower{color:var(--info);background:var(--info-ground);border-color:var(--info)}
.moving{color:var(--warn);background:var(--warn-ground);border-color:var(--warn);
border-style:dashed}
.ill{color:var(--bad);background:var(--bad-ground);border-color:var(--bad);border-style:double;
border-width:4px}
.unseen{color:var(--muted);border-color:var(--line);border-style:dotted}
.legend{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;max-width:none}
.legend .cell{display:inline-block;margin-right:.4rem;text-align:center}
.lapse{width:34%;min-width:7rem}
.time{white-space:nowrap;font-variant-numeric:tabular-nums}
.lapse svg{display:block;width:100%;height:1.1rem;margin-top:.2rem}
.track{fill:var(--panel);stroke:var(--line)}
.bar{fill:var(--link)}
.bar.stopped{fill:var(--bad)}
.waits{margin:.2rem 0 0;padding-left:1.1rem;font-size:.875rem;font-weight:400;color:var(--muted)}
details{margin:.6rem 0}
summary{cursor:pointer;color:var(--link)}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);
white-space:nowrap}
@media (max-width:40rem){dl{grid-template-columns:minmax(5.5rem,28%) 1fr}
h1{font-size:1.3rem}.lapse{display:none}
.grid th,.grid td{padding:.2rem .1rem;font-size:.8125rem}.grid tbody th{padding-right:.35rem}
.cell{min-width:2.2rem}.wide{min-width:36rem}}
@media print{a{color:inherit}.scroll{overflow:visible}}
"""
)
# Scripts, images, fonts, frames, forms and connections are all forbidden; the one style sheet is
# allowed by its digest. https://www.w3.org/TR/CSP3/
POLICY: Final = (
    f"default-src 'none'; style-src {style_hash(STYLE)}; base-uri 'none'; form-action 'none'"
)


def document(title: str, *, header: Child, main: Child, footer: Child) -> str:
    """Return a whole page: one file, nothing from elsewhere, no script.

    No address leaves with a link that is followed: the page's own may be a presigned one.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="robots", content="noindex"),
        tag("title", title),
        # The sheet has neither "<" nor "&", so that what is hashed is what stands there.
        tag("style", Html(STYLE)),
    )
    body = tag("body", tag("header", header), "\n", tag("main", main), "\n", tag("footer", footer))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"
