"""What all pages of an SPSE 4.5 portal share, in the shape of the real ones: frame, tabs, label rows, rupiah, dates."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from html import escape
from string import Template
from zoneinfo import ZoneInfo

from demo.names import Place
from demo.packages import (
    ANNOUNCEMENTS,
    EMERGENCY,
    RECORDED,
    SELF_MANAGED,
    TENDER,
    Package,
    badges,
    contracts,
    is_awarded,
    stage,
)

VERSION = "4.5u20250321"
MONTHS = (
    *("Januari", "Februari", "Maret", "April", "Mei", "Juni"),
    *("Juli", "Agustus", "September", "Oktober", "November", "Desember"),
)
_ZONES = {7: "WIB", 8: "WITA", 9: "WIT"}


# Words and numbers ---------------------------------------------------------------------------------------


def render_rupiah(amount: Decimal | None) -> str:
    """``Rp. 787.406.000,00``; nothing for None."""
    if amount is None:
        return ""
    whole, cents = f"{amount:.2f}".split(".")
    return f"Rp. {int(whole):,}".replace(",", ".") + f",{cents}"


def render_date(time: datetime) -> str:
    return f"{time.day} {MONTHS[time.month - 1]} {time.year}"


def render_time(time: datetime) -> str:
    """In the portal's zone, without saying so."""
    return f"{render_date(time)} {time:%H:%M}"


def render_badges(package: Package) -> str:
    """The marks behind a name; the two lists quote their classes differently."""
    quote = "'" if package.kind == TENDER else '"'
    marks = []
    for mark in badges(package):
        wide = " " if package.kind == TENDER and mark.endswith("Ulang") else ""
        marks.append(f"<span class={quote}badge {wide}badge-warning{quote}>{mark}</span>")
    return " ".join(marks)


# The frame of every page ---------------------------------------------------------------------------------


_HEAD = Template("""

<!DOCTYPE html>
<html lang="en">
<head>
    <meta http-equiv="Content-Type" content="text/html;charset=UTF-8"/>
    <meta http-equiv="X-UA-Compatible" content="IE=edge">
    <meta name="viewport" content="width=1024">
    <link rel="stylesheet" href="$public/css/application.css"   />
    <style >
      body {
        padding-top: 50px;
        padding-bottom: 40px;
      }
      #main{
          min-height: 400px;
          clear: both;
      }
    </style>
""")
_FOOT = Template("""
 <div id="footer">
     <div class="container-fluid">
         <div id="footerInfo">
             <div id="infoLeft" class="float-left">
                 <span id="realtime"></span> <span>$zone</span>

             </div>
             <div id="infoRight">
                 <p>Portal tiruan $lpse: semua paket, penyedia dan angka adalah rekaan</p>
                 <p><a href="/$slug/" target="_blank">Aplikasi SPSE v$version</a></p>
             </div>
         </div>
     </div>
 </div>
    <script type="text/javascript" src="$public/js/jquery.jclock.min.js"></script>
    <script type="text/javascript">
         $$('#realtime').jclock({
                    format: '%d %B %Y %H:%M',
                    seedTime: parseInt($ms),
                    utc: true,
                    utc_offset: $hours });

        function closeWindow(cmd){
            if (cmd=='quit')
            {
               open(location, '_self').close();
            }
            return false;
        }
    </script>
</body>
</html>


""")


@lru_cache(maxsize=64)
def _frame(place: Place) -> tuple[str, str]:
    """What stands before the title and after the content; ``{ms}`` in the latter is the server's clock."""
    offset = datetime(2026, 1, 1, tzinfo=ZoneInfo(place.zone)).utcoffset() or timedelta()
    hours = int(offset.total_seconds()) // 3600
    words = {
        "slug": place.slug,
        "public": f"/{place.slug}/public",
        "lpse": escape(place.lpse),
        "version": VERSION,
        "zone": _ZONES[hours],
        "hours": hours,
        "ms": "{ms}",
    }
    return _HEAD.substitute(words), _FOOT.substitute(words)


def render_page(place: Place, now: datetime, title: str, main: str, *, script: str = "") -> bytes:
    """A whole page; ``main`` is the inside of ``#main``."""
    head, foot = _frame(place)
    clock = str(int(now.timestamp() * 1000))
    return f"""{head}
<title>LPSE  - {title} </title>
</head>
<body class="">
<div class="navbar navbar-primary fixed-top">
   <div class="container-fluid">
        <div class="navbar-header">{title}</div>
        <div class="navbar-nav ml-auto" style="margin-right: 10px;">
           <a href="#" onClick="return closeWindow('quit');"><i class="fa fa-times fa-lg white"> </i></a>
        </div>
    </div>
</div>
<div id="border-popup-wrapper">
    <div id="main">
        {main}
    </div>
</div>{script}{foot.replace("{ms}", clock)}""".encode()


def render_notice(place: Place, now: datetime, title: str, text: str, *, size: int = 0) -> bytes:
    """An error page; ``size`` pads it to the weight that such pages have."""
    page = render_page(place, now, title, f'<div class="content"><h3>{title}</h3><p>{text}</p></div>')
    return page + b"\n" * max(0, size - len(page))


# Tabs ----------------------------------------------------------------------------------------------------


REALISED = {  # the second tab of the small kinds
    RECORDED: "pencatatan/pengumumannonspkpemenang?id={}",
    SELF_MANAGED: "swakelola/pengumumanswakelolapelaksana/{}",
    EMERGENCY: "darurat/pengumumandaruratpemenang?id={}",
}


def tabs(package: Package, now: datetime) -> dict[str, tuple[str, str]]:
    """The tabs that the package has at its stage: sort of page → (words, address below the portal)."""
    key = package.key
    found = {"announcement": ("Pengumuman", ANNOUNCEMENTS[package.kind].format(key))}
    if package.kind in REALISED:
        words = "Pelaksana Swakelola" if package.kind == SELF_MANAGED else "Pemenang Berkontrak"
        return found | {"realised": (words, REALISED[package.kind].format(key))}
    page, tab = ("lelang", "evaluasi") if package.kind == TENDER else ("nontender", "evaluasinontender")
    found["participants"] = ("Peserta", f"{page}/{key}/peserta")
    if is_awarded(package, now):
        found |= {
            "evaluation": ("Hasil Evaluasi", f"{tab}/{key}/hasil"),
            "winner": ("Pemenang", f"{tab}/{key}/pemenang"),
        }
        if contracts(package, now) or stage(package, now).endswith("Sudah Selesai"):
            found["contracted"] = ("Pemenang Berkontrak", f"{tab}/{key}/pemenangberkontrak")
    return found


def _tab_bar(place: Place, package: Package, now: datetime, active: str) -> str:
    items = "".join(
        f"""    <li class="nav-item">
        <a class="nav-link {" active " if page == active else ""}" href="/{place.slug}/{address}">{words}</a>
    </li>
"""
        for page, (words, address) in tabs(package, now).items()
    )
    return f'\n    <ul class="nav nav-tabs" role="tablist">\n{items}</ul>\n'


def render_tab(place: Place, package: Package, now: datetime, active: str, content: str) -> bytes:
    title = "Informasi Pengadaan Darurat" if package.kind == EMERGENCY else "Informasi Paket"
    bar = _tab_bar(place, package, now, active)
    return render_page(place, now, title, f'{bar}\n<div class="content">\n{content}</div>\n')


def render_label(label: str, value: str, *, span: int = 3, more: str = "") -> str:
    """One row of a label table; announcements have no tbody on the wire."""
    return f"""        <tr>
            <th class="bgwarning"{more}>{label}</th>
            <td colspan="{span}" >{value}</td>
        </tr>
"""
