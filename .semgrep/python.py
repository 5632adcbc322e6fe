"""What the rules of python.yml find, and what they let pass. Never run; `semgrep --test` reads the marks."""

# ruleid: no-code-from-data
import pickle
# ruleid: no-other-xml-parser
import xml.etree.ElementTree
# ruleid: no-code-from-data
from yaml import safe_load
# ok: no-code-from-data
import json
# ok: no-other-xml-parser
from lxml import etree

# ruleid: no-code-from-data
eval(answer)
# ok: no-code-from-data
json.loads(answer)

# ruleid: no-shell
subprocess.run(f"gzip {name}", shell=True)
# ruleid: no-shell
os.system("gzip " + name)
# ok: no-shell
subprocess.run(["gzip", name])

# ruleid: tls-is-checked
session.get(url, verify=False, timeout=5)
# ruleid: tls-is-checked
context.check_hostname = False
# ruleid: tls-is-checked
settings.set("DOWNLOAD_VERIFY_CERTIFICATES", False)
# ruleid: tls-is-checked
custom_settings = {"DOWNLOAD_VERIFY_CERTIFICATES": False}
# ok: tls-is-checked
DOWNLOAD_VERIFY_CERTIFICATES = True

# ruleid: xml-parser-is-closed
etree.XMLParser(recover=True)
# ruleid: xml-parser-is-closed
etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
# ok: xml-parser-is-closed
etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False)

# ruleid: xml-has-a-parser-of-ours
etree.fromstring(body)
# ok: xml-has-a-parser-of-ours
etree.fromstring(body, parser)

# ruleid: sql-is-bound
connection.execute(sa.text("SELECT * FROM tenders WHERE title = '%s'" % title))
# ruleid: sql-is-bound
sa.text(f"SELECT * FROM tenders WHERE title = '{title}'")
# ruleid: sql-is-bound
connection.exec_driver_sql("SELECT " + column)
# ruleid: sql-is-bound
connection.exec_driver_sql(f"SET lock_timeout = {seconds * 1000:.0f}")
# ruleid: sql-is-bound
connection.execute("SELECT {}".format(column))
# ok: sql-is-bound
connection.execute(sa.text("SELECT * FROM tenders WHERE title = :title"), {"title": title})
# ok: sql-is-bound
connection.execute(sa.select(tenders).where(tenders.c.title == f"{title}"))

# ruleid: patterns-are-ours
re.search(wanted, text)
# ruleid: patterns-are-ours
re.compile(f"^{wanted}$")
# ruleid: patterns-are-ours
re.fullmatch(rf"a{2}{wanted}", text)
# ok: patterns-are-ours
re.search(r"^\d{1,9}$", text)
# ok: patterns-are-ours
re.compile(rf"(?:{_STEP}/)*{_STEP}")
# ok: patterns-are-ours
re.compile(rf"\s*\[{re.escape(name)}\]")
# ok: patterns-are-ours
re.sub(_UNFIT, "", text)

# ruleid: markup-only-where-listed
Markup(title)
# ok: markup-only-where-listed
escape(title)

# ruleid: templates-escape
Environment(loader=loader)
# ruleid: templates-escape
Environment(loader=loader, autoescape=False)
# ok: templates-escape
Environment(loader=loader, autoescape=True)

# ruleid: requests-end
requests.get(url)
# ruleid: requests-end
self._session.post(url, form)
# ok: requests-end
session.post(url, form, timeout=5)
# ok: requests-end
headers.get("ETag")

# ruleid: archives-are-not-unpacked-by-name
tar.extractall(folder)
# ok: archives-are-not-unpacked-by-name
tar.extractfile(member)

# ruleid: the-tree-is-written-by-tree
(root / name).write_text(page)
# ruleid: the-tree-is-written-by-tree
(root / name).open("wb")
# ruleid: the-tree-is-written-by-tree
open(path, "w", encoding="utf-8")
# ruleid: the-tree-is-written-by-tree
os.replace(beside, path)
# ok: the-tree-is-written-by-tree
path.open("rb")
# ok: the-tree-is-written-by-tree
path.read_text(encoding="utf-8")

# ruleid: guards-of-the-crawler-stay
custom_settings = {"METAREFRESH_ENABLED": True}
# ruleid: guards-of-the-crawler-stay
settings.set("DOWNLOAD_TIMEOUT", 600, priority="spider")
# ok: guards-of-the-crawler-stay
custom_settings = {"URLLENGTH_LIMIT": 10_000}
